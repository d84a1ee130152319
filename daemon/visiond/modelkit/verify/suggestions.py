"""Tolerances for a model.yaml that has none: what holds now, and what is left out or not looked at, with the reason."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from visiond.modelkit.manifest import Tolerances
from visiond.modelkit.verify.preprocessing import ConventionParity
from visiond.modelkit.verify.report import Broken, VariantReport
from visiond.modelkit.verify.tolerances import MAX_INPUT_QUANTA, broken_by_outputs

_TELLING: Final = 64.0  # quanta; a limit beyond it would let anything pass
_LEAST: Final = 0.1  # of a share or an IoU: less leaves, with some slack, nothing that could break


def suggested(
    variants: tuple[VariantReport, ...], preprocessing: tuple[ConventionParity, ...], task: str
) -> dict[str, float | str]:
    """Return tolerances that hold now, with some slack; none that could never break."""
    found: dict[str, float | str] = {}
    if preprocessing and preprocessing[0].max_quanta <= MAX_INPUT_QUANTA:
        found["convention"] = preprocessing[0].name
    others = _others(variants)
    outputs = [out for each in others for out in each.judged if out.kind == "values"]
    quanta = [out.max_quanta for out in outputs if out.max_quanta is not None]
    means = [out.mean_quanta for out in outputs if out.mean_quanta is not None]
    if quanta and math.isfinite(max(quanta)):
        if max(quanta) <= _TELLING:
            found["max_quanta"] = float(math.ceil(max(quanta) * 1.5 + 1))
        found["mean_quanta"] = round(max(means) * 1.5 + 0.05, 2)
    top1 = [each.findings.top1 for each in others if each.findings is not None and each.findings.top1 is not None]
    if top1 and min(top1) >= _LEAST:
        found["min_top1_agreement"] = math.floor(min(top1) * 20 - 1) / 20
    ious = [each.findings.min_iou for each in others if each.findings and each.findings.min_iou is not None]
    if ious and min(ious) >= _LEAST and task != "classification":
        found["min_iou"] = math.floor(min(ious) * 20 - 1) / 20
    values = [each.meaning.value for each in variants if each.meaning is not None]
    if values and min(each.low for each in values) >= 0.01:
        found["min_accuracy"] = math.floor(min(each.low for each in values) * 100) / 100
    return found


def not_suggested(variants: tuple[VariantReport, ...]) -> Iterator[str]:
    """Say why a tolerance is left out of `suggested`, and what to do for one."""
    for each in _others(variants):
        found = each.findings
        if found is not None and found.top1 is not None and found.top1 < _LEAST:
            yield (
                f"min_top1_agreement is not suggested: {each.name} has the reference's first class in {found.top1:.0%} "
                "of the pictures, so it could never break; check the reference, or give other --pictures"
            )
        if found is not None and found.top1 is None and found.min_iou is not None and found.min_iou < _LEAST:
            what = f"an object overlaps the reference's by IoU {found.min_iou:.2f} only"
            if found.unmatched:
                what = f"only one of {each.name} and the reference finds {found.unmatched} of {found.objects} objects"
            yield f"min_iou is not suggested: {what}, so it could never break; give --pictures in which both are sure"


def drawn_alone(
    tolerances: Tolerances, variants: tuple[VariantReport, ...], real: Sequence[str], drawn: Sequence[str]
) -> Iterator[str]:
    """Say what the drawn pictures alone would break, a sentence for each tolerance: where there are real ones, they
    are not judged, for no camera sees such.
    """
    beyond: dict[str, list[Broken]] = {}
    for variant in variants if real else ():
        judged = {(each.tolerance, each.where) for each in broken_by_outputs(tolerances, variant.name, variant.judged)}
        for each in broken_by_outputs(tolerances, variant.name, variant.outputs):
            if (each.tolerance, each.where) not in judged:
                beyond.setdefault(each.tolerance, []).append(each)
    for key, places in beyond.items():
        first, more = places[0], f" and {len(places) - 1} more" if len(places) > 1 else ""
        yield (
            f"{key}: {first.limit:g} does not hold with the drawn pictures ({', '.join(drawn)}): "
            f"{first.measured:.3g} of {first.where}{more}; only the real pictures are judged"
        )


def _others(variants: tuple[VariantReport, ...]) -> tuple[VariantReport, ...]:
    """What is the reference itself agrees with it, whatever it computes."""
    return tuple(each for each in variants if not each.is_reference)
