"""Where each frame of one camera went. Nothing is lost silently: captured = inferred + dropped + pending, always."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from visiond.frames import FrameRing, RingCounters


@dataclass(frozen=True, slots=True)
class Account:
    """One reading. `pending` frames wait in the ring, are being inferred, or have results on their way: a handful."""

    captured: int
    inferred: int
    dropped: dict[str, int]
    pending: int
    last_captured_ns: int


class FrameAccounts:
    """Counts of one camera over the lives of its workers, its rings and its engines."""

    def __init__(self) -> None:
        self._ring: FrameRing | None = None
        self._past = RingCounters(0, 0, 0, 0)  # of the rings that are gone
        self._current = RingCounters(0, 0, 0, 0)  # of this ring, as last read
        self._inferred = 0
        self._dropped: Counter[str] = Counter()
        self._answered: Counter[int] = Counter()  # by reader: taken frames whose fate it has told, or took with it

    def adopt(self, ring: FrameRing) -> None:
        """Count this ring's frames from now on; the last one must have been retired."""
        self._ring = ring

    def retire(self) -> None:
        """The ring is at its end: what waited in it counts as superseded. Raises BlockingIOError if it stays locked."""
        if self._ring is None:
            return
        last = self._ring.retire()
        self._past = _sum(self._past, last)
        self._current = RingCounters(0, 0, 0, last.last_captured_ns)
        self._ring.close()
        self._ring = None

    def inferred(self, reader: int) -> None:
        """A result came from this reader, in time."""
        self._inferred += 1
        self._answered[reader] += 1

    def dropped(self, reader: int, reason: str) -> None:
        """A frame that this reader had taken gave no result."""
        self._dropped[reason] += 1
        self._answered[reader] += 1

    def engine_lost(self, reader: int) -> None:
        """The engine is dead: what it had taken and not answered is lost. Raises BlockingIOError."""
        if self._ring is not None:
            self._ring.reclaim(reader)
        lost = self.outstanding(reader)
        if lost:
            self._dropped["engine_lost"] += lost
            self._answered[reader] += lost

    def outstanding(self, reader: int) -> int:
        """Frames that this reader has taken and not answered. Raises BlockingIOError."""
        return self._read().taken_by[reader] - self._answered[reader]

    def waiting(self) -> int:
        """Frames in the ring that no engine has taken (0 or 1); as they were last while the ring stays locked."""
        try:
            now = self._read()
        except BlockingIOError:
            now = _sum(self._past, self._current)
        return now.captured - now.superseded - now.taken

    def read(self) -> Account:
        """Where the frames are now; while a stopped worker keeps the ring locked, as it was last."""
        try:
            counters = self._read()
        except BlockingIOError:
            counters = _sum(self._past, self._current)
        dropped = {**self._dropped}
        if counters.superseded:
            dropped["superseded"] = counters.superseded
        pending = counters.captured - self._inferred - sum(dropped.values())
        return Account(counters.captured, self._inferred, dropped, pending, counters.last_captured_ns)

    def _read(self) -> RingCounters:
        if self._ring is not None:
            self._current = self._ring.counters()
        return _sum(self._past, self._current)


def _sum(past: RingCounters, current: RingCounters) -> RingCounters:
    return RingCounters(
        past.captured + current.captured,
        past.superseded + current.superseded,
        past.taken + current.taken,
        max(past.last_captured_ns, current.last_captured_ns),
        tuple(a + b for a, b in zip(past.taken_by, current.taken_by, strict=True)),
    )
