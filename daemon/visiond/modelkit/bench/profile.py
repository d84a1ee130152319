"""Profile: where the time of one invoke goes, operator by operator, as far as the runtime tells it.

LiteRT tells it by its C interface, ONNX Runtime by its own profiling. tflite-runtime's and pycoral's wheels tell
nothing, and a stick nothing of what runs on it.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from visiond.modelkit.bench.report import OperatorTime, Profile, Subject
from visiond.modelkit.bench.rounds import Died, converse_or_die

MODULE: Final = "visiond.modelkit.bench.profile_process"
_THREADS: Final = 1  # with more, what an operator takes is no share of the whole any more
_SILENT: Final = {
    "tflite-runtime": "tflite-runtime's wheel offers no profiler; LiteRT's does, and runs the same file",
    "pycoral": "pycoral offers no profiler",
}


def profile(folder: Path, subject: Subject, seconds: float) -> Profile:
    """Profile one subject of the package in `folder`, for about `seconds`; what cannot be profiled is a remark."""
    remark = _SILENT.get(subject.runtime)
    if subject.device is not None:
        remark = "what runs on the stick is one operator for the runtime; the stick tells nothing of what is in it"
    if remark is not None:
        return Profile(subject, None, 0, (), remark)
    order = {
        "folder": str(folder),
        "file": subject.file,
        "runtime": subject.runtime,
        "threads": _THREADS,
        "seconds": seconds,
    }
    try:
        heard = converse_or_die(MODULE, {**order, "xnnpack": subject.kernels == "xnnpack"}, lambda _: None)
    except Died as error:
        return Profile(subject, None, 0, (), str(error))
    return Profile(subject, heard["source"], len(heard["invokes"]), operator_times(heard["invokes"]), None)


def profile_each(folder: Path, subjects: Sequence[Subject], seconds: float) -> tuple[Profile, ...]:
    """One profile for each runtime and delegate: of its subject with the fewest threads, on one thread."""
    first: dict[tuple[str, str], Subject] = {}
    for subject in sorted(subjects, key=lambda each: each.threads):
        first.setdefault((subject.runtime, subject.delegate), subject)
    return tuple(profile(folder, subject, seconds) for subject in first.values())


def operator_times(invokes: Sequence[Sequence[Sequence[Any]]]) -> tuple[OperatorTime, ...]:
    """Put the operators of one name together, the dearest first; each invoke is a list of [name, µs, delegated]."""
    sums: list[dict[tuple[str, bool], float]] = []
    counts: dict[tuple[str, bool], int] = {}
    for spans in invokes:
        total: dict[tuple[str, bool], float] = defaultdict(float)
        counts = defaultdict(int)
        for name, span_us, delegated in spans:
            total[name, delegated] += span_us / 1000
            counts[name, delegated] += 1
        sums.append(total)
    p50_ms = {key: statistics.median(each.get(key, 0.0) for each in sums) for key in counts}
    whole_ms = sum(p50_ms.values()) or 1.0
    made = [
        OperatorTime(name, counts[name, delegated], round(span_ms, 4), round(span_ms / whole_ms, 4), delegated)
        for (name, delegated), span_ms in p50_ms.items()
    ]
    return tuple(sorted(made, key=lambda each: -each.p50_ms))
