"""An SSD's raw heads and their anchors against the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plain_decoders import assert_alike, real, ssd, ssd_anchors
from visiond.engine.decode.anchors import anchors_of
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import Anchors, OutputSpec

INPUT = (64, 64)
GRIDS = (4, 2, 1)  # of strides 16, 32 and 64
ANCHORS = np.array(ssd_anchors(GRIDS))
N = len(ANCHORS)
BOXES = TensorInfo(1, "encodings", (1, N, 4), np.dtype("uint8"), Quantization(0.08, 128))
SCORES = TensorInfo(2, "logits", (1, N, 4), np.dtype("uint8"), Quantization(0.05, 200))
REAL_SCORES = TensorInfo(2, "scores", (1, N, 4), np.dtype("float32"))
ROLES = {"boxes": 0, "scores": 1}  # three classes and the background are as many as a box has sides


def decoder(*outputs: TensorInfo, **spec: Any) -> Decoder:
    settings = DecodeSettings(Labels(("a", "b", "c")), 0.3001, 200, INPUT)
    given_spec = {"decoder": "ssd_raw", "iou_threshold": 0.4503, "roles": ROLES, "anchors": {"layers": 3}, **spec}
    return make_decoder(OutputSpec.model_validate(given_spec), outputs, settings)


def levels(seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(90, 166, (1, N, 4)).astype(np.uint8), rng.integers(100, 230, (1, N, 4)).astype(np.uint8)]


@given(seed=st.integers(0, 2**32 - 1))
def test_quantized_logits_decode_to_what_the_reference_finds(seed: int) -> None:
    raw = levels(seed)
    scores = 1 / (1 + np.exp(-real(raw[1][0], SCORES)))
    expected = ssd(real(raw[0][0], BOXES), scores, ANCHORS, 0.3001, 0.4503)
    assert_alike(decoder(BOXES, SCORES, activation="sigmoid")(raw, Geometry()), expected)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_softmax_takes_the_background_into_account(seed: int) -> None:
    raw = levels(seed)
    powers = np.exp(real(raw[1][0], SCORES))
    expected = ssd(real(raw[0][0], BOXES), powers / powers.sum(axis=1, keepdims=True), ANCHORS, 0.3001, 0.4503)
    assert_alike(decoder(BOXES, SCORES, activation="softmax")(raw, Geometry()), expected)


@given(seed=st.integers(0, 2**32 - 1))
def test_scores_are_taken_as_they_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = (rng.random((1, N, 4)) * (rng.random((1, N, 1)) < 0.2)).astype(np.float32)
    boxes = levels(seed)[0]
    expected = ssd(real(boxes[0], BOXES), scores[0].astype(np.float64), ANCHORS, 0.3001, 0.4503)
    assert_alike(decoder(BOXES, REAL_SCORES)([boxes, scores], Geometry()), expected)


def test_without_a_background_the_first_column_is_a_class() -> None:
    scores = np.zeros((1, N, 4), np.float32)
    scores[0, 5, 0] = 0.9
    boxes = np.full((1, N, 4), 128, np.uint8)
    assert decoder(BOXES, REAL_SCORES)([boxes, scores], Geometry()) == ()
    (found,) = decoder(BOXES, REAL_SCORES, background=False)([boxes, scores], Geometry())
    assert (found.class_id, found.label) == (0, "a")


def test_heads_are_told_apart_by_shape_where_it_tells() -> None:
    boxes = TensorInfo(1, "b", (1, N, 1, 4), np.dtype("uint8"), Quantization(0.08, 128))
    scores = TensorInfo(2, "s", (1, N, 8), np.dtype("float32"))
    raw_scores = np.zeros((1, N, 8), np.float32)
    raw_scores[0, 20, 3] = 0.9
    raw = [raw_scores, np.full((1, N, 1, 4), 128, np.uint8)]
    (found,) = decoder(scores, boxes, roles=None)(raw, Geometry())
    y, x, height, width = ANCHORS[20]
    assert found.class_id == 2
    expected = [max(0, x - width / 2), max(0, y - height / 2), min(1, x + width / 2), min(1, y + height / 2)]
    assert [found.box.xmin, found.box.ymin, found.box.xmax, found.box.ymax] == pytest.approx(expected)
    with pytest.raises(ModelError, match=r"give output.roles"):
        decoder(BOXES, SCORES, roles=None)


@pytest.mark.parametrize("position", [0, 1])
def test_fault_31_what_is_no_number_is_an_invalid_output(position: int) -> None:
    boxes = TensorInfo(1, "b", (1, N, 4), np.dtype("float32"))
    raw = [np.zeros((1, N, 4), np.float32), np.full((1, N, 4), 0.5, np.float32)]
    raw[position][0, 3, 2] = np.nan
    with pytest.raises(InvalidOutput, match="NaN"):
        decoder(boxes, REAL_SCORES)(raw, Geometry())


def test_anchors_that_are_not_as_many_as_the_rows_are_refused_with_both_numbers() -> None:
    with pytest.raises(
        ModelError, match=rf"makes 48 anchors for an input of 64x64, and the output 'logits' has {N} rows"
    ):
        decoder(BOXES, SCORES, activation="sigmoid", anchors={"layers": 1})


def test_logits_that_are_taken_for_scores_are_refused() -> None:
    with pytest.raises(ModelError, match=r"'logits' runs from -10 to 2.75.*set output.activation"):
        decoder(BOXES, SCORES)


@pytest.mark.parametrize(
    ("keys", "side", "expected"),
    [
        ({}, 300, ssd_anchors((19, 10, 5, 3, 2, 1))),
        ({"layers": 4, "reduce_lowest": False}, 320, ssd_anchors((20, 10, 5, 3), reduce_lowest=False)),
        ({"min_scale": 0.1, "max_scale": 0.8}, 300, ssd_anchors((19, 10, 5, 3, 2, 1), 0.1, 0.8)),
    ],
)
def test_ssd_anchors_are_those_of_plain_loops(keys: dict[str, Any], side: int, expected: list[Any]) -> None:
    anchors = anchors_of(Anchors.model_validate(keys), (side, side))
    assert anchors.shape == (len(expected), 4)
    assert np.abs(anchors - np.array(expected)).max() < 1e-6


def test_multiscale_anchors_are_those_of_plain_loops() -> None:
    """An EfficientDet's: levels 3 to 7, three sizes an octave, on an input whose sides differ."""
    width, height = 512, 384
    expected = []
    for level in range(3, 8):
        stride = 2**level
        for row in range(-(-height // stride)):
            for column in range(-(-width // stride)):
                for ratio in (1.0, 2.0, 0.5):
                    for octave in range(3):
                        side = stride * 4 * 2 ** (octave / 3)
                        expected.append(
                            (
                                (row + 0.5) * stride / height,
                                (column + 0.5) * stride / width,
                                side / ratio**0.5 / height,
                                side * ratio**0.5 / width,
                            )
                        )
    keys = {"generator": "multiscale", "scales_per_octave": 3}
    anchors = anchors_of(Anchors.model_validate(keys), (width, height))
    assert anchors.shape == (len(expected), 4)
    assert np.abs(anchors - np.array(expected)).max() < 1e-6
