"""Output parity, against the definition written as a loop."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.detection import Result, Stages
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.modelkit.runner import Variant
from visiond.modelkit.verify.numeric import IDS, RANKED, VALUES, OutputParity, numeric_parity
from visiond.modelkit.verify.order import Opened, PictureRun
from visiond.modelkit.verify.outcome import Outcome


class Gave(Outcome):
    """An outcome whose outputs lie in memory."""

    __slots__ = ("pictures",)

    def __init__(self, infos: tuple[TensorInfo, ...], *pictures: list[NDArray[Any]]) -> None:
        opened = Opened("cpu", "runtime", None, None, infos[0], infos, 0, ())
        run = PictureRun(Result("", 0, 0, "cpu", Stages(0, 0, 0, 0), classes=()), 1.0, None)
        super().__init__(
            Variant("variant", Path("model.tflite")), Path(), opened, (run,) * len(pictures), None, (), None
        )
        object.__setattr__(self, "pictures", pictures)

    def outputs(self, picture: int) -> list[NDArray[Any]]:
        found: list[NDArray[Any]] = self.pictures[picture]
        return found


def tensor(shape: tuple[int, ...], dtype: str = "int8", scale: float | None = 0.5, zero: int = -3) -> TensorInfo:
    return TensorInfo(0, "scores", shape, np.dtype(dtype), None if scale is None else Quantization(scale, zero))


def only(reference: Gave, outcome: Gave, decoder: str = "scores") -> OutputParity:
    (found,) = numeric_parity(reference, outcome, decoder)
    return found


int8s = st.lists(st.integers(-128, 127), min_size=6, max_size=6)


@given(int8s, int8s)
def test_quantized_outputs(one: list[int], other: list[int]) -> None:
    info = tensor((1, 6))
    found = only(Gave((info,), [np.array([other], np.int8)]), Gave((info,), [np.array([one], np.int8)]))
    gaps = [abs(a - b) for a, b in zip(one, other, strict=True)]
    assert found.kind == VALUES
    assert found.max_quanta == pytest.approx(max(gaps), abs=1e-9)
    assert found.mean_quanta == pytest.approx(sum(gaps) / 6, abs=1e-9)
    assert found.max_real == pytest.approx(max(gaps) * 0.5, abs=1e-9)
    assert found.equal == pytest.approx(gaps.count(0) / 6)
    assert found.allclose == (max(gaps) <= 1)
    assert found.histogram == tuple(sum(min(gap, 10) == n for gap in gaps) for n in range(11))
    ours, theirs = ([(q + 3) * 0.5 for q in values] for values in (one, other))
    lengths = math.hypot(*ours) * math.hypot(*theirs)
    if lengths:
        expected = sum(a * b for a, b in zip(ours, theirs, strict=True)) / lengths
        assert found.cosine == pytest.approx(expected, abs=1e-6)


def test_a_float_reference_counts_in_the_quanta_of_the_quantized_one() -> None:
    reference = Gave((tensor((1, 3), "float32", None),), [np.array([[1.0, 2.0, 3.0]], np.float32)])
    quantized = Gave((tensor((1, 3)),), [np.array([[-1, 2, 3]], np.int8)])  # 1.0, 2.5, 3.0
    assert only(reference, quantized).max_quanta == 1
    back = only(quantized, reference)
    assert (back.max_quanta, back.max_real) == (1, 0.5)


def test_two_floats_have_no_quanta_and_nan_is_not_close() -> None:
    info = tensor((1, 2), "float32", None)
    one = Gave((info,), [np.array([[1.0, 1.0005]], np.float32)])
    found = only(Gave((info,), [np.array([[1.0, 1.0]], np.float32)]), one)
    assert (found.max_quanta, found.allclose, found.equal) == (None, True, 0.5)
    broken = only(one, Gave((info,), [np.array([[1.0, np.nan]], np.float32)]))
    assert not broken.allclose
    assert broken.cosine == 0.0


def test_class_ids_and_ranked_rows_are_no_distances() -> None:
    ids = tensor((1, 2, 2), "int64", None)
    zeros, ones = np.zeros((1, 2, 2), np.int64), np.ones((1, 2, 2), np.int64)
    found = only(Gave((ids,), [zeros]), Gave((ids,), [ones]), "deeplab")
    assert (found.kind, found.max_quanta, found.equal) == (IDS, None, 0.0)
    rows = tensor((1, 10), "float32", None)
    ranked = only(
        Gave((rows,), [np.zeros((1, 10), np.float32)]),
        Gave((rows,), [np.zeros((1, 10), np.float32)]),
        "ssd_postprocess",
    )
    assert ranked.kind == RANKED
    end_to_end = tensor((1, 300, 6))
    raw = [np.zeros((1, 300, 6), np.int8)]
    assert only(Gave((end_to_end,), raw), Gave((end_to_end,), raw), "yolov8").kind == RANKED


def test_outputs_in_another_order_are_paired_by_shape_and_one_without_a_partner_is_left_out() -> None:
    boxes, scores, more = tensor((1, 4, 4)), tensor((1, 4)), tensor((1, 9))
    box, score = np.zeros((1, 4, 4), np.int8), np.ones((1, 4), np.int8)
    reference = Gave((boxes, scores), [box, score])
    outcome = Gave((scores, boxes, more), [score, box, np.zeros((1, 9), np.int8)])
    found = list(numeric_parity(reference, outcome, "yolov8"))
    assert [each.max_quanta for each in found] == [0, 0]


def test_a_reference_that_is_all_zeros() -> None:
    info = tensor((1, 2), zero=0)
    zeros, other = np.zeros((1, 2), np.int8), np.ones((1, 2), np.int8)
    assert only(Gave((info,), [zeros]), Gave((info,), [zeros])).cosine == 1.0
    assert only(Gave((info,), [zeros]), Gave((info,), [other])).cosine == 0.0
