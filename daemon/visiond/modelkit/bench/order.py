"""Order: what a child of `visiond models bench` is to measure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from visiond.messages import StickOrder
from visiond.modelkit.bench.report import Subject


@dataclass(frozen=True, slots=True)
class Order:
    """One subject of the package in `folder`, on frames of `size` (width, height).

    At least `invokes` invokes and `seconds` of them, then half of that on the whole way; with `drift_s` > 0 instead
    nothing but invokes for so long. `stick` are the fields of a StickOrder, None for the CPU.
    """

    folder: str
    file: str
    runtime: str
    threads: int
    kernels: str | None
    stick: dict[str, Any] | None
    size: tuple[int, int] = (640, 480)
    invokes: int = 20
    seconds: float = 1.0
    drift_s: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)

    @staticmethod
    def from_json(raw: dict[str, Any]) -> Order:
        """The way back."""
        return Order(**{**raw, "size": tuple(raw["size"])})


def order_for(folder: str, subject: Subject, stick: StickOrder | None) -> Order:
    """The order of a subject, with the usual length of a round."""
    fields = None if stick is None or subject.device is None else asdict(stick)
    return Order(folder, subject.file, subject.runtime, subject.threads, subject.kernels, fields)
