"""When the watchdog may be pinged: while every part makes progress or has a date for its next try. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

MOST_LAG_S: Final = 1.0  # of the event loop; results are told as blind after as long (health.py)
MOST_OVERDUE_S: Final = 5.0  # a part past its deadline is killed at once; 2 s later it counts as stuck in the kernel


class Part(Protocol):
    """What a part of the daemon says of itself: a worker with its process, or a task."""

    @property
    def name(self) -> str:
        """As in the log: "camera front", "engine objects"."""

    @property
    def pid(self) -> int | None:
        """Its process, None while there is none."""

    @property
    def next_try_in_s(self) -> float | None:
        """Seconds until it is started again, None while no try is dated."""

    @property
    def is_held(self) -> bool:
        """Whether it is meant to have no process: a cold twin, a stick that is not plugged in."""

    @property
    def overdue_s(self) -> float | None:
        """Seconds past the deadline it was given, below 0 before that, None while it has none."""


def standstill(parts: Iterable[Part], lag_s: float) -> str | None:
    """Say which part neither progresses nor is to be tried again, None when none is so.

    `lag_s`: how late the event loop is. A camera or an Edge TPU that is not there is no standstill: its worker runs and
    looks for it, is dated to be tried again, or is held.
    """
    if lag_s > MOST_LAG_S:
        return f"the event loop was blocked for {lag_s:.1f} s"
    return next((why for part in parts if (why := _standstill(part)) is not None), None)


def _standstill(part: Part) -> str | None:
    if part.pid is not None:
        if part.overdue_s is not None and part.overdue_s > MOST_OVERDUE_S:
            return f"{part.name} is {part.overdue_s:.1f} s past its deadline, and was not ended"
        return None
    if part.is_held or part.next_try_in_s is not None:
        return None
    return f"{part.name} has no process, and no next try"
