"""Classifiers' outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from visiond.detection import Classification
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput
from visiond.engine.decode.scores import Scores
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

LABELS = Labels(tuple(f"class {number}" for number in range(10)))
UINT8 = Quantization(1 / 256, 0)


def output(
    dtype: str = "float32", quantization: Quantization | None = None, shape: tuple[int, ...] = (1, 10)
) -> TensorInfo:
    return TensorInfo(0, "Softmax", shape, np.dtype(dtype), quantization)


def decode(
    raw: NDArray[Any],
    info: TensorInfo,
    activation: str = "none",
    min_score: float = 0.0,
    max_objects: int = 100,
) -> tuple[Classification, ...]:
    settings = DecodeSettings(LABELS, min_score, max_objects, (224, 224))
    return Scores([info], None, settings, activation)([raw.reshape(info.shape)], Geometry())


@patient
@given(arrays(np.float32, 10, elements=st.floats(0, 1, width=32)))
def test_the_five_best_come_out_best_first(scores: NDArray[np.float32]) -> None:
    found = decode(scores, output())
    assert [each.score for each in found] == sorted(scores.tolist(), reverse=True)[:5]
    assert [scores[each.class_id] for each in found] == [each.score for each in found]
    assert [each.label for each in found] == [f"class {each.class_id}" for each in found]


def test_equal_scores_keep_the_order_of_their_classes() -> None:
    assert [each.class_id for each in decode(np.full(10, 0.5, np.float32), output())] == [0, 1, 2, 3, 4]


def test_min_score_and_max_objects_limit_what_comes_out() -> None:
    scores = np.array([0.1, 0.5, 0.4999, 0.9, 0, 0, 0, 0, 0, 0], np.float32)
    assert [each.class_id for each in decode(scores, output(), min_score=0.5)] == [3, 1]
    assert [each.class_id for each in decode(scores, output(), max_objects=1)] == [3]
    assert decode(scores, output(), min_score=0.95) == ()


@pytest.mark.parametrize(
    ("dtype", "quantization", "raw"),
    [("uint8", UINT8, 192), ("int8", Quantization(1 / 256, -128), 64), ("int16", Quantization(1 / 32768, 0), 24576)],
)
def test_scores_are_dequantized_with_the_outputs_own_parameters(
    dtype: str, quantization: Quantization, raw: int
) -> None:
    levels = np.full(10, quantization.zero_point, dtype)
    levels[7] = raw
    assert decode(levels, output(dtype, quantization), min_score=0.1) == (Classification("class 7", 7, 0.75),)


@pytest.mark.parametrize("shape", [(1, 10), (1, 1, 10), (1, 1, 1, 10)])
def test_axes_of_length_one_do_not_matter(shape: tuple[int, ...]) -> None:
    assert decode(np.eye(10, dtype=np.float32)[3], output(shape=shape), min_score=0.5)[0].class_id == 3


@patient
@given(arrays(np.float32, 10, elements=st.floats(-50, 50, width=32)))
def test_softmax_and_sigmoid_equal_the_textbook_in_float64(logits: NDArray[np.float32]) -> None:
    wide = logits.astype(np.float64)
    softmax = np.exp(wide) / np.exp(wide).sum()
    for activation, expected in (("softmax", softmax), ("sigmoid", 1 / (1 + np.exp(-wide)))):
        for found in decode(logits, output(), activation):
            assert found.score == pytest.approx(expected[found.class_id], abs=1e-6)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_large_logits_do_not_overflow(activation: str) -> None:
    found = decode(np.array([3e38, -3e38, 0, 0, 0, 0, 0, 0, 0, 0], np.float32), output(), activation)
    assert found[0] == Classification("class 0", 0, 1.0)


def test_logits_without_an_activation_are_refused_with_the_key_to_set() -> None:
    logits = np.array([11.4, -3.25, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)
    with pytest.raises(
        InvalidOutput, match=r"run from -3.25 to 11.4, not from 0 to 1.*set output.activation to softmax"
    ):
        decode(logits, output())


def test_quantized_logits_are_refused_before_the_first_frame() -> None:
    with pytest.raises(ModelError, match=r"'Softmax' runs from -12 to 13.5, not from 0 to 1.*set output.activation"):
        Scores([output("uint8", Quantization(0.1, 120))], None, DecodeSettings(LABELS, 0.5, 5, (1, 1)))


def test_quantized_logits_with_an_activation_are_decoded() -> None:
    raw = np.full(10, 120, np.uint8)
    raw[2] = 220
    found = decode(raw, output("uint8", Quantization(0.1, 120)), "softmax", min_score=0.5)
    assert found == (Classification("class 2", 2, pytest.approx(np.exp(10) / (np.exp(10) + 9))),)  # type: ignore[arg-type]


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf, -0.5, 1.5])
def test_fault_31_poison_is_refused_and_never_published(poison: float) -> None:
    scores = np.full(10, 0.1, np.float32)
    scores[9] = poison
    with pytest.raises(InvalidOutput):
        decode(scores, output())


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_fault_31_poison_is_refused_with_an_activation_too(poison: float, activation: str) -> None:
    with pytest.raises(InvalidOutput, match="NaN or infinite"):
        decode(np.full(10, poison, np.float32), output(), activation)


def test_fault_30_a_class_beyond_the_labels_keeps_its_id() -> None:
    info = output(shape=(1, 12))
    found = decode(np.eye(12, dtype=np.float32)[11], info, min_score=0.5)
    assert found == (Classification(None, 11, 1.0),)


@pytest.mark.parametrize(
    ("outputs", "text"),
    [
        ([output(shape=(1, 19, 19, 21))], "one score per class, \\[1, N\\]; 0 of the model's outputs are"),
        ([output(), output()], "2 of the model's outputs are: 0: 'Softmax' float32 \\[1, 10\\]; 1: "),
        ([output(shape=())], "0 of the model's outputs are"),
    ],
)
def test_outputs_that_are_no_scores_are_refused(outputs: list[TensorInfo], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        Scores(outputs, None, DecodeSettings(LABELS, 0.5, 5, (1, 1)))


def test_a_role_chooses_among_several_outputs() -> None:
    scores = Scores([output(), output()], {"scores": 1}, DecodeSettings(LABELS, 0.5, 5, (1, 1)))
    one, two = np.eye(10, dtype=np.float32)[1:3]
    assert scores([one[None], two[None]], Geometry())[0].class_id == 2
