"""Turns: whose frame is next. Fair to the cameras, and sparing with swaps of the accelerator's parameters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

SWAP_SHARE: Final = 0.2  # of the accelerator's time that swapping may take before a model keeps its turn for longer
MAX_TURNS: Final = 8  # in a row for one camera: the others must not wait for long


@dataclass(frozen=True, slots=True)
class Seat:
    """A camera that has a frame waiting, its model, and when one of its frames was last taken (CLOCK_MONOTONIC)."""

    camera: str
    model: str
    last_taken_ns: int


class Turns:
    """Rounds in which each camera has as many turns as every other; within a round the current model goes on first.

    An Edge TPU keeps about 8 MB of parameters on the chip (Coral's documentation, "parameter data caching"); two
    models that do not fit together evict each other at each change. With `turns_per_round` frames for each camera in a
    round, its swaps are shared among them all. A turn is never left out: who waits alone is served at once.
    """

    def __init__(self) -> None:
        self.turns_per_round = 1
        self._model: str | None = None  # whose turn was the last
        self._taken: Counter[str] = Counter()  # by camera, in this round

    def choose(self, waiting: Collection[Seat]) -> Seat | None:
        """Return the seat whose turn it is, None when nobody waits. Tell `took` when its frame was really there."""
        if not waiting:
            return None
        with_credit = [seat for seat in waiting if self._taken[seat.camera] < self.turns_per_round]
        if not with_credit:
            self._taken.clear()
            with_credit = list(waiting)
        return min(with_credit, key=lambda seat: (seat.model != self._model, seat.last_taken_ns))

    def took(self, seat: Seat) -> None:
        """The frame of this seat was taken."""
        self._taken[seat.camera] += 1
        self._model = seat.model


def turns_per_round(swap_ms: float, invokes_ms: float) -> int:
    """How often each camera comes in a round: `swap_ms` is lost in each, `invokes_ms` is one invoke for each camera."""
    if swap_ms <= 0 or invokes_ms <= 0:
        return 1
    return min(MAX_TURNS, math.ceil(swap_ms * (1 - SWAP_SHARE) / SWAP_SHARE / invokes_ms))
