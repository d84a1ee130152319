"""Tolerances: each breaks where it should, with the number in the sentence, and holds at its limit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from visiond.modelkit.consistency import TASKS_OF_TOLERANCE, contradictions
from visiond.modelkit.evaluation.average_precision import Interval
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import Manifest, Tolerances
from visiond.modelkit.verify.findings import FindingsParity
from visiond.modelkit.verify.numeric import OutputParity
from visiond.modelkit.verify.preprocessing import ConventionParity
from visiond.modelkit.verify.report import Meaning, SweepRow, VariantReport
from visiond.modelkit.verify.tolerances import broken_by_input, broken_by_variant, cause_of, unchecked

OUTPUT = OutputParity("scores", "values", 4.0, 0.5, 0.1, 0.01, 0.99, False, 0.9, (1,) * 11)
FOUND = FindingsParity(8, top1=0.75, min_iou=0.6, max_score_gap=0.2, max_keypoint_gap=0.03)


def meaning(value: float, reach: float = 0.05) -> Meaning:
    return Meaning("top-1", Interval(value, value - reach, value + reach), {}, 100, 0, None, 1.0)


def variant(**changes: Any) -> VariantReport:
    plain = VariantReport(
        "cpu",
        "cpu.tflite",
        "LiteRT",
        "cpu",
        None,
        None,
        None,
        0,
        1,
        (),
        1.0,
        (OUTPUT,),
        (),
        FOUND,
        meaning(0.7),
        (OUTPUT,),
    )
    return replace(plain, **{"judged": changes.get("outputs", plain.judged), **changes})


REFERENCE = variant(name="reference", meaning=meaning(0.72))


@pytest.mark.parametrize(
    ("key", "holds", "breaks", "number"),
    [
        ("max_quanta", 4.0, 3.9, "4 quanta"),
        ("mean_quanta", 0.5, 0.4, "0.5 quanta"),
        ("min_cosine", 0.99, 0.995, "0.9900"),
        ("min_top1_agreement", 0.75, 0.8, "75.0%"),
        ("min_iou", 0.6, 0.65, "0.60"),
        ("max_score_gap", 0.2, 0.1, "0.200"),
        ("max_keypoint_gap", 0.03, 0.02, "0.030"),
        ("min_accuracy", 0.7, 0.71, "70.0% (65.0% to 75.0%)"),
        ("max_accuracy_loss", 0.03, 0.01, "2.0 points below"),
    ],
)
def test_each_tolerance(key: str, holds: float, breaks: float, number: str) -> None:
    assert list(broken_by_variant(Tolerances.model_validate({key: holds}), variant(), REFERENCE, None)) == []
    (broken,) = broken_by_variant(Tolerances.model_validate({key: breaks}), variant(), REFERENCE, None)
    assert (broken.tolerance, broken.limit) == (key, breaks)
    assert number in broken.text


def test_nan_breaks() -> None:
    nan = replace(OUTPUT, max_quanta=float("nan"), cosine=float("nan"))
    limits = Tolerances.model_validate({"max_quanta": 9.0, "min_cosine": 0.1})
    assert len(list(broken_by_variant(limits, variant(outputs=(nan,)), REFERENCE, None))) == 2


def test_ids_and_ranked_rows_break_nothing() -> None:
    limits = Tolerances.model_validate({"max_quanta": 1.0, "min_cosine": 1.0})
    outputs = (replace(OUTPUT, kind="ids"), replace(OUTPUT, kind="ranked"))
    assert list(broken_by_variant(limits, variant(outputs=outputs), REFERENCE, None)) == []


def test_what_does_not_run_is_broken_and_what_is_not_here_is_not() -> None:
    none = Tolerances.model_validate({})
    (broken,) = broken_by_variant(none, variant(failure="it died of SIGABRT", exit_code=70), REFERENCE, None)
    assert broken.text == "cpu does not run: it died of SIGABRT"
    assert list(broken_by_variant(none, variant(failure="it is not installed", exit_code=69), REFERENCE, None)) == []


def test_an_output_without_a_twin_is_broken() -> None:
    limits = Tolerances.model_validate({"min_cosine": 0.5})
    (broken,) = broken_by_variant(limits, variant(incomparable=("boxes",)), REFERENCE, None)
    assert "no output of the shape of boxes" in broken.text


def test_the_convention() -> None:
    near, far = ConventionParity("pillow_bilinear", "", 0.9, 1.0, 0.1), ConventionParity("opencv_area", "", 0.1, 9, 3)
    limits = Tolerances.model_validate({"convention": "opencv_area"})
    (broken,) = broken_by_input(limits, (near, far), ("area", replace(far, max_quanta=0, mean_quanta=0)))
    assert "9 quanta from opencv_area's (at most), and 1 are allowed" in broken.text
    assert "give input.interpolation: area" in broken.text
    (broken,) = broken_by_input(limits, (near, far), ("area", far))
    assert "nearest to pillow_bilinear" in broken.text
    assert list(broken_by_input(Tolerances.model_validate({"convention": "pillow_bilinear"}), (near, far), None)) == []
    strict = Tolerances.model_validate({"convention": "pillow_bilinear", "mean_input_quanta": 0.05})
    assert [each.tolerance for each in broken_by_input(strict, (near, far), None)] == ["mean_input_quanta"]


def test_a_cause_must_be_worth_it() -> None:
    def row(name: str, value: float, own: bool = False) -> SweepRow:
        return SweepRow(name, "stretch", "area", own, False, meaning(value), (value - 0.5) * 100)

    own = row("own", 0.5, True)
    assert cause_of((own, row("other", 0.505)), {0: 0.5}, 0) is None, "half a point"
    assert cause_of((own, row("other", 0.54)), {0: 0.5}, 0) is None, "its interval holds the package's own"
    assert "40.0 points better" in (cause_of((own, row("other", 0.9)), {0: 0.5}, 0) or "")
    assert "40.0 points better" in (cause_of((own, row("other", 0.9)), {-1: 0.0, 0: 0.003, 1: 0.017}, 0) or "")
    assert cause_of((own, row("other", 0.9)), {-1: 0.9, 0: 0.1, 1: 0.0}, 1) == (
        "the labels are shifted: with labels.offset: 0 it would be 90.0%"
    )


def test_what_was_not_measured_is_said() -> None:
    limits = Tolerances.model_validate({"min_accuracy": 0.5, "min_iou": 0.5})
    assert list(unchecked(limits, has_dataset=True, has_pictures=True)) == []
    notes = list(unchecked(limits, has_dataset=False, has_pictures=False))
    assert [note.partition(":")[0] for note in notes] == ["min_accuracy", "min_iou"]


def test_the_drawn_pictures_break_nothing_where_there_are_real_ones() -> None:
    limits = Tolerances.model_validate({"mean_quanta": 1.0})
    drawn = replace(OUTPUT, mean_quanta=25.8)
    assert list(broken_by_variant(limits, variant(outputs=(drawn,), judged=(OUTPUT,)), REFERENCE, None)) == []
    assert len(list(broken_by_variant(limits, variant(outputs=(drawn,)), REFERENCE, None))) == 1


@pytest.mark.parametrize("key", sorted(TASKS_OF_TOLERANCE))
def test_a_tolerance_that_means_nothing_to_the_task_is_refused(key: str) -> None:
    task = "segmentation" if key != "min_iou" else "classification"
    decoder = "deeplab" if task == "segmentation" else "scores"
    manifest = Manifest.model_validate(
        {
            "name": "x",
            "task": task,
            "files": {"cpu": {"path": "x"}},
            "input": {"mean": (0.0,) * 3, "std": (1.0,) * 3},
            "output": {"decoder": decoder},
            "tolerances": {key: 0.5},
        }
    )
    (problem,) = contradictions(manifest, Labels)
    assert problem == (("tolerances", key), f"has no meaning with task: {task}; remove it")


def test_an_input_tolerance_needs_a_convention() -> None:
    ((where, text),) = contradictions(_with({"max_input_quanta": 1.0}), Labels)
    assert where == ("tolerances", "max_input_quanta")
    assert "add tolerances.convention" in text


def _with(tolerances: dict[str, Any]) -> Manifest:
    return Manifest.model_validate(
        {
            "name": "x",
            "task": "classification",
            "files": {"cpu": {"path": "x"}},
            "input": {"mean": (0.0,) * 3, "std": (1.0,) * 3},
            "output": {"decoder": "scores"},
            "tolerances": tolerances,
        }
    )
