"""YOLOv8's fused export, straight and transposed, in fractions and in pixels, against the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plain_decoders import assert_alike, real, yolov8
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.decode.yolo_end import EndToEnd
from visiond.engine.decode.yolo_fused import Fused
from visiond.engine.decode.yolo_split import SplitHeads
from visiond.engine.geometry import Geometry, fit
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import OutputSpec

INPUT = (64, 32)  # width, height
CELLS = 40  # of strides 8 and 16
LABELS = Labels(("ball", "cube", "star"))
SCALE = Quantization(0.004, -128)


def output(*shape: int, dtype: str = "float32", quantization: Quantization | None = None) -> TensorInfo:
    return TensorInfo(5, "out", shape, np.dtype(dtype), quantization)


def decoder(*outputs: TensorInfo, min_score: float = 0.3001, labels: Labels = LABELS, **spec: Any) -> Decoder:
    # 0.4503: no overlap of boxes on a grid of levels is just that, so rounding decides nothing.
    spec = {"decoder": "yolov8", "iou_threshold": 0.4503, **spec}
    return make_decoder(OutputSpec.model_validate(spec), outputs, DecodeSettings(labels, min_score, 100, INPUT))


def random_levels(seed: int) -> NDArray[np.int8]:
    """[1, 7, 40]: boxes anywhere in the picture, one score in four likely."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(-128, 122, (7, CELLS))
    rows[2:4] = rng.integers(-115, 10, (2, CELLS))
    rows[4:] = np.where(rng.random((3, CELLS)) < 0.25, rows[4:], -128)
    return rows.astype(np.int8)[None]


@given(seed=st.integers(0, 2**32 - 1), transposed=st.booleans())
def test_quantized_cells_decode_to_what_the_reference_finds(seed: int, transposed: bool) -> None:
    raw = random_levels(seed)
    info = output(1, 7, CELLS, dtype="int8", quantization=SCALE)
    expected = yolov8(real(raw[0], info).T, 0.3001, 0.4503)
    if transposed:
        info, raw = output(1, CELLS, 7, dtype="int8", quantization=SCALE), raw.transpose(0, 2, 1).copy()
    assert_alike(decoder(info)([raw], Geometry()), expected)


@given(seed=st.integers(0, 2**32 - 1), pixels=st.booleans())
def test_real_cells_are_in_fractions_or_pixels_as_their_values_show(seed: int, pixels: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.02, 0.98, (CELLS, 7)).astype(np.float32)
    rows[:, 4:] *= rng.random((CELLS, 3)) < 0.25
    expected = yolov8(rows.astype(np.float64), 0.3001, 0.4503)
    if pixels:
        rows[:, :4] *= np.array([*INPUT, *INPUT], np.float32)
    assert_alike(decoder(output(1, 7, CELLS))([rows.T[None]], Geometry()), expected)


def one_cell(score: float = 0.9, class_id: int = 1) -> NDArray[np.float32]:
    """[1, 7, 40] with one object in the middle, a quarter as wide and half as high as the input."""
    rows = np.zeros((1, 7, CELLS), np.float32)
    rows[0, :4, 11] = 0.5, 0.5, 0.25, 0.5
    rows[0, 4 + class_id, 11] = score
    return rows


def test_a_letterbox_is_taken_off() -> None:
    """A 64×64 frame in a 64×32 input is 32 wide with 16 columns of padding at each side: the box is half of it."""
    (found,) = decoder(output(1, 7, CELLS))([one_cell()], fit("letterbox", (64, 64), INPUT).geometry)
    assert (found.label, found.class_id, found.score) == ("cube", 1, pytest.approx(0.9))
    assert found.box.xmin == pytest.approx(0.25)
    assert (found.box.ymin, found.box.xmax, found.box.ymax) == pytest.approx((0.25, 0.75, 0.75))


def test_a_score_a_little_above_one_is_one_and_far_above_it_no_score() -> None:
    decode = decoder(output(1, 7, CELLS))
    assert decode([one_cell(1.016)], Geometry())[0].score == 1.0
    with pytest.raises(InvalidOutput, match=r"scores run from 0 to 4, .* set output.activation"):
        decode([one_cell(4)], Geometry())


def test_logits_are_scores_after_a_sigmoid() -> None:
    rows = one_cell(2.0)
    rows[0, 4:] -= 3
    rows[0, 5, 11] = 2
    (found,) = decoder(output(1, 7, CELLS), activation="sigmoid")([rows], Geometry())
    assert found.score == pytest.approx(1 / (1 + np.exp(-2)))


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_fault_31_what_is_no_number_is_an_invalid_output(poison: float) -> None:
    rows = one_cell()
    rows[0, 6, 3] = poison
    with pytest.raises(InvalidOutput, match="1 of 280 boxes and scores"):
        decoder(output(1, 7, CELLS))([rows], Geometry())


def test_nothing_seen_is_an_empty_tuple() -> None:
    assert decoder(output(1, 7, CELLS))([np.zeros((1, 7, CELLS), np.float32)], Geometry()) == ()


def test_the_shape_chooses_the_form() -> None:
    assert isinstance(decoder(output(1, 7, CELLS)), Fused)
    assert isinstance(decoder(output(1, CELLS, 7)), Fused)
    assert isinstance(decoder(output(1, 300, 6)), EndToEnd)
    assert isinstance(decoder(output(1, CELLS, 3), output(1, CELLS, 64)), SplitHeads)
    assert isinstance(decoder(output(1, 9), output(1, 7, CELLS), output(2), roles={"cells": 1}), Fused)
    assert isinstance(decoder(output(1, 9), output(1, CELLS, 6), output(2), roles={"objects": 1}), EndToEnd)


@pytest.mark.parametrize(("shape", "labels", "transposed"), [((10, 40), 6, False), ((10, 40), 36, True)])
def test_where_both_lengths_count_cells_the_labels_decide(
    shape: tuple[int, int], labels: int, transposed: bool
) -> None:
    """10 are the cells of strides 16 and 32 over 64×32, and 40 those of 8 and 16."""
    decode = decoder(output(1, *shape), labels=Labels(("a",) * labels))
    assert isinstance(decode, Fused)
    rows = np.zeros((1, *shape), np.float32)
    place = (0, 3, slice(None)) if transposed else (0, slice(None), 3)
    rows[place][:5] = 0.5, 0.5, 0.2, 0.2, 0.9
    (found,) = decode([rows], Geometry())
    assert (found.class_id, found.score) == (0, pytest.approx(0.9))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, 45), r"45 cells, which no grids .* over an input of 64x32 make up.*'out' float32 \[1, 7, 45\]"),
        ((1, 120, 12), "three boxes for each cell, as it has, are a YOLOv5's: give output.decoder: yolov5"),
        ((1, 7, CELLS, 1), "expects one output"),
        ((2, 7, CELLS), "expects one output"),
        ((1, 4 + 3 + 51, CELLS), "51 more than there are labels: probably 17 keypoints"),
        ((1, 4 + 3 + 32, CELLS), "32 more than there are labels: probably the coefficients of a mask"),
    ],
)
def test_other_outputs_are_refused_in_words(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        decoder(output(*shape))


def test_three_outputs_need_a_role() -> None:
    with pytest.raises(ModelError, match=r"choose one by output.roles: \{cells: position\}"):
        decoder(output(1, 7, CELLS), output(1), output(2))


def test_boxes_in_pixels_leave_a_quantized_score_no_levels() -> None:
    with pytest.raises(ModelError, match=r"one scale, 2.51, .* leaves the scores 0.4 levels; export the model with"):
        decoder(output(1, 7, CELLS, dtype="int8", quantization=Quantization(640 / 255, -128)))
