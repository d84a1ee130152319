"""What the children of `visiond doctor` share: an order to read, a way to tell, and an end with their parent."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>

Tell = Callable[..., None]


def begin() -> tuple[dict[str, Any], Tell]:
    """Return the order of the command line, and what sends a message: `tell(stage="…")`.

    From here on what anybody prints goes to stderr: a native library must not speak in between. The process ends with
    its parent, and leaves Ctrl-C to it; SIGTERM ends it as soon as it is back in Python.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    messages = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(**fields: Any) -> None:
        print(json.dumps(fields, allow_nan=False), file=messages, flush=True)

    return json.loads(sys.argv[1]), tell
