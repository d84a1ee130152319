"""One verification: every variant in a process of its own, then what they gave, compared and judged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from visiond import __version__
from visiond.errors import VisiondError
from visiond.messages import StickOrder
from visiond.modelkit.evaluation.average_precision import Interval, require_pycocotools
from visiond.modelkit.evaluation.dataset import Dataset, load_dataset, sizes_told
from visiond.modelkit.evaluation.measure import Evaluation, agreement, shifted_labels
from visiond.modelkit.evaluation.pictures import check_pictures, open_picture
from visiond.modelkit.manifest import InputRecipe, Tolerances
from visiond.modelkit.package import Package
from visiond.modelkit.runner import Variant
from visiond.modelkit.tflite_file import open_model
from visiond.modelkit.verify import suggestions as suggest
from visiond.modelkit.verify import tolerances as judge
from visiond.modelkit.verify.findings import findings_parity
from visiond.modelkit.verify.numeric import numeric_parity
from visiond.modelkit.verify.order import VariantOrder
from visiond.modelkit.verify.outcome import Outcome, run_variant
from visiond.modelkit.verify.preprocessing import best_interpolation, preprocessing_parity
from visiond.modelkit.verify.probes import Probe
from visiond.modelkit.verify.progress import Progress
from visiond.modelkit.verify.report import Broken, Meaning, Report, SweepRow, VariantReport
from visiond.modelkit.verify.sweep import describe, sweep_recipes
from visiond.modelkit.verify.variants import ONNX

_SHIFTS: Final = (-1, 0, 1)


class ReferenceFails(VisiondError):
    """There is nothing to compare with; the code is the one of its cause."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be verified, and with what. `sweep_most` pictures of the dataset are swept; 0: none."""

    package: Package
    reference: Variant
    variants: tuple[Variant, ...]
    stick: StickOrder | None
    probes: tuple[Probe, ...]
    dataset: Path | None
    dataset_most: int | None
    sweep_most: int


@dataclass(frozen=True, slots=True)
class Verified:
    """The report, and what the HTML and `--record` take from the outcomes: the reference's first."""

    report: Report
    outcomes: tuple[Outcome, ...]
    dataset: Dataset | None


def verify(subject: Subject, scratch: Path, progress: Progress) -> Verified:
    """Run everything. Raises VisiondError in words where the reference, the dataset or a picture cannot be used."""
    package, dataset = subject.package, None
    if subject.dataset is not None:
        dataset = load_dataset(subject.dataset, package.load_labels(), package.task, subject.dataset_most)
        if package.task == "detection":
            require_pycocotools()
    progress.begin("the pictures", "opening")
    paths, sizes = _all_pictures(subject, dataset), sizes_told(dataset)
    check_pictures(paths, sizes, lambda done, of: progress.stage("opening them", done, of))
    outcomes = tuple(_run_all(subject, scratch, progress))
    reference = outcomes[0]
    if reference.opened is None:
        raise ReferenceFails(f"{reference.variant.name}: {reference.failure}", reference.exit_code)
    return Verified(_report(subject, outcomes, dataset), outcomes, dataset)


def _all_pictures(subject: Subject, dataset: Dataset | None) -> tuple[Path, ...]:
    """Return every picture that any variant will open, each once."""
    paths = [probe.path for probe in subject.probes]
    if dataset is not None and subject.dataset is not None:
        paths += dataset.paths
        if subject.sweep_most:
            package = subject.package
            paths += load_dataset(subject.dataset, package.load_labels(), package.task, subject.sweep_most).paths
    return tuple(dict.fromkeys(paths))


def _run_all(subject: Subject, scratch: Path, progress: Progress) -> Iterator[Outcome]:
    swept = subject.variants[0].name if subject.variants else subject.reference.name
    for number, variant in enumerate((subject.reference, *subject.variants)):
        progress.begin(variant.name)
        out = scratch / str(number)
        out.mkdir()
        sweeps = subject.dataset is not None and subject.sweep_most > 0 and variant.name == swept
        recipes = sweep_recipes(subject.package.input, _input_size(subject, variant)) if sweeps else {}
        order = VariantOrder(
            folder=str(subject.package.folder),
            variant=variant,
            out=str(out),
            pictures=tuple(str(probe.path) for probe in subject.probes),
            dataset=str(subject.dataset) if subject.dataset is not None and _is_evaluated(subject, variant) else None,
            most=subject.dataset_most,
            recipes=tuple(recipe.model_dump() for recipe in recipes.values()),
            sweep_most=subject.sweep_most,
        )
        yield run_variant(order, progress.stage)


def _is_evaluated(subject: Subject, variant: Variant) -> bool:
    """Not the plain kernels: they take ten times as long, and what they differ in shows in the outputs."""
    return variant.kernels != "reference" or not subject.variants


def _input_size(subject: Subject, variant: Variant) -> tuple[int, int]:
    """Return the input's width and height, read from the file: only a child may open it."""
    if subject.package.input.size is not None or variant.path.suffix != ".tflite":
        return subject.package.input.size or (224, 224)
    with open_model(variant.path) as model:
        shape = model.input_tensors[0].shape
    return (shape[2], shape[1]) if len(shape) == 4 else (224, 224)


def _report(subject: Subject, outcomes: Sequence[Outcome], dataset: Dataset | None) -> Report:
    package, reference = subject.package, outcomes[0]
    limits = package.tolerances or Tolerances.model_validate({})
    real = [probe for probe in subject.probes if not probe.is_drawn]
    base = next((outcome.evaluation for outcome in outcomes if outcome.evaluation is not None), None)
    reports = tuple(_variant(outcome, reference, base, package.output.decoder, len(real)) for outcome in outcomes)
    swept = next((outcome for outcome in outcomes if outcome.sweep), None)
    sweep = () if swept is None else tuple(_sweep(package.input, swept, _input_size(subject, swept.variant)))
    judged = next((each for each in outcomes[1:] if each.evaluation is not None), reference).evaluation
    shifts = {}
    if judged is not None and dataset is not None:
        shifts = {shift: judged.value if not shift else shifted_labels(judged, dataset, shift) for shift in _SHIFTS}
    own = next((each for each in outcomes[1:] if each.opened is not None), reference)
    assert own.opened is not None, "the reference has opened"
    pictures = [open_picture(probe.path) for probe in subject.probes]
    preprocessing = tuple(preprocessing_parity(package.input, own.opened.input, pictures))
    best = None
    if limits.convention is not None:
        best = best_interpolation(limits.convention, package.input, own.opened.input, pictures)
    offset = 0 if package.labels is None else package.labels.offset
    cause = judge.cause_of(sweep, shifts, offset)
    broken: list[Broken] = list(judge.broken_by_input(limits, preprocessing, best))
    suggestions = suggest.suggested(reports[1:], preprocessing, package.task)
    for each in reports:
        broken += judge.broken_by_variant(limits, each, reports[0], cause)
    return Report(
        package=package.name,
        task=package.task,
        recipe=package.input.model_dump(),
        visiond=__version__,
        reference=reports[0],
        variants=reports[1:],
        preprocessing=preprocessing,
        pictures=tuple(probe.name for probe in real),
        drawn=tuple(probe.name for probe in subject.probes if probe.is_drawn),
        dataset=None if subject.dataset is None else subject.dataset.name,
        sweep=sweep,
        shifts=shifts,
        cause=cause,
        tolerances=limits.model_dump(exclude_none=True),
        broken=tuple(broken),
        unchecked=tuple(_unchecked(subject, limits, suggestions, reports, dataset)),
        suggested=suggestions,
    )


def _unchecked(
    subject: Subject,
    limits: Tolerances,
    suggestions: dict[str, float | str],
    reports: Sequence[VariantReport],
    dataset: Dataset | None,
) -> Iterator[str]:
    """Yield what no tolerance looks at, and why; without tolerances, the same of those that are suggested."""
    names = {drawn: [probe.name for probe in subject.probes if probe.is_drawn is drawn] for drawn in (False, True)}
    variants = tuple(reports[1:])
    yield from judge.unchecked(limits, dataset is not None, bool(names[False]), reports[0].meaning is not None)
    if subject.package.tolerances is None:
        yield from suggest.not_suggested(variants)
        limits = Tolerances.model_validate(suggestions)
    yield from suggest.drawn_alone(limits, variants, names[False], names[True])
    for each in variants:
        if each.is_reference:
            yield (
                f"{each.name} is the reference itself ({each.file} on the same runtime): their outputs agree whatever "
                "they are; give --reference the float model that it came from"
            )


def _variant(outcome: Outcome, reference: Outcome, base: Evaluation | None, decoder: str, real: int) -> VariantReport:
    """`base` is what answers are compared with: the reference's, or the first variant's."""
    opened = outcome.opened
    outputs = tuple(numeric_parity(reference, outcome, decoder))
    compared = [each.name for each in outputs]
    names = () if opened is None else tuple(info.name for info in opened.outputs)
    spans_ms = sorted(run.invoke_ms for run in outcome.runs)
    evaluation = outcome.evaluation
    return VariantReport(
        name=outcome.variant.name,
        file=outcome.variant.path.name,
        runtime=None if opened is None else opened.runtime,
        engine=None if opened is None else opened.engine,
        library=None if opened is None else opened.library,
        remark=None if opened is None else opened.remark,
        failure=outcome.failure,
        exit_code=outcome.exit_code,
        golden_passed=0 if opened is None else opened.golden_passed,
        golden_failures=() if opened is None else opened.golden_failures,
        invoke_p50_ms=spans_ms[len(spans_ms) // 2] if spans_ms else None,
        outputs=outputs,
        incomparable=tuple(name for name in names if name not in compared) if outcome.runs else (),
        findings=findings_parity(reference.runs[:real], outcome.runs[:real]) if real and outcome.runs else None,
        meaning=None if evaluation is None else _meaning(evaluation, base),
        judged=tuple(numeric_parity(reference, replace(outcome, runs=outcome.runs[:real]), decoder))
        if real
        else outputs,
        is_reference=outcome is not reference and _is_same(outcome, reference),
    )


def _is_same(one: Outcome, other: Outcome) -> bool:
    """Whether both ran the same file in the same way; ONNX Runtime has no kernels to choose from."""
    if one.opened is None or other.opened is None or one.variant.path.resolve() != other.variant.path.resolve():
        return False
    kernels = one.variant.runtime == ONNX or one.variant.kernels == other.variant.kernels
    return kernels and (one.opened.runtime, one.opened.engine) == (other.opened.runtime, other.opened.engine)


def _meaning(evaluation: Evaluation, reference: Evaluation | None) -> Meaning:
    return Meaning(
        evaluation.metric,
        Interval(evaluation.value, evaluation.low, evaluation.high),
        evaluation.more,
        evaluation.pictures,
        evaluation.undecoded,
        None if reference is None else agreement(evaluation, reference),
        evaluation.invoke_p50_ms,
    )


def _sweep(own: InputRecipe, outcome: Outcome, tensor: tuple[int, int]) -> Iterator[SweepRow]:
    base = outcome.sweep[0]
    for (name, recipe), found in zip(sweep_recipes(own, tensor).items(), outcome.sweep, strict=True):
        points = (found.value - base.value) * 100
        mixed = name != describe(recipe)
        resize = describe(recipe).removesuffix(f" {recipe.interpolation}")
        yield SweepRow(name, resize, recipe.interpolation, recipe == own, mixed, _meaning(found, base), points)
