"""The report for a terminal: tables by rich where it is, plain columns else; at most 100 characters wide."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import Any, Final, TextIO

from visiond.modelkit.columns import split_columns, widths_of
from visiond.modelkit.verify.report import Meaning, Report, SweepRow, VariantReport

WIDTH: Final = 100
_MOST_CONVENTIONS: Final = 8
_NAME: Final = 45  # of a variant and its output
_GAP: Final = 2  # around rich's columns without lines
_PROSE: Final = 20  # the least width of a column of words

Rows = Sequence[Sequence[str]]


def print_report(report: Report, out: TextIO) -> None:
    """Print everything."""
    show = _rich(out) if out.isatty() and find_spec("rich") is not None else _Plain(out)
    show.line(f"{report.package}: {report.task}, compared with {report.reference.name} ({report.reference.file})")
    _preprocessing(report, show)
    _variants(report, show)
    _meaning(report, show)
    _verdict(report, show)


class _Plain:
    """Columns of text."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def line(self, text: str = "", style: str = "") -> None:  # noqa: ARG002 - there are no styles here
        print(text, file=self._out)

    def table(self, title: str, head: Sequence[str], rows: Rows) -> None:
        print(f"\n{title}", file=self._out)
        widths = widths_of((head, *rows))
        numeric = [_is_numeric([row[n] for row in rows]) for n in range(len(head))]
        for row in (head, *rows):
            columns = zip(row, widths, numeric, strict=True)
            cells = [cell.rjust(width) if right else cell.ljust(width) for cell, width, right in columns]
            print(f"  {'  '.join(cells)}".rstrip(), file=self._out)


class _Rich:
    """The same with lines and colours."""

    def __init__(self, console: Any) -> None:
        self._console = console

    def line(self, text: str = "", style: str = "") -> None:
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)

    def table(self, title: str, head: Sequence[str], rows: Rows) -> None:
        from rich.table import Table
        from rich.text import Text

        numeric = [_is_numeric([row[n] for row in rows]) for n in range(len(head))]
        widths = widths_of((head, *rows))
        if not numeric[-1]:  # prose, which may be broken between words
            words = (len(word) for row in (head, *rows) for word in row[-1].split())
            widths[-1] = min(widths[-1], max(_PROSE, *words, 0))
        first: str | None = f"\n{title}"
        for columns in split_columns(widths, self._console.width, keys=1, gap=_GAP):
            table = Table(title=first, title_justify="left", title_style="bold", box=None, header_style="dim")
            for n in columns:
                prose = n == len(head) - 1 and not numeric[-1]
                table.add_column(head[n], justify="right" if numeric[n] else "left", overflow="fold", no_wrap=not prose)
            for row in rows:
                table.add_row(*(Text(row[n]) for n in columns))
            self._console.print(table)
            first = ""


def _is_numeric(cells: Sequence[str]) -> bool:
    """Whether a column is one of numbers, which stand at its right."""
    return all(cell[:1] in "-+0123456789" or cell in ("", "package", "no twin") for cell in cells)


def _rich(out: TextIO) -> _Rich:
    from rich.console import Console

    console = Console(file=out)
    console.width = min(console.width, WIDTH)
    return _Rich(console)


def _preprocessing(report: Report, show: Any) -> None:
    recipe = report.recipe
    named = report.tolerances.get("convention")
    shown = [*report.preprocessing[:_MOST_CONVENTIONS]]
    shown += [each for each in report.preprocessing[_MOST_CONVENTIONS:] if each.name == named]
    rows = [
        (
            f"{each.name}{' *' if each.name == named else ''}",
            f"{each.equal:.2%}",
            _number(each.max_quanta),
            f"{each.mean_quanta:.3f}",
            each.what,
        )
        for each in shown
    ]
    what = f"Preprocessing: {recipe['resize']}, {recipe['interpolation']}, against training conventions, nearest first"
    show.table(what, ("convention", "equal", "max quanta", "mean", ""), rows)
    if named is not None:
        show.line("  * the one that tolerances.convention names")
    left = len(report.preprocessing) - len(shown)
    if left > 0:
        show.line(f"  … {left} more in --json and --html, farther away")


def _variants(report: Report, show: Any) -> None:
    rows: list[tuple[str, ...]] = [(each.name, each.runtime or "-", *_run(each, report)) for each in report.all]
    show.table("Variants", ("variant", "runtime", "p50 ms", "golden", "found alike"), rows)
    for each in report.all:
        if each.failure is not None:
            show.line(f"  {each.name}: {each.failure}", "yellow" if each.is_unavailable else "red")
        if each.remark is not None:
            show.line(f"  {each.name}: {each.remark}", "yellow")
    rows = [row for each in report.variants for row in _outputs(each)]
    if rows:
        count = f"{len(report.pictures)} pictures, {len(report.drawn)} drawn"
        head = ("variant, output", "max", "mean", "max real", "cosine", "close", "equal")
        quantized = any(output.max_quanta is not None for each in report.variants for output in each.outputs)
        unit = "max and mean in quanta" if quantized else "not quantized"
        show.table(f"Outputs against the reference, {unit} ({count})", head, rows)


def _run(each: VariantReport, report: Report) -> tuple[str, str, str]:
    p50 = "-" if each.invoke_p50_ms is None else f"{each.invoke_p50_ms:.1f}"
    tried = each.golden_passed + len({text.partition(":")[0] for text in each.golden_failures})
    golden = f"{each.golden_passed} of {tried}" if tried else "none"
    return p50, golden, "" if each is report.reference else found_alike(each)


def found_alike(each: VariantReport) -> str:
    """Say in a few words how alike its findings are to the reference's."""
    found = each.findings
    if found is None:
        return "no pictures"
    parts = []
    if found.top1 is not None:
        parts.append(f"top-1 {found.top1:.0%}, top-5 {found.top5 or 0:.0%}")
    elif found.min_iou is not None:
        parts.append(f"IoU ≥ {found.min_iou:.2f}")
        parts += [f"{found.unmatched} alone"] if found.unmatched else []
    if found.max_score_gap is not None:
        parts.append(f"score ± {found.max_score_gap:.2f}")
    if found.max_keypoint_gap is not None:
        parts.append(f"points ± {found.max_keypoint_gap:.3f}")
    if found.undecoded:
        parts.append(f"{found.undecoded} undecoded")
    return ", ".join(parts) or "nothing clear"


def _outputs(each: VariantReport) -> Iterator[tuple[str, ...]]:
    for output in each.outputs:
        kind = f" ({output.kind})" if output.kind != "values" else ""
        yield (
            f"{each.name}, {_short(output.name, _NAME - len(each.name) - len(kind))}{kind}",
            _number(output.max_quanta),
            "-" if output.mean_quanta is None else f"{output.mean_quanta:.3f}",
            f"{output.max_real:.3g}",
            f"{output.cosine:.5f}",
            "yes" if output.allclose else "no",
            f"{output.equal:.1%}",
        )
    for name in each.incomparable:
        yield f"{each.name}, {_short(name, _NAME - len(each.name))}", *("no twin", *("-",) * 5)


def _meaning(report: Report, show: Any) -> None:
    measured = [(each.name, each.meaning) for each in report.all if each.meaning is not None]
    if measured:
        metric, more = measured[0][1].metric, next(iter(measured[0][1].more), "")
        head = ("variant", metric, "95 % interval", more, "agreement", "p50 ms")
        rows = [(name, *_cells(found, more)) for name, found in measured]
        show.table(f"Meaning: {report.dataset}, {measured[0][1].pictures} pictures", head, rows)
    if report.sweep:
        _sweep(report, show)


def _sweep(report: Report, show: Any) -> None:
    """Resize across, interpolation down; below it what is mixed up."""
    own = next(row for row in report.sweep if row.is_own)
    grid = {(row.resize, row.interpolation): row for row in report.sweep if not row.is_mixed_up}
    across, down = (list(dict.fromkeys(key[n] for key in grid)) for n in (0, 1))
    rows: list[tuple[str, ...]] = [
        (name, *(_points(grid[column, name]) if (column, name) in grid else "" for column in across)) for name in down
    ]
    value = own.meaning.value
    show.table(
        f"Points of {own.meaning.metric} against the package's {value.value:.1%} ({value.low:.1%} to {value.high:.1%}, "
        f"{own.meaning.pictures} pictures)",
        ("", *across),
        rows,
    )
    show.table("and with", ("", "points"), [(row.name, _points(row)) for row in report.sweep if row.is_mixed_up])


def _points(row: SweepRow) -> str:
    return "package" if row.is_own else f"{row.points:+.1f}"


def _cells(found: Meaning, more: str) -> tuple[str, ...]:
    value = found.value
    return (
        f"{value.value:.1%}",
        f"{value.low:.1%} to {value.high:.1%}",
        f"{found.more[more].value:.1%}" if more in found.more else "",
        "-" if found.agreement is None else f"{found.agreement:.1%}",
        f"{found.invoke_p50_ms:.1f}",
    )


def _verdict(report: Report, show: Any) -> None:
    show.line()
    for each in report.broken:
        show.line(f"broken: {each.tolerance}: {each.text}", "bold red")
    for text in notes(report):
        show.line(f"note: {text}", "yellow")
    if report.broken:
        return
    if report.tolerances:
        show.line(f"{len(report.tolerances)} tolerances hold", "green")
    elif report.suggested:
        items = ", ".join(f"{key}: {value}" for key, value in report.suggested.items())
        show.line("model.yaml has no tolerances; these hold now:")
        show.line(f"tolerances: {{{items}}}")


def notes(report: Report) -> list[str]:
    """What is worth saying beside what is broken."""
    told = any(report.cause in each.text for each in report.broken) if report.cause is not None else True
    return [*report.unchecked, *([] if told or report.cause is None else [report.cause])]


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    return f"{value:.0f}" if abs(value - round(value)) < 1e-3 else f"{value:.1f}"


def _short(name: str, length: int) -> str:
    """The end of a tensor's name tells more than its beginning."""
    length = max(8, length)
    return name if len(name) <= length else f"…{name[1 - length :]}"
