"""YOLO end to end: rows that the graph has suppressed already."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from plain_decoders import assert_alike
from visiond.detection import Detection
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput
from visiond.engine.decode.yolo_end import EndToEnd
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels

INPUT = (64, 32)
INFO = TensorInfo(5, "out", (1, 300, 6), np.dtype("float32"))


def decode(rows: NDArray[np.float32], max_objects: int = 300) -> tuple[Detection, ...]:
    settings = DecodeSettings(Labels(("a", "b", "c")), 0.3001, max_objects, INPUT)
    return EndToEnd(0, INFO, settings)([rows[None]], Geometry())


def padded(*rows: tuple[float, ...]) -> NDArray[np.float32]:
    return np.array([*rows, *[(0.0,) * 6] * (300 - len(rows))], np.float32)


@given(
    objects=st.lists(
        st.tuples(st.floats(0, 0.5), st.floats(0, 0.5), st.floats(0.55, 1.02), st.floats(0.55, 1), st.floats(0, 1)),
        max_size=20,
    ),
    pixels=st.booleans(),
)
def test_each_row_that_reaches_the_score_comes_out(objects: list[tuple[float, ...]], pixels: bool) -> None:
    rows = padded(*((*each, float(number % 3)) for number, each in enumerate(objects)))
    expected = [
        (int(class_id), score, (xmin, ymin, xmax, ymax))
        for xmin, ymin, xmax, ymax, score, class_id in rows.tolist()
        if score >= 0.3001
    ]
    if pixels:
        rows[:, :4] *= np.array([*INPUT, *INPUT], np.float32)
    assert_alike(decode(rows), expected)


def test_boxes_that_overlap_stay_and_the_best_come_first() -> None:
    rows = padded((0.1, 0.1, 0.5, 0.5, 0.6, 1), (0.1, 0.1, 0.5, 0.51, 0.9, 1), (0.1, 0.1, 0.5, 0.5, 0.2, 1))
    assert [each.score for each in decode(rows)] == pytest.approx([0.9, 0.6])
    assert [each.score for each in decode(rows, max_objects=1)] == pytest.approx([0.9])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ((0.1, 0.1, 0.5, 0.5, 0.6, 1.5), "no class ids: 1.5"),
        ((0.1, 0.1, 0.5, 0.5, 0.6, -1), "no class ids: -1"),
        ((0.1, 0.1, 0.5, 0.5, 6.0, 1), "scores run from 0 to 6"),
        ((0.1, np.nan, 0.5, 0.5, 0.6, 1), "1 of 1800"),
    ],
)
def test_fault_31_rows_that_make_no_sense_are_an_invalid_output(row: tuple[float, ...], words: str) -> None:
    with pytest.raises(InvalidOutput, match=words):
        decode(padded(row))


def test_a_quantized_tensor_cannot_hold_class_numbers_and_scores() -> None:
    info = TensorInfo(5, "out", (1, 300, 6), np.dtype("int8"), Quantization(0.31, -128))
    with pytest.raises(ModelError, match=r"share one scale, 0.31, and cannot be told apart"):
        EndToEnd(0, info, DecodeSettings(Labels(()), 0.3, 100, INPUT))
