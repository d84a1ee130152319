"""Which tolerances of model.yaml are broken, each in a sentence with the number and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from visiond.modelkit.manifest import Tolerances
from visiond.modelkit.verify.numeric import OutputParity
from visiond.modelkit.verify.preprocessing import ConventionParity
from visiond.modelkit.verify.report import Broken, Meaning, SweepRow, VariantReport

MAX_INPUT_QUANTA: Final = 1.0  # where only a convention is named: frameworks round otherwise
_SHIFTED: Final = 5.0  # points; a few more hits with other labels are chance too
_WORTH: Final = 1.0  # points; less between two recipes is chance
_TWIN: Final = "check that it is the twin of the reference, and convert or compile it again"


def broken_by_input(
    tolerances: Tolerances, preprocessing: tuple[ConventionParity, ...], best: tuple[str, ConventionParity] | None
) -> Iterator[Broken]:
    """Compare with the convention that is named; `best` is the device's interpolation that comes nearest to it."""
    found = next((each for each in preprocessing if each.name == tolerances.convention), None)
    if found is None:
        return
    remedy = "give input what the training did"
    if best is not None and best[1].mean_quanta < found.mean_quanta:
        remedy = f"give input.interpolation: {best[0]}, which is off by {_number(best[1].max_quanta)} at most"
    elif preprocessing[0].name != found.name:
        remedy = f"the recipe comes nearest to {preprocessing[0].name}; give input.resize what the training did"
    limits = (
        ("max_input_quanta", found.max_quanta, tolerances.max_input_quanta),
        ("mean_input_quanta", found.mean_quanta, tolerances.mean_input_quanta),
    )
    for key, measured, limit in limits:
        most = MAX_INPUT_QUANTA if key.startswith("max") and limit is None else limit
        if most is not None and measured > most:
            text = (
                f"the input tensors are {_number(measured)} quanta from {found.name}'s "
                f"({'at most' if key.startswith('max') else 'on average'}), and {_number(most)} are allowed; {remedy}"
            )
            yield Broken(key, "input", measured, most, text)


def broken_by_variant(
    tolerances: Tolerances, variant: VariantReport, reference: VariantReport, cause: str | None
) -> Iterator[Broken]:
    """Compare one variant with the reference; `cause` is what the dataset showed to be wrong, with the remedy."""
    if variant.failure is not None and not variant.is_unavailable:
        yield Broken("runs", variant.name, None, None, f"{variant.name} does not run: {variant.failure}")
    for sentence in variant.golden_failures:
        remedy = cause or "find out which of model, recipe and example is wrong"
        yield Broken("golden", variant.name, None, None, f"{variant.name}: {sentence}; {remedy}")
    if variant is not reference:
        yield from broken_by_outputs(tolerances, variant.name, variant.judged)
        yield from _of_shapes(tolerances, variant)
        yield from _of_findings(tolerances, variant)
    yield from _of_meaning(tolerances, variant, reference, cause)


def unchecked(tolerances: Tolerances, has_dataset: bool, has_pictures: bool, has_best: bool = True) -> Iterator[str]:
    """Say which tolerances nothing was measured for, and what to give; `has_best`: the reference was evaluated."""
    given = tolerances.model_fields_set
    if not has_dataset and (missing := sorted(given & {"min_accuracy", "max_accuracy_loss"})):
        yield f"{', '.join(missing)}: not checked, give --dataset"
    elif has_dataset and not has_best and "max_accuracy_loss" in given:
        yield "max_accuracy_loss: not checked, give --reference: plain kernels are too slow for a dataset"
    wanted = given & {"min_top1_agreement", "min_iou", "max_score_gap", "max_keypoint_gap"}
    if not has_pictures and wanted:
        yield f"{', '.join(sorted(wanted))}: not checked, give --pictures or golden examples"


def cause_of(sweep: tuple[SweepRow, ...], shifts: dict[int, float], offset: int) -> str | None:
    """Return what a dataset shows to be wrong, with the remedy; None where nothing is clearly better.

    Whichever gains more: labels that are one off, or another recipe. `offset` is labels.offset.
    """
    own = shifts.get(0, 0.0)
    shift = max(shifts, key=lambda each: shifts[each], default=0)
    best = max(sweep, key=lambda row: row.points, default=None)
    shifted = (shifts[shift] - own) * 100 if shift else 0.0
    if shifted >= _SHIFTED and (best is None or shifted > best.points):
        return f"the labels are shifted: with labels.offset: {offset + shift} it would be {shifts[shift]:.1%}"
    if best is not None and best.points >= _WORTH and best.meaning.value.low > _own(sweep).value.value:
        return f"with '{best.name}' it is {best.points:.1f} points better: correct input, if the training was so"
    return None


def broken_by_outputs(tolerances: Tolerances, variant: str, outputs: Sequence[OutputParity]) -> Iterator[Broken]:
    """Judge outputs of the variant of this name; ids and ranked rows break nothing."""
    for output in outputs:
        where = f"{variant}, output '{output.name}'"
        limits = (
            ("max_quanta", output.max_quanta, tolerances.max_quanta, "at most"),
            ("mean_quanta", output.mean_quanta, tolerances.mean_quanta, "on average"),
        )
        for key, measured, limit, how in limits:
            if measured is not None and limit is not None and not measured <= limit and output.kind == "values":
                text = (
                    f"{where}: {_number(measured)} quanta from the reference {how}, and {_number(limit)} are allowed; "
                    f"{_TWIN}"
                )
                yield Broken(key, where, measured, limit, text)
        least = tolerances.min_cosine
        if least is not None and output.kind == "values" and not output.cosine >= least:
            text = f"{where}: its cosine with the reference is {output.cosine:.4f}, below {least}; {_TWIN}"
            yield Broken("min_cosine", where, output.cosine, least, text)


def _of_shapes(tolerances: Tolerances, variant: VariantReport) -> Iterator[Broken]:
    if variant.incomparable and (tolerances.max_quanta is not None or tolerances.min_cosine is not None):
        text = f"{variant.name}: the reference has no output of the shape of {variant.incomparable[0]}; {_TWIN}"
        yield Broken("outputs", variant.name, None, None, text)


def _of_findings(tolerances: Tolerances, variant: VariantReport) -> Iterator[Broken]:
    found = variant.findings
    if found is None:
        return
    least = (
        ("min_top1_agreement", found.top1, tolerances.min_top1_agreement, "the reference's first class in {:.1%}"),
        ("min_iou", found.min_iou, tolerances.min_iou, "an object overlaps the reference's by IoU {:.2f} only"),
    )
    for key, measured, limit, words in least:
        if measured is not None and limit is not None and measured < limit:
            text = f"{variant.name}: {words.format(measured)}, and {limit:g} is the least; {_TWIN}"
            yield Broken(key, variant.name, measured, limit, text)
    most = (
        ("max_score_gap", found.max_score_gap, tolerances.max_score_gap, "a score"),
        ("max_keypoint_gap", found.max_keypoint_gap, tolerances.max_keypoint_gap, "a keypoint"),
    )
    for key, measured, limit, what in most:
        if measured is not None and limit is not None and measured > limit:
            text = f"{variant.name}: {what} is {measured:.3f} from the reference's, and {limit:g} is allowed; {_TWIN}"
            yield Broken(key, variant.name, measured, limit, text)


def _of_meaning(
    tolerances: Tolerances, variant: VariantReport, reference: VariantReport, cause: str | None
) -> Iterator[Broken]:
    found = variant.meaning
    if found is None:
        return
    value, interval = found.value.value, f"{found.value.low:.1%} to {found.value.high:.1%}"
    said = f"{variant.name}: {found.metric} is {value:.1%} ({interval}) over {found.pictures} pictures"
    least, loss = tolerances.min_accuracy, tolerances.max_accuracy_loss
    if least is not None and value < least:
        remedy = cause or "look at the wrong pictures in the HTML report, and at labels, colours, mean and std"
        yield Broken("min_accuracy", variant.name, value, least, f"{said}, below {least:.1%}; {remedy}")
    best = reference.meaning
    if loss is not None and best is not None and variant is not reference and best.value.value - value > loss:
        lost = (best.value.value - value) * 100
        text = (
            f"{said}, {lost:.1f} points below the reference, and {loss * 100:.1f} are allowed; "
            "quantize with more representative pictures, or train with quantization in mind"
        )
        yield Broken("max_accuracy_loss", variant.name, best.value.value - value, loss, text)


def _own(sweep: tuple[SweepRow, ...]) -> Meaning:
    return next(row.meaning for row in sweep if row.is_own)


def _number(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"
