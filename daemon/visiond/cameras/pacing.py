"""When frames are due: a Pacer plays them to a schedule, a Thinner lets through no more than were asked for."""

from __future__ import annotations

import time
from typing import Final

_NS: Final = 1_000_000_000


class Pacer:
    """An absolute schedule of `fps`, so that neither decoding nor late waking adds up; 0 knows no pauses."""

    def __init__(self, fps: float) -> None:
        self._period_ns = round(_NS / fps) if fps else 0
        self._due_ns = time.monotonic_ns()

    def wait(self) -> int:
        """Sleep until the next frame is due and return the moment, CLOCK_MONOTONIC.

        What comes more than a period late starts the schedule anew: no burst makes up for a pause.
        """
        now_ns = time.monotonic_ns()
        if now_ns < self._due_ns:
            time.sleep((self._due_ns - now_ns) / _NS)
            now_ns = time.monotonic_ns()
        elif now_ns - self._due_ns > self._period_ns:
            self._due_ns = now_ns
        self._due_ns += self._period_ns
        return now_ns


class Thinner:
    """Of a camera that gives more than `fps`, which frames to keep. None or 0 keeps all."""

    def __init__(self, fps: float | None) -> None:
        self._period_ns = round(_NS / fps) if fps else 0
        self._due_ns: int | None = None

    def keeps(self, captured_ns: int) -> bool:
        """Whether the frame of this moment is due. A quarter of a period early is on time: cameras jitter."""
        if not self._period_ns:
            return True
        if self._due_ns is None:
            self._due_ns = captured_ns
        if captured_ns < self._due_ns - self._period_ns // 4:
            return False
        self._due_ns = max(self._due_ns, captured_ns - self._period_ns // 2) + self._period_ns
        return True
