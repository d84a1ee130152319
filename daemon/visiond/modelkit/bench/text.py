"""A bench's report for a person: tables, and sentences for what cannot be told in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TextIO

from visiond.modelkit.bench.comparison import Comparison
from visiond.modelkit.bench.report import Drift, Measured, Profile, Report, Subject, ToolMeasured
from visiond.modelkit.bench.tables import Table, print_table
from visiond.modelkit.bench.timings import Interval, Timing

AGREEMENT: Final = 0.05  # within which our loop and the tool are said to agree
_DOUBT: Final = (
    "  not told: 1 lies within the interval, the rounds of both lie among each other, there are fewer",
    "  than 5 of them, or the load was above 2 a CPU. Heat or load that has held for all of a run is",
    "  not in what its rounds differ by: where that matters, measure both again",
)
_ROUNDS: Final = 3  # with fewer, an interval says nothing and is not shown
_OPERATORS: Final = 8  # of a profile; the rest is one line


def print_report(report: Report, out: TextIO) -> None:
    """Print all of it but the comparison."""
    for line in _head(report):
        print(line, file=out)
    if report.measured:
        print_table(_invoke_table(report.measured), out)
        print_table(_whole_table(report.measured, report.frame), out)
    for line in _failures(report):
        print(line, file=out)
    if report.tool:
        print_table(_tool_table(report.tool), out)
    for profile in report.profiles:
        if profile.operators:
            print_table(_profile_table(profile), out)
    for line in (*_unprofiled(report.profiles), *_drift(report.drift)):
        print(line, file=out)


def print_comparison(comparison: Comparison, out: TextIO) -> None:
    """Print the ratios, what else differs, and what they cannot tell."""
    rows = tuple(
        (
            *_cells(each.subject),
            "invoke" if each.stage == "invoke" else "whole way",
            f"{each.before_p50_ms:.2f}",
            f"{each.now_p50_ms:.2f}",
            f"{each.ratio:.3f}",
            _interval(each.interval, 3) if each.rounds >= _ROUNDS else "–",
            each.verdict,
        )
        for each in comparison.ratios
    )
    heads = ("RUNTIME ", "DELEGATE ", "THR", "STAGE ", "BEFORE ms", "NOW ms", "RATIO", "95 %", "VERDICT ")
    print_table(Table("compared with the run before (medians; a ratio above 1 is slower now)", heads, rows), out)
    for line in _DOUBT:
        print(line, file=out)
    for what, before, now in comparison.differences:
        print(f"  {what}: {before} before, {now} now", file=out)
    for name in comparison.alone:
        print(f"  measured only once: {name}", file=out)


def _head(report: Report) -> Iterator[str]:
    machine = report.machine
    files = ", ".join(f"files.{key} {value[:12]}…" for key, value in report.sha256.items())
    yield f"{report.package} ({files})"
    heat = "" if machine.temperature_c is None else f", {machine.temperature_c:.0f} °C"
    load = "" if machine.load_1min is None else f", load {machine.load_1min:.1f} at the beginning"
    throttled = ", throttled" if machine.throttled else ""
    yield f"{machine.name}, {machine.cpus} CPUs, {machine.architecture}{load}{heat}{throttled}"
    versions = sorted({each.version for each in report.measured})
    yield "; ".join(
        (
            f"visiond {report.visiond}, Python {machine.python}, OpenCV {machine.opencv}",
            *filter(None, [", ".join(versions)]),
        )
    )


def _invoke_table(measured: Iterable[Measured]) -> Table:
    rows = tuple(
        (
            *_cells(each.subject),
            *_percentiles(each.invoke),
            f"{1000 / each.invoke.mean_ms:.1f}",
            f"{each.load_ms:.0f}",
            f"{each.rss_mb:.0f}",
        )
        for each in measured
    )
    heads = (
        "RUNTIME ",
        "DELEGATE ",
        "THR",
        "p50 ms",
        "95 %",
        "p95",
        "p99",
        "fps",
        "LOAD ms",
        "RSS MB",
    )
    return Table("invoke alone", heads, rows)


def _whole_table(measured: Iterable[Measured], frame: str) -> Table:
    rows = tuple(
        (
            *_cells(each.subject),
            f"{each.preprocess.p50_ms:.2f}",
            f"{each.whole_invoke.p50_ms:.2f}",
            f"{each.decode.p50_ms:.2f}",
            *_percentiles(each.whole),
            f"{1000 / each.whole.mean_ms:.1f}",
        )
        for each in measured
    )
    heads = (
        "RUNTIME ",
        "DELEGATE ",
        "THR",
        "PREPROCESS",
        "INVOKE",
        "DECODE",
        "p50 ms",
        "95 %",
        "p95",
        "p99",
        "fps",
    )
    return Table(f"the whole way of a frame, {frame}, one after the other (medians)", heads, rows)


def _tool_table(measured: Iterable[ToolMeasured]) -> Table:
    rows = tuple(
        (
            str(each.subject.threads),
            f"{each.our_p50_ms:.3f}",
            f"{each.tool_p50_ms:.3f}",
            f"{each.ratio:.3f}",
            _interval(each.ratio_interval, 3),
            "" if each.min_ratio is None else f"{each.min_ratio:.3f}",
            str(each.runs),
            _agreement(each),
        )
        for each in measured
    )
    first = next(iter(measured))
    title = f"invoke next to {first.tool} (in turns, {first.statistic}s; LiteRT with XNNPACK)"
    return Table(title, ("THR", "OURS ms", "TOOL ms", "RATIO", "95 %", "OF MINIMA", "RUNS", "WITHIN 5 % "), rows)


def _agreement(each: ToolMeasured) -> str:
    """Whether the two are within 5 % of each other, and whether the turns are sure of it."""
    low, high = 1 - AGREEMENT, 1 + AGREEMENT
    interval = each.ratio_interval
    if low <= each.ratio <= high:
        return "yes" if low <= interval.low and interval.high <= high else "yes, noise is more"
    return "no" if interval.high < low or interval.low > high else "no, but noise is more"


def _profile_table(profile: Profile) -> Table:
    shown, rest = profile.operators[:_OPERATORS], profile.operators[_OPERATORS:]
    rows = [
        (each.name, str(each.count), f"{each.p50_ms:.3f}", f"{each.share:.1%}", _by(profile, each.delegated))
        for each in shown
    ]
    if rest:
        count, span_ms = sum(each.count for each in rest), sum(each.p50_ms for each in rest)
        rows.append(
            (f"{len(rest)} more kinds", str(count), f"{span_ms:.3f}", f"{sum(each.share for each in rest):.1%}", "")
        )
    subject = profile.subject
    title = f"operators, {subject.runtime}, {subject.delegate}, 1 thread ({profile.source}, {profile.invokes} invokes)"
    return Table(title, ("OPERATOR ", "COUNT", "p50 ms", "SHARE", "BY "), tuple(rows))


def _by(profile: Profile, delegated: bool) -> str:
    return profile.subject.delegate if delegated else "the runtime's kernels"


def _unprofiled(profiles: Iterable[Profile]) -> Iterator[str]:
    silent = [each for each in profiles if each.remark is not None]
    if silent:
        yield ""
    for each in silent:
        yield f"no operators of {each.subject.runtime}, {each.subject.delegate}: {each.remark}"


def _failures(report: Report) -> Iterator[str]:
    if report.failed:
        yield ""
    names: dict[str, list[str]] = {}  # what goes wrong with all of them is told once
    for failure in report.failed:
        names.setdefault(failure.text, []).append(failure.subject.name)
    yield from (f"not measured: {'; '.join(each)}: {text}" for text, each in names.items())
    for each in report.measured:
        if each.remark:
            yield f"{each.subject.name}: {each.remark}"
    if report.tool_failure is not None:
        yield f"the tool: {report.tool_failure}"


def _drift(drift: Drift | None) -> Iterator[str]:
    if drift is None:
        return
    yield ""
    yield (
        f"{drift.seconds / 60:.1f} minutes of invokes, {drift.subject.name}: p50 {drift.first_p50_ms:.2f} ms in the "
        f"first tenth of {drift.invokes}, {drift.last_p50_ms:.2f} ms in the last: {drift.ratio:.3f} times"
    )
    yield f"  in twentieths of the time: {' '.join(f'{each:.1f}' for each in drift.series_p50_ms)} ms"
    if drift.first_temperature_c is None or drift.highest_temperature_c is None:
        yield "  this board tells no temperature"
    else:
        yield f"  temperature: {drift.first_temperature_c:.1f} °C before, {drift.highest_temperature_c:.1f} °C at most"
    if drift.first_cpu_mhz is not None and drift.lowest_cpu_mhz is not None:
        yield f"  CPU clock: {drift.first_cpu_mhz:.0f} MHz before, {drift.lowest_cpu_mhz:.0f} MHz at least"
    if drift.throttling is None:
        yield "  this board does not tell whether it is throttled"
    else:
        yield f"  throttling: {', '.join(drift.throttling) or 'none'}"


def _cells(subject: Subject) -> tuple[str, str, str]:
    """A run has one stick at most: its name stands in the sentences."""
    return subject.runtime, "Edge TPU" if subject.device is not None else subject.delegate, str(subject.threads)


def _percentiles(timing: Timing) -> tuple[str, str, str, str]:
    sure = _interval(timing.p50_interval_ms, 2) if len(timing.round_p50_ms) >= _ROUNDS else "–"
    return f"{timing.p50_ms:.2f}", sure, f"{timing.p95_ms:.2f}", f"{timing.p99_ms:.2f}"


def _interval(interval: Interval, digits: int) -> str:
    return f"{interval.low:.{digits}f}–{interval.high:.{digits}f}"
