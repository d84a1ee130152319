"""The report as one page that holds everything: no address outside, pictures and plots inside, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

import numpy as np

from visiond.engine.preprocess import Preprocessor
from visiond.modelkit.evaluation.pictures import open_picture
from visiond.modelkit.verify import charts
from visiond.modelkit.verify.conventions import conventions
from visiond.modelkit.verify.html_meaning import meaning_section, wrong_section
from visiond.modelkit.verify.html_parts import figure, numbers, table
from visiond.modelkit.verify.preprocessing import differences
from visiond.modelkit.verify.report import Report, VariantReport
from visiond.modelkit.verify.session import Subject, Verified
from visiond.modelkit.verify.style import STYLE
from visiond.modelkit.verify.terminal import found_alike, notes
from visiond.modelkit.verify.views import (
    caption,
    data_address,
    difference_map,
    drawn_findings,
    tensor_picture,
    thumbnail,
)

_MOST_PICTURES: Final = 4


def page(subject: Subject, verified: Verified) -> str:
    """Return the whole page."""
    report = verified.report
    body = (
        *_head(report),
        *_preprocessing(subject, verified),
        *_variants(report),
        *_pictures(subject, verified),
        *meaning_section(report),
        *wrong_section(subject, verified),
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
        f"{escape(recipe['color'])}, mean {numbers(recipe['mean'])}, std {numbers(recipe['std'])}. Compared with "
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
    yield from (f"<p class=note>{escape(text)}</p>" for text in notes(report))


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
    yield figure(data_address(thumbnail(picture)), f"{subject.probes[0].name}")
    yield figure(tensor_picture(values, recipe.color), "the input tensor")
    for name in shown:
        gaps = differences(by_name[name], recipe, info, picture, values)
        yield figure(difference_map(gaps), f"{name}: mean {gaps.mean():.3f}, at most {gaps.max():g} quanta")
    yield "</div><p class=note>Of the differences, black is none and white is 8 quanta and more.</p>"


def _variants(report: Report) -> Iterator[str]:
    yield "<h2>Variants</h2>"
    columns = ("variant", "runtime", "computed by", "p50 ms", "golden", "found alike", "remark")
    yield table(columns, [_variant(each, report) for each in report.all])
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
    yield f"<h3>Outputs against the reference, on {escape(pictures)}</h3>{table(head, rows, left=2)}"
    if all(output.max_quanta is None for each in report.variants for output in each.outputs):
        return
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
                yield figure(drawn_findings(picture, run.result), f"{outcome.variant.name}: {said}")
        yield "</div>"
