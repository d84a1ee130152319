"""When a frame was captured, in CLOCK_MONOTONIC: from the driver's stamp, or from a stream's own clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

OLDEST_DRIVER_NS: Final = 2_000_000_000  # a stamp older than this is of another clock
QUICK_NS: Final = 3_000_000  # a frame that comes sooner than this after it is asked for was waiting already
STALE_NS: Final = 50_000_000
MAX_BACKLOG: Final = 100
_WINDOW_NS: Final = 5_000_000_000


def from_driver(stamp_ns: int, now_ns: int) -> int:
    """Return the driver's stamp where it can be CLOCK_MONOTONIC, else now: some drivers give none, or wall time."""
    return stamp_ns if 0 <= now_ns - stamp_ns < OLDEST_DRIVER_NS else now_ns


def newest(grab: Callable[[], int], last_ns: int | None) -> int:
    """Grab until a frame comes that had not been waiting in a buffer for long, and return its `captured_ns`.

    Buffers of drivers and sockets give the oldest frame first: a reader that was late would stay late for ever.
    `last_ns` is the `captured_ns` of the frame before; frames that come faster than they were captured had waited.
    """
    captured_ns = 0
    for _ in range(MAX_BACKLOG):
        asked_ns = time.monotonic_ns()
        captured_ns = grab()
        now_ns = time.monotonic_ns()
        period_ns = 0 if last_ns is None else captured_ns - last_ns
        if now_ns - captured_ns < STALE_NS or now_ns - asked_ns > max(QUICK_NS, period_ns // 2):
            break
        last_ns = captured_ns
    return captured_ns


class StreamClock:
    """Relates a stream's presentation times to CLOCK_MONOTONIC.

    The frame that was least delayed within the last 5 to 10 s tells how the two clocks stand to each other; how much
    later another arrives is its delay. So a frame that waited in a buffer is known to be old. What even the fastest
    frame needs (the camera's encoder, the network) cannot be seen from here and is not in the stamp.
    """

    def __init__(self) -> None:
        self._least_ns: int | None = None  # arrival less presentation time, the smallest of this window
        self._least_before_ns: int | None = None  # of the window before, so that a slow drift is followed
        self._window_start_ns = 0
        self._last_ns = 0

    def captured_ns(self, arrived_ns: int, presented_ns: int) -> int:
        """Return when the frame was captured that arrived at this moment with this presentation time."""
        offset_ns = arrived_ns - presented_ns
        if self._least_ns is None or presented_ns <= self._last_ns:  # the stream began anew, or has no times
            self._least_ns, self._least_before_ns = offset_ns, None
            self._window_start_ns = arrived_ns
        elif arrived_ns - self._window_start_ns > _WINDOW_NS:
            self._least_ns, self._least_before_ns = offset_ns, self._least_ns
            self._window_start_ns = arrived_ns
        else:
            self._least_ns = min(self._least_ns, offset_ns)
        self._last_ns = presented_ns
        least_ns = self._least_ns if self._least_before_ns is None else min(self._least_ns, self._least_before_ns)
        return presented_ns + least_ns
