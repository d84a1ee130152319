"""The report as one page that holds everything: no address outside, pictures and plots inside, light and dark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final

import numpy as np

from visiond.engine.preprocess import Preprocessor
from visiond.modelkit.evaluation.dataset import LabelledFolders, open_picture
from visiond.modelkit.verify import charts
from visiond.modelkit.verify.conventions import conventions
from visiond.modelkit.verify.outcome import Outcome
from visiond.modelkit.verify.preprocessing import differences
from visiond.modelkit.verify.report import Report, SweepRow, VariantReport
from visiond.modelkit.verify.session import Subject, Verified
from visiond.modelkit.verify.style import STYLE
from visiond.modelkit.verify.terminal import found_alike
from visiond.modelkit.verify.views import (
    caption,
    class_names,
    data_address,
    difference_map,
    drawn_findings,
    tensor_picture,
    thumbnail,
)

_MOST_PICTURES: Final = 4
_MOST_WRONG: Final = 12
_FAR: Final = 10.0  # points at which a cell of the sweep has its full colour


def page(subject: Subject, verified: Verified) -> str:
    """Return the whole page."""
    report = verified.report
    body = (
        *_head(report),
        *_preprocessing(subject, verified),
        *_variants(report),
        *_pictures(subject, verified),
        *_meaning(report),
        *_wrong(subject, verified),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.package)}: verified</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _head(report: Report) -> Iterator[str]:
    yield f"<h1>{escape(report.package)}</h1>"
    recipe = report.recipe
    yield (
        f"<p class=lead>{escape(report.task)}; {escape(recipe['resize'])}, {escape(recipe['interpolation'])}, "
        f"{escape(recipe['color'])}, mean {_numbers(recipe['mean'])}, std {_numbers(recipe['std'])}. Compared with "
        f"{escape(report.reference.name)} ({escape(report.reference.file)}) by visiond {escape(report.visiond)}.</p>"
    )
    if report.broken:
        items = "".join(f"<li><b>{escape(each.tolerance)}</b>: {escape(each.text)}</li>" for each in report.broken)
        yield f"<section class='verdict bad'><h2>{len(report.broken)} broken</h2><ul>{items}</ul></section>"
    elif report.tolerances:
        names = ", ".join(f"{key} {value}" for key, value in report.tolerances.items())
        yield f"<section class='verdict good'><h2>All tolerances hold</h2><p>{escape(names)}</p></section>"
    else:
        items = ", ".join(f"{key}: {value}" for key, value in report.suggested.items())
        yield "<section class=verdict><h2>model.yaml has no tolerances</h2><p>These hold now:</p>"
        yield f"<pre>tolerances: {{{escape(items)}}}</pre></section>"
    yield from (f"<p class=note>{escape(text)}</p>" for text in report.unchecked)


def _preprocessing(subject: Subject, verified: Verified) -> Iterator[str]:
    report = verified.report
    named = report.tolerances.get("convention")
    yield "<h2>Preprocessing</h2><p>The input tensors that the device makes, against each training convention's: the "
    yield "mean difference in quanta of the input, on a scale by the square root. The nearest is first.</p>"
    rows = [
        (each.name, each.mean_quanta, f"{each.mean_quanta:.3f}, at most {each.max_quanta:g}, {each.equal:.1%} equal")
        for each in report.preprocessing
    ]
    yield f"<figure>{charts.bars([(name, value, text) for name, value, text in rows], named)}</figure>"
    yield from _tensors(subject, verified)


def _tensors(subject: Subject, verified: Verified) -> Iterator[str]:
    """One picture's input tensor, and where three conventions differ from it."""
    opened = next((each.opened for each in verified.outcomes[1:] if each.opened), verified.outcomes[0].opened)
    assert opened is not None, "the reference has opened"
    info, recipe = opened.input, subject.package.input
    picture = open_picture(subject.probes[0].path)
    values = np.empty(info.shape, info.dtype)
    Preprocessor(recipe, info).write(picture, values)
    by_name = {each.name: each for each in conventions()}
    ranking = [each.name for each in verified.report.preprocessing]
    named = verified.report.tolerances.get("convention")
    shown = list(dict.fromkeys([*([named] if named else []), ranking[0], *ranking[1:]]))[:4]
    yield "<div class=pictures>"
    yield _figure(data_address(thumbnail(picture)), f"{subject.probes[0].name}")
    yield _figure(tensor_picture(values, recipe.color), "the input tensor")
    for name in shown:
        gaps = differences(by_name[name], recipe, info, picture, values)
        yield _figure(difference_map(gaps), f"{name}: mean {gaps.mean():.3f}, at most {gaps.max():g} quanta")
    yield "</div><p class=note>Of the differences, black is none and white is 8 quanta and more.</p>"


def _variants(report: Report) -> Iterator[str]:
    yield "<h2>Variants</h2>"
    columns = ("variant", "runtime", "computed by", "p50 ms", "golden", "found alike", "remark")
    yield _table(columns, [_variant(each, report) for each in report.all])
    head = ("variant", "output", "max quanta", "mean", "max real", "cosine", "allclose", "equal")
    rows = [
        (
            each.name,
            f"{output.name}{'' if output.kind == 'values' else f' ({output.kind})'}",
            "-" if output.max_quanta is None else f"{output.max_quanta:.1f}",
            "-" if output.mean_quanta is None else f"{output.mean_quanta:.3f}",
            f"{output.max_real:.4g}",
            f"{output.cosine:.6f}",
            "yes" if output.allclose else "no",
            f"{output.equal:.2%}",
        )
        for each in report.variants
        for output in each.outputs
    ]
    if not rows:
        return
    pictures = f"{len(report.pictures)} pictures and {len(report.drawn)} drawn ones ({', '.join(report.drawn)})"
    yield f"<h3>Outputs against the reference, on {escape(pictures)}</h3>{_table(head, rows, left=2)}"
    yield "<div class=histograms>"
    for each in report.variants:
        for output in each.outputs:
            if output.max_quanta is not None:
                plot = charts.histogram(output.histogram, f"≥{len(output.histogram) - 1}")
                yield f"<figure>{plot}<figcaption>{escape(each.name)}<br>{escape(output.name)}</figcaption></figure>"
    yield "</div><p class=note>Differences in quanta of the output: the share of each, from one to a millionth.</p>"


def _variant(each: VariantReport, report: Report) -> tuple[str, ...]:
    tried = each.golden_passed + len({text.partition(":")[0] for text in each.golden_failures})
    return (
        each.name,
        each.runtime or "-",
        " on ".join(filter(None, (each.engine, each.library))) or "-",
        "-" if each.invoke_p50_ms is None else f"{each.invoke_p50_ms:.1f}",
        f"{each.golden_passed} of {tried}" if tried else "none",
        "" if each is report.reference else found_alike(each),
        each.failure or each.remark or "",
    )


def _pictures(subject: Subject, verified: Verified) -> Iterator[str]:
    """What each variant found in the first pictures."""
    real = [number for number, probe in enumerate(subject.probes) if not probe.is_drawn][:_MOST_PICTURES]
    if not real:
        return
    yield "<h2>Found</h2>"
    for number in real:
        picture = open_picture(subject.probes[number].path)
        yield f"<h3>{escape(subject.probes[number].name)}</h3><div class=pictures>"
        for outcome in verified.outcomes:
            if number < len(outcome.runs):
                run = outcome.runs[number]
                said = run.problem or caption(run.result)
                yield _figure(drawn_findings(picture, run.result), f"{outcome.variant.name}: {said}")
        yield "</div>"


def _meaning(report: Report) -> Iterator[str]:
    measured = [(each.name, each.meaning) for each in report.all if each.meaning is not None]
    if not measured:
        return
    first = measured[0][1]
    yield f"<h2>Meaning: {escape(str(report.dataset))}</h2><p>{escape(first.metric)} over {first.pictures} pictures, "
    yield "with 95 % intervals.</p>"
    points = [(name, found.value.value, found.value.low, found.value.high) for name, found in measured]
    yield f"<figure>{charts.intervals(points)}</figure>"
    more = list(first.more)
    head = ("variant", first.metric, "95 % interval", *more, "agreement", "undecoded", "p50 ms")
    rows = [
        (
            name,
            f"{found.value.value:.1%}",
            f"{found.value.low:.1%} to {found.value.high:.1%}",
            *(f"{found.more[key].value:.1%}" if key in found.more else "" for key in more),
            "-" if found.agreement is None else f"{found.agreement:.1%}",
            str(found.undecoded),
            f"{found.invoke_p50_ms:.1f}",
        )
        for name, found in measured
    ]
    yield _table(head, rows)
    if report.sweep:
        yield from _sweep(report.sweep)


def _sweep(sweep: Sequence[SweepRow]) -> Iterator[str]:
    own = next(row for row in sweep if row.is_own)
    yield f"<h3>What another recipe would cost, on {own.meaning.pictures} pictures</h3>"
    yield f"<p>Points of {escape(own.meaning.metric)} against the package's own "
    yield f"{own.meaning.value.value:.1%}, which is framed.</p>"
    grid = {(row.resize, row.interpolation): row for row in sweep if not row.is_mixed_up}
    across, down = (list(dict.fromkeys(key[n] for key in grid)) for n in (0, 1))
    head = "".join(f"<th>{escape(each)}</th>" for each in ("", *across))
    yield f"<div class=scroll><table class=heat><thead><tr>{head}</tr></thead><tbody>"
    for name in down:
        cells = "".join(_cell(grid.get((column, name))) for column in across)
        yield f"<tr><th>{escape(name)}</th>{cells}</tr>"
    yield "</tbody></table></div>"
    mixed = [row for row in sweep if row.is_mixed_up or row.is_own]
    prefix = f"{own.name}, "
    points = [
        (row.name.removeprefix(prefix), row.meaning.value.value, row.meaning.value.low, row.meaning.value.high)
        for row in mixed
    ]
    yield f"<figure>{charts.intervals(points, own.name)}</figure>"


def _cell(row: SweepRow | None) -> str:
    if row is None:
        return "<td></td>"
    strength = min(1.0, abs(row.points) / _FAR)
    kind = "worse" if row.points < 0 else "better"
    value = row.meaning.value
    title = f"{value.value:.1%}, {value.low:.1%} to {value.high:.1%}"
    own = " own" if row.is_own else ""
    return f'<td class="{kind}{own}" style="--strength:{strength:.2f}" title="{title}">{row.points:+.1f}</td>'


def _wrong(subject: Subject, verified: Verified) -> Iterator[str]:
    """Pictures of labelled folders that the first variant takes for something else."""
    judged: Outcome | None = next((each for each in verified.outcomes[1:] if each.evaluation is not None), None)
    if judged is None or judged.evaluation is None or not isinstance(verified.dataset, LabelledFolders):
        return
    names = subject.package.load_labels().names
    wrong = [
        (picture, answer)
        for picture, answer in zip(verified.dataset.pictures, judged.evaluation.answers, strict=True)
        if not answer or answer[0].class_id not in picture.class_ids
    ]
    if not wrong:
        return
    yield f"<h3>Wrong: {len(wrong)} of {len(verified.dataset.pictures)}, by {escape(judged.variant.name)}</h3>"
    yield "<div class='pictures small'>"
    for picture, answer in wrong[:: max(1, len(wrong) // _MOST_WRONG)][:_MOST_WRONG]:
        said = f"{class_names([answer[0].class_id], names)} {answer[0].score:.2f}" if answer else "nothing"
        truth = class_names(sorted(picture.class_ids)[:1], names)
        yield _figure(data_address(thumbnail(open_picture(picture.path), 160)), f"{truth}: found {said}")
    yield "</div>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """`left`: so many columns hold words, the others numbers."""
    names = "".join(f"<th>{escape(each)}</th>" for each in head)
    lines = "".join(
        f"<tr>{''.join(f'<td{_align(n, cell, left)}>{escape(cell)}</td>' for n, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>"


def _align(column: int, cell: str, left: int) -> str:
    is_number = column >= left and cell[:1] in "-+0123456789" and not cell.endswith(")") and " of " not in cell
    return " class=number" if is_number else ""


def _figure(address: str, text: str) -> str:
    return f'<figure><img src="{address}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'


def _numbers(values: Any) -> str:
    return escape("[" + ", ".join(f"{value:g}" for value in values) + "]")
