"""Reports as a bench would have made them, for tests of what is done with them."""

from __future__ import annotations

from collections.abc import Sequence

from visiond.modelkit.bench.report import FORMAT, Machine, Measured, Report, Subject
from visiond.modelkit.bench.timings import summarize

ONE = Subject("cpu", "litert", 1, "xnnpack", None)
TWO = Subject("cpu", "litert", 2, "builtin", None)
STICK = Subject("edgetpu", "litert", 1, "xnnpack", "usb:0")
QUIET = (10.0, 10.1, 9.9, 10.0, 10.05)


def measured(subject: Subject, rounds_ms: Sequence[float] = QUIET) -> Measured:
    """Every round has ten runs, all of one length."""
    timing = summarize([[span] * 10 for span in rounds_ms])
    return Measured(subject, "LiteRT 2.3.0", timing, timing, timing, timing, timing, 80.0, 12.5, 70.5, 75.1, None)


def report(*subjects: Measured, sha256: str = "a" * 64, package: str = "shapes", load: float = 0.2) -> Report:
    machine = Machine("a board", "aarch64", 4, "6.12.1", "3.11.2", "4.12.0", load, 48.5, False)
    frame, began = "640×480 of cat.jpg", "2026-01-02T03:04:05+00:00"
    files = {"cpu": sha256}
    return Report(FORMAT, "0.1.0", package, files, frame, 5, began, machine, tuple(subjects), (), (), None, (), None)
