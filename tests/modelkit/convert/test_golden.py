"""What is recorded of a float model's answers, and that a slightly worse one still meets it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from visiond.detection import Box, Classification, Detection, Result, Stages
from visiond.modelkit.convert.golden import examples
from visiond.modelkit.manifest import GoldenExample

STAGES = Stages(0, 0, 0, 0)


def classified(*classes: Classification) -> Result:
    return Result("", 1, 0, "cpu", STAGES, classes=classes)


def detected(*objects: Detection) -> Result:
    return Result("", 1, 0, "cpu", STAGES, objects=objects)


@given(score=st.floats(0, 1))
def test_the_best_class_with_slack(score: float) -> None:
    (example,) = examples("classification", ["a.png"], [classified(Classification("cat", 3, score))])
    (expected,) = GoldenExample.model_validate(example).expect
    assert expected.label == "cat"
    assert 0.8 * score - 0.01 <= expected.min_score <= 0.8 * score + 1e-9


@given(
    edges=st.tuples(*(st.integers(0, 400) for _ in range(2)), *(st.integers(450, 1000) for _ in range(2))),
    score=st.floats(0.4, 1),
)
def test_a_clear_box_meets_its_own_example(edges: tuple[int, int, int, int], score: float) -> None:
    box = Box(edges[0] / 1000, edges[1] / 1000, edges[2] / 1000, edges[3] / 1000)
    (example,) = examples("detection", ["a.png"], [detected(Detection("dog", 0, score, box))])
    (expected,) = GoldenExample.model_validate(example).expect
    assert expected.box is not None
    ymin, xmin, ymax, xmax = expected.box
    assert Box(xmin, ymin, xmax, ymax).iou(box) > 0.99 > expected.iou
    assert expected.min_score <= score


def test_what_is_not_clear_or_has_no_name_promises_nothing() -> None:
    box = Box(0.1, 0.1, 0.5, 0.5)
    unsure, unnamed = Detection("dog", 0, 0.39, box), Detection(None, 7, 0.9, box)
    assert examples("detection", ["a.png"], [detected(unsure, unnamed)]) == []
    assert examples("classification", ["a.png"], [classified(Classification(None, 7, 0.9))]) == []
    assert examples("pose", ["a.png"], [detected(Detection("person", 0, 0.9, box))]) == []
