"""YOLOv5's one tensor against the plain reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plain_decoders import assert_alike, real, yolov5
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import OutputSpec

INPUT = (64, 32)
ROWS = 3 * 40  # of strides 8 and 16
QUANTIZED = TensorInfo(5, "out", (1, ROWS, 8), np.dtype("uint8"), Quantization(0.004, 0))
REAL = TensorInfo(5, "out", (1, ROWS, 8), np.dtype("float32"))


def decoder(*outputs: TensorInfo, **spec: Any) -> Decoder:
    settings = DecodeSettings(Labels(("a", "b", "c")), 0.3001, 100, INPUT)
    spec = {"decoder": "yolov5", "iou_threshold": 0.4503, **spec}
    return make_decoder(OutputSpec.model_validate(spec), outputs, settings)


@given(seed=st.integers(0, 2**32 - 1))
def test_quantized_rows_decode_to_what_the_reference_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.integers(5, 255, (1, ROWS, 8)).astype(np.uint8)
    raw[:, :, 4] = np.where(rng.random((1, ROWS)) < 0.2, raw[:, :, 4], 0)
    expected = yolov5(real(raw[0], QUANTIZED), 0.3001, 0.4503)
    # Two products that differ in their last bit only may come in either order, and one suppress the other.
    products = np.sort([score for _, score, _ in yolov5(real(raw[0], QUANTIZED), 0.0001, 1.0)])
    assume((np.diff(products) > 1e-6).all())
    assert_alike(decoder(QUANTIZED)([raw], Geometry()), expected)


@given(seed=st.integers(0, 2**32 - 1), pixels=st.booleans())
def test_real_rows_are_in_fractions_or_pixels_as_their_values_show(seed: int, pixels: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.02, 0.98, (ROWS, 8)).astype(np.float32)
    rows[:, 4] *= rng.random(ROWS) < 0.2
    expected = yolov5(rows.astype(np.float64), 0.3001, 0.4503)
    if pixels:
        rows[:, :4] *= np.array([*INPUT, *INPUT], np.float32)
    assert_alike(decoder(REAL)([rows[None]], Geometry()), expected)


def one_row(objectness: float, score: float) -> NDArray[np.float32]:
    rows = np.zeros((1, ROWS, 8), np.float32)
    rows[0, 7] = 0.5, 0.5, 0.25, 0.5, objectness, 0, score, 0
    return rows


def test_a_score_is_objectness_times_class_score() -> None:
    (found,) = decoder(REAL)([one_row(0.8, 0.5)], Geometry())
    assert (found.label, found.score) == ("b", pytest.approx(0.4))
    assert decoder(REAL)([one_row(0.8, 0.2)], Geometry()) == ()


def test_fault_31_what_is_no_score_is_an_invalid_output() -> None:
    with pytest.raises(InvalidOutput, match="scores run from 0 to 7"):
        decoder(REAL)([one_row(7, 0.5)], Geometry())
    with pytest.raises(InvalidOutput, match="1 of 960 boxes and scores"):
        decoder(REAL)([one_row(np.nan, 0.5)], Geometry())


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((1, 7, 40), "one box for each cell, as it has, is a YOLOv8's: give output.decoder: yolov8"),
        ((1, 121, 8), r"expects one output .*'out' float32 \[1, 121, 8\]"),
        ((1, ROWS, 5), "expects one output"),
        ((ROWS, 8), "expects one output"),
    ],
)
def test_other_outputs_are_refused_in_words(shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        decoder(TensorInfo(5, "out", shape, np.dtype("float32")))


def test_boxes_in_pixels_leave_a_quantized_score_no_levels() -> None:
    with pytest.raises(ModelError, match=r"leaves the scores 0.4 levels"):
        decoder(TensorInfo(5, "out", (1, ROWS, 8), np.dtype("uint8"), Quantization(640 / 255, 0)))
