"""MoveNet's one pose, and several."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.channel import MAX_PACKET_BYTES
from visiond.detection import Result, Stages
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.decode.pose import COCO_KEYPOINTS, MAX_POSES
from visiond.engine.geometry import Geometry, fit
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError
from visiond.messages import to_json
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import OutputSpec

SINGLE = TensorInfo(3, "out", (1, 1, 17, 3), np.dtype("float32"))
SEVERAL = TensorInfo(3, "out", (1, 6, 56), np.dtype("float32"))


def decoder(*outputs: TensorInfo, min_score: float = 0.3, max_objects: int = 100, **spec: Any) -> Decoder:
    settings = DecodeSettings(Labels(("person",)), min_score, max_objects, (192, 192))
    return make_decoder(OutputSpec.model_validate({"decoder": "movenet", **spec}), outputs, settings)


def one_pose(scores: float = 0.8) -> NDArray[np.float32]:
    """Keypoints on a line from (0.2, 0.3) to (0.6, 0.9), x and y."""
    rows = np.empty((1, 1, 17, 3), np.float32)
    rows[..., 0], rows[..., 1], rows[..., 2] = np.linspace(0.3, 0.9, 17), np.linspace(0.2, 0.6, 17), scores
    return rows


@given(seed=st.integers(0, 2**32 - 1), resize=st.sampled_from(["stretch", "letterbox", "center_crop"]))
def test_each_keypoint_is_brought_to_the_frame(seed: int, resize: str) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.random((1, 1, 17, 3)).astype(np.float32)
    frame = (640, 480)
    geometry = fit(resize, frame, (192, 192)).geometry
    found = decoder(SINGLE, min_score=0)([rows], geometry)[0]
    assert found.keypoints is not None
    for (y, x, score), point, name in zip(rows[0, 0].tolist(), found.keypoints, COCO_KEYPOINTS, strict=True):
        if resize == "letterbox":  # 192×144 pixels of picture, 24 of padding above
            y = (y * 192 - 24) / 144
        elif resize == "center_crop":  # the middle 480×480 of 640×480
            x = (x * 480 + 80) / 640
        assert (point.name, point.score) == (name, pytest.approx(score))
        assert (point.x, point.y) == pytest.approx((min(max(x, 0), 1), min(max(y, 0), 1)), abs=1e-6)
    assert found.score == pytest.approx(rows[0, 0, :, 2].mean(), abs=1e-6)


def test_the_box_is_that_of_the_keypoints_of_which_the_model_is_not_unsure() -> None:
    rows = one_pose()
    rows[0, 0, -1] = 0.99, 0.01, 0.1
    (found,) = decoder(SINGLE)([rows], Geometry())
    assert (found.label, found.class_id) == ("person", 0)
    assert (found.box.xmin, found.box.ymin) == pytest.approx((0.2, 0.3))
    assert found.box.xmax < 0.6
    assert found.box.ymax < 0.9


def test_where_the_model_is_unsure_of_nearly_all_they_all_count() -> None:
    rows = one_pose(scores=0.1)
    rows[0, 0, :2, 2] = 0.9
    (found,) = decoder(SINGLE, min_score=0.1)([rows], Geometry())
    assert (found.box.xmin, found.box.ymin, found.box.xmax, found.box.ymax) == pytest.approx((0.2, 0.3, 0.6, 0.9))


def test_a_pose_of_a_low_score_is_none() -> None:
    assert decoder(SINGLE, min_score=0.81)([one_pose()], Geometry()) == ()
    assert len(decoder(SINGLE, min_score=0.79)([one_pose()], Geometry())) == 1


def test_several_persons_come_best_first_with_their_own_boxes() -> None:
    rows = np.zeros((1, 6, 56), np.float32)
    for person, score in enumerate((0.4, 0.9, 0.2)):
        rows[0, person, :51] = one_pose(0.7).ravel()
        rows[0, person, 51:] = 0.1 * person, 0.2, 0.7, 0.8, score
    found = decoder(SEVERAL)([rows], Geometry())
    assert [each.score for each in found] == pytest.approx([0.9, 0.4])
    assert [each.box.ymin for each in found] == pytest.approx([0.1, 0.0])
    assert found[0].box.xmax == pytest.approx(0.8)
    assert found[0].keypoints is not None
    assert (found[0].keypoints[0].x, found[0].keypoints[16].y) == pytest.approx((0.2, 0.9))
    assert len(decoder(SEVERAL, max_objects=1)([rows], Geometry())) == 1


def test_a_crowd_is_cut_to_what_fits_between_two_processes() -> None:
    rows = np.tile(np.append(one_pose(1 / 3).ravel(), [1 / 7, 1 / 7, 1 / 3, 1 / 3, 1 / 1.7]), (1, 300, 1))
    crowd = TensorInfo(3, "out", (1, 300, 56), np.dtype("float32"))
    found = decoder(crowd)([rows.astype(np.float32)], Geometry())
    assert len(found) == MAX_POSES
    message = to_json(Result("front", 1, 1, "cpu", Stages(1 / 3, 1 / 3, 1 / 3, 1 / 3), found))
    assert len(json.dumps(message)) < MAX_PACKET_BYTES


def test_keypoints_have_the_packages_names_or_cocos_or_none() -> None:
    hand = TensorInfo(3, "out", (1, 1, 21, 3), np.dtype("float32"))
    rows = np.full((1, 1, 21, 3), 0.5, np.float32)
    names = tuple(f"joint{n}" for n in range(21))
    found = decoder(hand, keypoints=names)([rows], Geometry())[0].keypoints
    assert found is not None
    assert tuple(point.name for point in found) == names
    found = decoder(hand)([rows], Geometry())[0].keypoints
    assert found is not None
    assert {point.name for point in found} == {None}
    with pytest.raises(ModelError, match=r"output.keypoints has 2 names, and the model gives 21 keypoints"):
        decoder(hand, keypoints=("a", "b"))


@pytest.mark.parametrize(("place", "value"), [((0, 0, 3, 0), np.nan), ((0, 0, 3, 2), np.inf), ((0, 0, 3, 2), 7.0)])
def test_fault_31_what_is_no_keypoint_is_an_invalid_output(place: tuple[int, ...], value: float) -> None:
    rows = one_pose()
    rows[place] = value
    with pytest.raises(InvalidOutput, match=r"keypoints are NaN|scores run from"):
        decoder(SINGLE)([rows], Geometry())


@pytest.mark.parametrize("shape", [(1, 17, 3), (1, 1, 17, 2), (1, 6, 57), (2, 1, 17, 3)])
def test_other_outputs_are_refused_in_words(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"decoder movenet expects one output \[1, 1, keypoints, 3\]"):
        decoder(TensorInfo(3, "out", shape, np.dtype("float32")))
