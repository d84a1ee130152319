"""Latency: what the last invokes of one model took, and whether they have become slower since it started."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

_WINDOW: Final = 300  # invokes that are kept
_BASELINE: Final = 100  # the first invokes, which say what is normal
_RECENT: Final = 50
_TIMES_USUAL: Final = 10.0  # the 99th percentile
_TIMES_SLOWEST: Final = 2.0
SLOWER: Final = 2.0  # times the baseline: an Edge TPU that is hot halves its clock, or less


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the last invokes, in milliseconds."""

    p50: float
    p99: float


class Latency:
    """Invoke times in milliseconds as they come in; those after a swap of parameters are kept apart."""

    def __init__(self, expected_ms: float) -> None:
        """`expected_ms` is what the worker measured when it started."""
        self.swaps = 0
        self._expected_ms = expected_ms
        self._first: list[float] = []
        self._every: deque[float] = deque(maxlen=_WINDOW)
        self._last: deque[float] = deque(maxlen=_WINDOW)  # without a swap
        self._swapped: deque[float] = deque(maxlen=_WINDOW)

    def count(self, invoke_ms: float, swapped: bool) -> None:
        """One more."""
        self._every.append(invoke_ms)
        if swapped:
            self.swaps += 1
            self._swapped.append(invoke_ms)
            return
        self._last.append(invoke_ms)
        if len(self._first) < _BASELINE:
            self._first.append(invoke_ms)

    @property
    def spread(self) -> Spread | None:
        """Median and 99th percentile, None before the first invoke."""
        if not self._every:
            return None
        ordered = sorted(self._every)
        return Spread(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)])

    @property
    def swap_ms(self) -> float | None:
        """What a swap adds to an invoke, None where there was none to compare."""
        if not self._swapped:
            return None
        usual_ms = statistics.median(self._last) if self._last else self._expected_ms
        return max(0.0, statistics.median(self._swapped) - usual_ms)

    @property
    def slowest_ms(self) -> float:
        """The slowest of those that are kept, or what was measured at the start."""
        return max(self._every, default=self._expected_ms)

    @property
    def deadline_ms(self) -> float:
        """What an invoke may take before it counts as one that hangs.

        A single slow one, as of a machine that was busy for a moment, counts no more than twice.
        """
        spread = self.spread
        usual_ms = self._expected_ms if spread is None else spread.p99
        return max(_TIMES_USUAL * usual_ms, _TIMES_SLOWEST * self.slowest_ms)

    @property
    def times_slower(self) -> float:
        """Median of the most recent invokes against that of the first ones; 1.0 while there are too few to say."""
        if len(self._first) < _BASELINE:
            return 1.0
        recent = list(self._last)[-_RECENT:]
        return statistics.median(recent) / max(statistics.median(self._first), 1e-3)
