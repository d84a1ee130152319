"""What to do about a stick that does not open: try, reset it, switch it off and on, ask for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

Step = Literal["retry", "reset", "authorized", "needs_replug"]

FAILURES_PER_STEP: Final = 3
# A stick that has loaded its firmware comes back as another device after 2 to 3 s: until then that is no re-plug.
SETTLE_S: Final = 5.0
_LADDER: Final[tuple[Step, ...]] = ("retry", "reset", "authorized", "needs_replug")


class ResetPlan:
    """Counts the failed openings of one stick. Times are of the monotonic clock, in seconds.

    Three failures, a reset; three more, its port's `authorized`; three more, and a person must come. Where resets are
    not allowed the person is asked for after the first three. A stick that was unplugged meanwhile starts afresh.
    """

    def __init__(self, allowed: bool) -> None:
        self._ladder: tuple[Step, ...] = _LADDER if allowed else (_LADDER[0], _LADDER[-1])
        self._failures = 0
        self._node: Path | None = None
        self._touched = False  # an opening or a reset of ours is under way
        self._settled_s = float("-inf")

    def begin(self) -> None:
        """Tell that an opening or a reset begins: the stick may vanish and come back by it."""
        self._touched = True

    def failed(self, now_s: float) -> Step:
        """Tell that the opening failed; return the step that is due now, before the next opening."""
        self._end(now_s)
        self._failures += 1
        due = self._failures % FAILURES_PER_STEP == 0 or self._rung == len(self._ladder) - 1
        return self._ladder[self._rung] if due else "retry"

    def opened(self, now_s: float) -> None:
        """Tell that the opening succeeded: all is forgotten."""
        self._end(now_s)
        self._failures = 0

    def reset_ended(self, now_s: float) -> None:
        """Tell that a reset has ended, well or not."""
        self._end(now_s)

    def look(self, node: Path | None, now_s: float) -> None:
        """Tell the stick's device node, None while it is absent. Another one than before means that it was unplugged,
        unless an opening or a reset of ours may have done it."""
        if node != self._node and not self._touched and now_s >= self._settled_s:
            self._failures = 0
        self._node = node

    def needs_replug(self, port: str) -> str | None:
        """Return what to tell a person, once only a person can help."""
        if self._ladder[self._rung] != "needs_replug":
            return None
        return (
            f"the stick at port {port} did not open {self._failures} times in a row: unplug the Coral stick, wait 5 s, "
            "plug it in again; if that happens often, try another cable, another port or a powered hub"
        )

    @property
    def _rung(self) -> int:
        return min(self._failures // FAILURES_PER_STEP, len(self._ladder) - 1)

    def _end(self, now_s: float) -> None:
        self._touched = False
        self._settled_s = now_s + SETTLE_S
