"""Thresholds in a tensor's own levels let through what reaches them as scores, and little else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.engine.decode.activation import Activation, sigmoid, softmax
from visiond.engine.decode.decoder import InvalidOutput
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError

LEVELS = {"int8": np.arange(-128, 128), "uint8": np.arange(256), "int16": np.arange(-32768, 32768, 7)}


@given(
    dtype=st.sampled_from(sorted(LEVELS)),
    kind=st.sampled_from(["none", "sigmoid"]),
    min_score=st.floats(0, 1),
    zero_point=st.integers(-100, 100),
)
def test_no_score_that_reaches_the_threshold_is_lost(dtype: str, kind: str, min_score: float, zero_point: int) -> None:
    levels = LEVELS[dtype].astype(dtype)
    scale = (1 if kind == "none" else 12) / (float(levels[-1]) - float(levels[0]))
    info = TensorInfo(0, "scores", levels.shape, np.dtype(dtype), Quantization(scale, zero_point))
    activation = Activation(info, kind, min_score, alone=False)
    passed = levels >= activation.least_raw
    reals = (levels.astype(np.float64) - zero_point) * scale
    exact = reals if kind == "none" else 1 / (1 + np.exp(-reals))
    reached = exact >= min_score + 1e-9
    assert (passed | ~reached).all(), "a score that reaches the threshold was lost"
    assert (passed & ~reached).sum() <= 2, "what cannot reach the threshold was let through"


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=20))
def test_the_forms_that_do_not_overflow_are_the_textbooks(logits: list[float]) -> None:
    values = np.array(logits, np.float32)
    expected = [1 / (1 + math.exp(-min(max(each, -700), 700))) for each in values.tolist()]
    assert sigmoid(values).tolist() == pytest.approx(expected, abs=1e-6)
    shares = [math.exp(each - max(values.tolist())) for each in values.tolist()]
    assert softmax(values).tolist() == pytest.approx([each / sum(shares) for each in shares], abs=1e-6)


def test_a_tensor_whose_range_is_that_of_logits_is_refused_where_it_holds_scores_alone() -> None:
    info = TensorInfo(0, "head", (1, 9), np.dtype("int8"), Quantization(0.1, 0))
    with pytest.raises(ModelError, match=r"'head' runs from -12.8 to 12.7, not from 0 to 1; .*set output.activation"):
        Activation(info, "none", 0.5)
    Activation(info, "none", 0.5, alone=False)
    Activation(info, "sigmoid", 0.5)


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_fault_31_a_logit_that_is_no_number_is_an_invalid_output(kind: str) -> None:
    info = TensorInfo(0, "head", (1, 3), np.dtype("float32"))
    with pytest.raises(InvalidOutput, match="1 of 3 logits are NaN"):
        Activation(info, kind, 0.5).scores(np.array([0, np.nan, 1], np.float32))
