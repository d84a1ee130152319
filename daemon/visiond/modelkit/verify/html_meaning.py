"""The HTML report's part on meaning: accuracy, the sweep of recipes, and what was taken for something else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from visiond.modelkit.evaluation.dataset import LabelledFolders
from visiond.modelkit.evaluation.pictures import open_picture
from visiond.modelkit.verify import charts
from visiond.modelkit.verify.html_parts import figure, table
from visiond.modelkit.verify.outcome import Outcome
from visiond.modelkit.verify.report import Report, SweepRow
from visiond.modelkit.verify.session import Subject, Verified
from visiond.modelkit.verify.views import class_names, data_address, thumbnail

_MOST_WRONG: Final = 12
_FAR: Final = 10.0  # points at which a cell of the sweep has its full colour


def meaning_section(report: Report) -> Iterator[str]:
    """Yield nothing where there is no dataset."""
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
    yield table(head, rows)
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


def wrong_section(subject: Subject, verified: Verified) -> Iterator[str]:
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
        yield figure(data_address(thumbnail(open_picture(picture.path), 160)), f"{truth}: found {said}")
    yield "</div>"
