"""TFLite_Detection_PostProcess in every order in which files have its outputs."""

from __future__ import annotations

import logging
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.detection import Box, Detection
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput
from visiond.engine.decode.ssd import SsdPostprocess
from visiond.engine.decode.ssd_roles import resolve_roles
from visiond.engine.geometry import Geometry, fit
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ROWS = 10
SHAPES = {"boxes": (1, ROWS, 4), "classes": (1, ROWS), "scores": (1, ROWS), "count": (1,)}
LABELS = Labels(("person", "bicycle", "cat", None, "dog"))

# (role, name) in the order of the file's outputs. TF1 is a real file's; TF2_NEWER is as printed in tensorflow#44481 and
# flutter-tflite#176.
TF1 = [
    ("boxes", "TFLite_Detection_PostProcess"),
    ("classes", "TFLite_Detection_PostProcess:1"),
    ("scores", "TFLite_Detection_PostProcess:2"),
    ("count", "TFLite_Detection_PostProcess:3"),
]
TF2_OLDER = [
    ("boxes", "StatefulPartitionedCall:3"),
    ("classes", "StatefulPartitionedCall:2"),
    ("scores", "StatefulPartitionedCall:1"),
    ("count", "StatefulPartitionedCall:0"),
]
TF2_NEWER = [
    ("scores", "StatefulPartitionedCall:1"),
    ("boxes", "StatefulPartitionedCall:3"),
    ("count", "StatefulPartitionedCall:0"),
    ("classes", "StatefulPartitionedCall:2"),
]
IN_WORDS = [
    ("scores", "detection_scores"),
    ("classes", "detection_classes"),
    ("boxes", "detection_boxes"),
    ("count", "num_detections"),
]
NAMELESS = [("scores", "a"), ("boxes", "b"), ("count", "c"), ("classes", "d")]
# Numbers that do not run from boxes to count mean something else: here they would mislead.
OTHER_NUMBERS = [("count", "call:1"), ("boxes", "call:0"), ("scores", "call:3"), ("classes", "call:2")]
Order = list[tuple[str, str]]


def infos(order: Order) -> list[TensorInfo]:
    return [TensorInfo(index, name, SHAPES[role], np.dtype("float32")) for index, (role, name) in enumerate(order)]


def settings(min_score: float = 0.0, max_objects: int = 100) -> DecodeSettings:
    return DecodeSettings(LABELS, min_score, max_objects, (300, 300))


def frame(
    classes: list[float], scores: list[float], boxes: list[list[float]] | None = None, count: float | None = None
) -> dict[str, NDArray[np.float32]]:
    """What the operator gives for these rows; the rows after them hold NaN, as unwritten memory may."""
    rows = len(classes)
    tensors = {role: np.full(shape, np.nan, np.float32) for role, shape in SHAPES.items()}
    tensors["classes"][0, :rows] = classes
    tensors["scores"][0, :rows] = scores
    tensors["boxes"][0, :rows] = [0.1, 0.2, 0.3, 0.4] if boxes is None else boxes
    tensors["count"][0] = rows if count is None else count
    return tensors


def outputs(order: Order, tensors: dict[str, NDArray[np.float32]]) -> list[NDArray[Any]]:
    return [tensors[role] for role, _ in order]


USUAL = frame([2, 0, 4], [0.9, 0.75, 0.5], [[0.1, 0.2, 0.3, 0.4], [0, 0, 1, 1], [0.5, 0.5, 0.75, 1]])
FOUND = (
    Detection("cat", 2, pytest.approx(0.9), Box(*(pytest.approx(edge) for edge in (0.2, 0.1, 0.4, 0.3)))),  # type: ignore[arg-type]
    Detection("person", 0, 0.75, Box(0, 0, 1, 1)),
    Detection("dog", 4, 0.5, Box(0.5, 0.5, 1, 0.75)),
)


@pytest.mark.parametrize("order", [TF1, TF2_OLDER, TF2_NEWER, IN_WORDS, NAMELESS, OTHER_NUMBERS])
def test_the_same_objects_come_out_of_every_order(order: Order) -> None:
    decoder = SsdPostprocess(infos(order), None, settings())
    assert decoder(outputs(order, USUAL), Geometry()) == FOUND


@pytest.mark.parametrize("order", list(permutations(TF1)))
def test_names_tell_the_roles_wherever_the_outputs_stand(order: Order) -> None:
    roles = resolve_roles(None, infos(order))
    assert roles.settled
    assert [order[position][0] for position in (roles.boxes, roles.classes, roles.scores, roles.count)] == [
        "boxes",
        "classes",
        "scores",
        "count",
    ]


@pytest.mark.parametrize("order", [NAMELESS, OTHER_NUMBERS])
def test_names_that_do_not_tell_leave_the_decision_to_the_values(order: Order) -> None:
    assert not resolve_roles(None, infos(order)).settled


def test_the_packages_own_word_comes_before_the_names() -> None:
    roles = {"boxes": 0, "classes": 2, "scores": 1, "count": 3}
    swapped = [TF1[0], ("scores", TF1[1][1]), ("classes", TF1[2][1]), TF1[3]]
    assert SsdPostprocess(infos(swapped), roles, settings())(outputs(swapped, USUAL), Geometry()) == FOUND


# Roles by value: evidence decides, and nothing is published without it.


def test_a_frame_without_objects_decides_nothing_and_is_a_result() -> None:
    decoder = SsdPostprocess(infos(NAMELESS), None, settings())
    assert decoder(outputs(NAMELESS, frame([], [])), Geometry()) == ()
    assert decoder(outputs(NAMELESS, USUAL), Geometry()) == FOUND


@pytest.mark.parametrize(("classes", "scores"), [([0], [1]), ([1, 0], [1, 1]), ([0, 0], [0, 0])])
def test_values_that_could_be_either_are_refused_in_words(classes: list[float], scores: list[float]) -> None:
    decoder = SsdPostprocess(infos(NAMELESS), None, settings())
    with pytest.raises(InvalidOutput, match=r"both could be either; give output.roles"):
        decoder(outputs(NAMELESS, frame(classes, scores)), Geometry())
    assert decoder(outputs(NAMELESS, USUAL), Geometry()) == FOUND  # and the next frame may tell


def test_values_that_are_neither_are_refused_in_words() -> None:
    decoder = SsdPostprocess(infos(NAMELESS), None, settings())
    with pytest.raises(InvalidOutput, match=r"neither reading makes sense; give output.roles"):
        decoder(outputs(NAMELESS, frame([0.5], [0.25])), Geometry())


def test_what_one_frame_decided_holds_for_the_ambiguous_ones_after_it(caplog: pytest.LogCaptureFixture) -> None:
    decoder = SsdPostprocess(infos(NAMELESS), None, settings())
    with caplog.at_level(logging.INFO):
        decoder(outputs(NAMELESS, USUAL), Geometry())
        found = decoder(outputs(NAMELESS, frame([0], [1])), Geometry())
    assert [(each.class_id, each.score) for each in found] == [(0, 1.0)]
    assert caplog.messages == ["by their values, 'd' holds the classes and 'a' the scores"]


def test_a_frame_that_contradicts_is_dropped_and_the_next_one_decides_anew() -> None:
    decoder = SsdPostprocess(infos(NAMELESS), None, settings())
    misread = dict(USUAL, classes=USUAL["scores"], scores=USUAL["classes"])  # garbage that looked the other way round
    decoder(outputs(NAMELESS, misread), Geometry())
    with pytest.raises(InvalidOutput):
        decoder(outputs(NAMELESS, USUAL), Geometry())
    assert decoder(outputs(NAMELESS, USUAL), Geometry()) == FOUND


def test_roles_that_names_gave_are_not_changed_by_values() -> None:
    swapped = [TF1[0], ("scores", TF1[1][1]), ("classes", TF1[2][1]), TF1[3]]
    decoder = SsdPostprocess(infos(swapped), None, settings())
    for _ in range(2):
        with pytest.raises(InvalidOutput, match=r"classes are no class ids: 0.9, 0.75, 0.5; .* give output.roles"):
            decoder(outputs(swapped, USUAL), Geometry())


def test_roles_that_the_package_gave_and_that_are_wrong_are_to_be_corrected() -> None:
    decoder = SsdPostprocess(infos(TF1), {"boxes": 0, "classes": 2, "scores": 1, "count": 3}, settings())
    with pytest.raises(InvalidOutput, match=r"classes are no class ids: .*; output.roles has them in another order"):
        decoder(outputs(TF1, USUAL), Geometry())


@patient
@given(
    st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1, width=32)), min_size=1, max_size=ROWS),
    st.permutations(NAMELESS),
)
def test_values_never_lead_to_a_wrong_reading(rows: list[tuple[int, float]], order: Order) -> None:
    tensors = frame([float(class_id) for class_id, _ in rows], [score for _, score in rows])
    try:
        found = SsdPostprocess(infos(order), None, settings())(outputs(order, tensors), Geometry())
    except InvalidOutput:
        assert all(class_id in (0, 1) and score in (0, 1) for class_id, score in rows)
    else:
        assert sorted((each.class_id, each.score) for each in found) == sorted(rows)


# Which rows, and where.


def test_rows_from_count_on_are_ignored_whatever_they_hold() -> None:
    tensors = frame([2, 0, 4], [0.9, 0.75, 0.5], count=1)
    tensors["scores"][0, 1:] = [99, np.inf, -np.inf, np.nan, -1, 0.99, 2, 3, 4]
    assert [
        each.class_id for each in SsdPostprocess(infos(TF1), None, settings())(outputs(TF1, tensors), Geometry())
    ] == [2]


@patient
@given(st.lists(st.floats(0, 1, width=32), max_size=ROWS), st.floats(0, 1), st.integers(1, 5))
def test_best_first_within_min_score_and_max_objects(scores: list[float], min_score: float, most: int) -> None:
    tensors = frame([0.0] * len(scores), scores)
    found = SsdPostprocess(infos(TF1), None, settings(min_score, most))(outputs(TF1, tensors), Geometry())
    expected = sorted((score for score in scores if score >= min_score), reverse=True)[:most]
    assert [each.score for each in found] == expected


@patient
@given(st.lists(st.floats(-0.5, 1.5, width=32), min_size=4, max_size=4))
def test_boxes_are_clamped_and_left_out_when_nothing_is_inside(edges: list[float]) -> None:
    ymin, xmin, ymax, xmax = edges
    tensors = frame([0], [0.9], [edges])
    found = SsdPostprocess(infos(TF1), None, settings())(outputs(TF1, tensors), Geometry())
    expected = Box.clamped(xmin, ymin, xmax, ymax)
    assert [each.box for each in found] == ([expected] if expected.area > 0 else [])


def test_boxes_are_brought_from_the_letterbox_to_the_frame() -> None:
    geometry = fit("letterbox", (1280, 720), (640, 640)).geometry
    tensors = frame([0], [0.9], [[140 / 640, 0.25, 320 / 640, 0.5]])
    (found,) = SsdPostprocess(infos(TF1), None, settings())(outputs(TF1, tensors), geometry)
    assert (found.box.xmin, found.box.ymin, found.box.xmax, found.box.ymax) == pytest.approx((0.25, 0, 0.5, 0.5))


def test_fault_30_ids_without_a_label_are_published_with_null() -> None:
    tensors = frame([3, 90], [0.9, 0.8])
    found = SsdPostprocess(infos(TF1), None, settings())(outputs(TF1, tensors), Geometry())
    assert [(each.class_id, each.label) for each in found] == [(3, None), (90, None)]


POISON = [np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("order", [TF1, TF2_OLDER, TF2_NEWER, NAMELESS])
@pytest.mark.parametrize(
    ("role", "value"),
    [
        *((role, value) for role in SHAPES for value in POISON),
        ("scores", -0.5),
        ("scores", 1.5),
        ("classes", -1),
        ("classes", 1.5),
        ("classes", 1e30),
        ("count", -1),
        ("count", ROWS + 1),
        ("count", 2.5),
        ("count", 1e30),
    ],
)
def test_fault_31_poison_in_a_used_row_drops_the_frame_and_no_other(order: Order, role: str, value: float) -> None:
    poisoned = {name: values.copy() for name, values in USUAL.items()}
    poisoned[role].flat[0] = value
    decoder = SsdPostprocess(infos(order), None, settings())
    with pytest.raises(InvalidOutput):
        decoder(outputs(order, poisoned), Geometry())
    assert decoder(outputs(order, USUAL), Geometry()) == FOUND


@patient
@given(st.data())
def test_fault_31_whatever_the_tensors_hold_a_result_is_finite_and_in_range(data: st.DataObject) -> None:
    anything = st.floats(width=32)
    tensors = {
        role: np.array(data.draw(st.lists(anything, min_size=size, max_size=size)), np.float32).reshape(SHAPES[role])
        for role, size in (("boxes", 4 * ROWS), ("classes", ROWS), ("scores", ROWS))
    }
    tensors["classes"] = np.abs(np.trunc(np.nan_to_num(tensors["classes"]))) % 100
    tensors["count"] = np.array([data.draw(st.integers(0, 3))], np.float32)
    try:
        found = SsdPostprocess(infos(TF1), None, settings())(outputs(TF1, tensors), Geometry())
    except InvalidOutput:
        return
    for each in found:
        assert 0 <= each.score <= 1
        assert 0 <= each.box.xmin < each.box.xmax <= 1
        assert 0 <= each.box.ymin < each.box.ymax <= 1


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 10, 4), (1, 10), (1, 10)],
        [(1, 10, 4), (1, 10, 4), (1, 10), (1,)],
        [(1, 10, 4), (1, 10), (1, 20), (1,)],
        [(1, 20, 4), (1, 10), (1, 10), (1,)],
        [(1, 1917, 91)],
        [],
    ],
)
def test_outputs_that_cannot_be_these_four_are_refused_with_a_table(shapes: list[tuple[int, ...]]) -> None:
    given_outputs = [TensorInfo(0, f"out{index}", shape, np.dtype("float32")) for index, shape in enumerate(shapes)]
    with pytest.raises(ModelError) as refused:
        SsdPostprocess(given_outputs, None, settings())
    text = str(refused.value)
    assert "expects boxes [1, N, 4], classes and scores [1, N] and count [1]" in text
    for index, shape in enumerate(shapes):
        assert f"{index}: 'out{index}' float32 {list(shape)}" in text
