"""How sure a measured share is: Wilson's score interval."""

from __future__ import annotations

import math
from typing import Final

Z_95: Final = 1.959963984540054  # of the normal distribution, for 95 %


def wilson(hits: int, of: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of a share `hits` / `of`, 0 to 1; (0, 1) where nothing was tried.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209. Unlike
    the normal approximation it holds near 0 and 1, and for few pictures.
    """
    if of == 0:
        return 0.0, 1.0
    share = hits / of
    middle = share + z * z / (2 * of)
    reach = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    whole = 1 + z * z / of
    low = 0.0 if hits == 0 else (middle - reach) / whole
    high = 1.0 if hits == of else (middle + reach) / whole
    return max(0.0, low), min(1.0, high)
