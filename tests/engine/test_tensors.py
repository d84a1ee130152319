"""Quantization against references that share nothing with it: decimal arithmetic, and TFLite's own kernel."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tflite_writer import Graph, Operator, Tensor
from visiond.engine.tensors import (
    Quantization,
    TensorInfo,
    dequantize,
    is_identity,
    is_less_128,
    pixel_table,
    quantize,
)

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

INTEGERS = ("uint8", "int8", "int16")


def tensor(dtype: str, scale: float | None = None, zero_point: int = 0) -> TensorInfo:
    quantization = None if scale is None else Quantization(scale, zero_point)
    return TensorInfo(0, "input", (1, 2, 2, 3), np.dtype(dtype), quantization)


@st.composite
def quantized_tensors(draw: st.DrawFn) -> TensorInfo:
    dtype = draw(st.sampled_from(INTEGERS))
    limits = np.iinfo(dtype)
    scale = draw(st.floats(2**-20, 2**10, width=32))
    return tensor(dtype, scale, draw(st.integers(int(limits.min), int(limits.max))))


def reference(real: float, info: TensorInfo) -> int:
    """The formula in words: divide in float64, round halves away from zero, add the zero point, clip."""
    assert info.quantization is not None
    limits = np.iinfo(info.dtype)
    nearest = Decimal(real / info.quantization.scale).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    return min(max(int(nearest) + info.quantization.zero_point, int(limits.min)), int(limits.max))


@patient
@given(quantized_tensors(), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_quantize_equals_the_float64_reference(info: TensorInfo, reals: list[float]) -> None:
    assert quantize(reals, info).tolist() == [reference(real, info) for real in reals]


@patient
@given(quantized_tensors(), st.lists(st.integers(-40000, 40000), min_size=1, max_size=50))
def test_values_half_way_between_two_levels_equal_the_reference_too(info: TensorInfo, halves: list[int]) -> None:
    assert info.quantization is not None
    reals = [(half + 0.5) * info.quantization.scale for half in halves]
    assert quantize(reals, info).tolist() == [reference(real, info) for real in reals]


def test_halves_go_away_from_zero_where_numpy_would_take_the_even_neighbour() -> None:
    halves = [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]
    assert quantize(halves, tensor("int8", 1.0)).tolist() == [-3, -2, -1, 1, 2, 3]
    assert np.round(halves).tolist() == [-2, -2, 0, 0, 2, 2]


def test_the_largest_number_below_a_half_is_rounded_down() -> None:
    assert quantize([np.nextafter(0.5, 0)], tensor("int8", 1.0)).tolist() == [0]


def test_halves_are_rounded_as_by_the_quantize_kernel_of_tflite(tmp_path: Path) -> None:
    reals = (
        np.arange(-200, 200, dtype=np.float32).reshape(1, -1) / 4
    )  # every quarter of a level: many halves among them
    source = Tensor("real", reals.shape, "float32")
    target = Tensor("quantized", reals.shape, "int8", (0.5, 3))
    path = Graph([source, target], [0], [1], [Operator("QUANTIZE", [0], [1])]).write(tmp_path / "quantize.tflite")
    litert = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    litert.allocate_tensors()
    litert.set_tensor(0, reals)
    litert.invoke()
    np.testing.assert_array_equal(litert.get_tensor(1), quantize(reals, tensor("int8", 0.5, 3)))


@patient
@given(quantized_tensors(), st.data())
def test_every_level_survives_the_way_to_real_values_and_back(info: TensorInfo, data: st.DataObject) -> None:
    raw = data.draw(arrays(info.dtype, 32))
    np.testing.assert_array_equal(quantize(dequantize(raw, info), info), raw)


@patient
@given(quantized_tensors(), st.data())
def test_dequantize_equals_the_float64_reference_to_float32(info: TensorInfo, data: st.DataObject) -> None:
    assert info.quantization is not None
    raw = data.draw(arrays(info.dtype, 32))
    exact = (raw.astype(np.float64) - info.quantization.zero_point) * info.quantization.scale
    real = dequantize(raw, info)
    assert real.dtype == np.float32
    np.testing.assert_allclose(real, exact, rtol=2**-22)


def test_the_difference_to_the_zero_point_does_not_wrap_in_uint8() -> None:
    assert dequantize(np.array([0], np.uint8), tensor("uint8", 0.5, 128)).tolist() == [-64.0]


def test_each_tensor_has_its_own_parameters() -> None:
    raw = np.array([200], np.uint8)
    assert dequantize(raw, tensor("uint8", 1 / 256)).tolist() == [200 / 256]
    assert dequantize(raw, tensor("uint8", 0.5, 190)).tolist() == [5.0]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_without_parameters_the_values_are_raw(dtype: str) -> None:
    info = tensor(dtype)
    raw = np.array([0, 1, 100], dtype)
    assert dequantize(raw, info).tolist() == [0, 1, 100]
    assert quantize([0, 1, 99.5], info).tolist() == [0, 1, 100]
    assert quantize([0.0], info).dtype == np.dtype(dtype)


def test_wide_integers_keep_their_difference_exact() -> None:
    raw = np.array([2**31 - 1], np.int32)
    assert dequantize(raw, tensor("int32", 1.0, 2**31 - 3)).tolist() == [2.0]


def test_float32_passes_through_without_a_copy() -> None:
    real = np.array([0.1, -5e9], np.float32)
    assert dequantize(real, tensor("float32")) is real
    np.testing.assert_array_equal(quantize(real, tensor("float32")), real)


@pytest.mark.parametrize("dtype", [*INTEGERS, "float32"])
def test_nan_is_refused(dtype: str) -> None:
    with pytest.raises(ValueError, match="NaN cannot be put into the tensor 'input'"):
        quantize([0.0, np.nan], tensor(dtype, 0.5))


@pytest.mark.parametrize("dtype", INTEGERS)
def test_what_is_beyond_the_range_saturates(dtype: str) -> None:
    limits = np.iinfo(dtype)
    assert quantize([-np.inf, -1e300, 1e300, np.inf], tensor(dtype, 1e-30, 1)).tolist() == [
        limits.min,
        limits.min,
        limits.max,
        limits.max,
    ]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_is_a_positive_number(scale: float) -> None:
    with pytest.raises(ValueError, match="a scale is a positive number"):
        Quantization(scale, 0)


@patient
@given(
    st.lists(st.floats(-255, 255), min_size=3, max_size=3),
    st.lists(st.floats(0.5, 255), min_size=3, max_size=3),
    quantized_tensors(),
)
def test_the_pixel_table_is_the_formula_for_each_pixel_and_channel(
    mean: list[float], std: list[float], info: TensorInfo
) -> None:
    table = pixel_table(mean, std, info)
    assert table.shape == (256, 3)
    assert table.dtype == info.dtype
    for pixel in (0, 1, 127, 128, 254, 255):
        expected = [reference((pixel - mean[channel]) / std[channel], info) for channel in range(3)]
        assert table[pixel].tolist() == expected


def test_the_table_is_the_identity_where_the_scale_undoes_mean_and_std() -> None:
    mobilenet = tensor("uint8", 1 / 128, 128)
    assert is_identity(pixel_table([128] * 3, [128] * 3, mobilenet))
    assert is_identity(pixel_table([0] * 3, [255] * 3, tensor("uint8", 1 / 255, 0)))
    assert is_identity(pixel_table([0] * 3, [1] * 3, tensor("uint8")))
    assert not is_identity(pixel_table([127.5] * 3, [127.5] * 3, mobilenet))  # half a level off in the middle
    assert not is_identity(pixel_table([128, 128, 127], [128] * 3, mobilenet))


def test_int8_that_takes_128_off_is_recognised() -> None:
    assert is_less_128(pixel_table([0] * 3, [255] * 3, tensor("int8", 1 / 255, -128)))
    assert not is_less_128(pixel_table([0] * 3, [255] * 3, tensor("int8", 1 / 255, -127)))
    assert not is_less_128(pixel_table([0] * 3, [255] * 3, tensor("uint8", 1 / 255, 0)))


def test_casting_without_rounding_would_shift_126_pixels_of_the_published_yolov8n() -> None:
    info = tensor("int8", 0.01865844801068306, -14)
    table = pixel_table([0], [255], info)[:, 0]
    truncated = (np.arange(256) / 255 / 0.01865844801068306 - 14).astype(np.int8)
    assert int((table != truncated).sum()) == 126
    assert len(np.unique(table)) == 55
