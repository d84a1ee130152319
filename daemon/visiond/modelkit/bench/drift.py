"""Drift: what minutes of invokes do to an invoke, and to the board."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from visiond.board import Board, read_board
from visiond.doctor.child import Message
from visiond.modelkit.bench.order import Order
from visiond.modelkit.bench.report import Drift, Subject
from visiond.modelkit.bench.rounds import MODULE, converse_or_die

_PARTS: Final = 20  # of the series


@dataclass(slots=True)
class _Watch:
    """The invokes as they come in, and the board's worst moments."""

    read: Callable[[], Board]
    step: Callable[[float], None]
    spans_ms: list[float] = field(default_factory=list)
    boards: list[Board] = field(default_factory=list)

    def hear(self, message: Message) -> None:
        if "part" in message:
            self.spans_ms += message["part"]
            self.boards.append(self.read())
            self.step(sum(self.spans_ms) / 1000)


class Stopped(KeyboardInterrupt):
    """Ctrl-C, after some invokes; `drift` is of those."""

    def __init__(self, drift: Drift) -> None:
        super().__init__()
        self.drift = drift


def measure_drift(
    order: Order,
    subject: Subject,
    seconds: float,
    step: Callable[[float], None],
    read: Callable[[], Board] = read_board,
) -> Drift:
    """Invoke for so long, and look at the board each second; `step` gets the seconds so far.

    Raises Died, or Stopped.
    """
    watch = _Watch(read, step)
    watch.boards.append(read())
    try:
        converse_or_die(MODULE, replace(order, drift_s=seconds).as_json(), watch.hear)
    except KeyboardInterrupt:
        if watch.spans_ms:
            raise Stopped(sum_up_drift(subject, watch.spans_ms, watch.boards)) from None
        raise
    return sum_up_drift(subject, watch.spans_ms, watch.boards)


def sum_up_drift(subject: Subject, spans_ms: list[float], boards: list[Board]) -> Drift:
    """Sum up the invokes in their order, one at least, and what the board told before and during them."""
    tenth = max(1, len(spans_ms) // 10)
    temperatures = [board.temperature_c for board in boards if board.temperature_c is not None]
    clocks = [board.cpu_mhz for board in boards if board.cpu_mhz is not None]
    told = [board.throttling for board in boards if board.throttling is not None]
    return Drift(
        subject=subject,
        seconds=round(sum(spans_ms) / 1000, 1),
        invokes=len(spans_ms),
        first_p50_ms=statistics.median(spans_ms[:tenth]),
        last_p50_ms=statistics.median(spans_ms[-tenth:]),
        series_p50_ms=tuple(round(statistics.median(part), 4) for part in _equal_times(spans_ms)),
        first_temperature_c=temperatures[0] if temperatures else None,
        highest_temperature_c=max(temperatures, default=None),
        first_cpu_mhz=clocks[0] if clocks else None,
        lowest_cpu_mhz=min(clocks, default=None),
        throttling=tuple(sorted({bit for each in told for bit in each.now})) if told else None,
    )


def _equal_times(spans_ms: list[float]) -> list[list[float]]:
    """The invokes of each twentieth of the time; a part without one is left out."""
    parts: list[list[float]] = [[] for _ in range(_PARTS)]
    whole_ms, gone_ms = sum(spans_ms), 0.0
    for span_ms in spans_ms:
        parts[min(_PARTS - 1, int(gone_ms / whole_ms * _PARTS))].append(span_ms)
        gone_ms += span_ms
    return [part for part in parts if part]
