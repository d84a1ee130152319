"""Wilson's interval: its ends are the shares that lie just z standard errors from what was seen."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.modelkit.evaluation.intervals import Z_95, wilson


@given(st.integers(1, 5000), st.data())
def test_its_ends_solve_the_score_equation(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            assert abs(hits / of - end) == pytest.approx(Z_95 * math.sqrt(end * (1 - end) / of), rel=1e-6, abs=1e-9)


def test_known_values() -> None:
    """8 of 10: 0.490 to 0.943 (Brown, Cai, DasGupta, Statistical Science 16 (2001), by the same formula)."""
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
