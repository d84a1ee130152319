"""Real numbers to a tensor's numbers and back, with that tensor's own scale and zero point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

PIXEL_LEVELS: Final = 256
_FAR: Final = 2.0**40  # beyond every quantized value: clipped to it, an infinity stays out of the arithmetic


@dataclass(frozen=True, slots=True)
class Quantization:
    """real = (q - zero_point) * scale, one pair for the whole tensor."""

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"a scale is a positive number, not {self.scale}")


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """What the model says of one of its inputs or outputs, read after `allocate_tensors`.

    `quantization` is None where the model gives no parameters: then the tensor holds the real values themselves.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization | None = None


def quantize(real: ArrayLike, info: TensorInfo) -> NDArray[Any]:
    """Return `real` as an array of `info.dtype`: q = clip(round(real / scale) + zero_point), computed in float64.

    Halves are rounded away from zero, as TensorFlow Lite's QUANTIZE kernel does (AffineQuantize and TfLiteRound in
    tflite/kernels/internal/reference/quantize.h) and as its calibration tools assume; NumPy's own `round` takes the
    even neighbour, which puts every other tie one level off. Without parameters an integer tensor gets the rounded
    value itself; a float tensor passes through whatever its parameters. Values beyond the dtype's range, infinities
    too, saturate. Raises ValueError for NaN, which no quantized value can stand for.
    """
    values = np.asarray(real, np.float64)
    if np.isnan(values).any():
        raise ValueError(f"NaN cannot be put into the tensor '{info.name}'")
    if info.dtype.kind == "f":
        return values.astype(info.dtype)
    scale, zero_point = _parameters(info)
    with np.errstate(over="ignore"):
        levels = _round_half_away(np.clip(values / scale, -_FAR, _FAR)) + zero_point
    limits = np.iinfo(info.dtype)
    return np.clip(levels, limits.min, limits.max).astype(info.dtype)


def dequantize(raw: NDArray[Any], info: TensorInfo) -> NDArray[np.float32]:
    """Return (raw - zero_point) * scale as float32, the shape of `raw`.

    Integers are widened before the zero point is taken off, or uint8 would wrap. Without parameters the values come
    back as they are; float32 without a copy. Whole numbers above 2**24 are not exact in float32: read those raw.
    """
    if info.quantization is None or info.dtype.kind == "f":
        return raw.astype(np.float32, copy=False)
    scale, zero_point = _parameters(info)
    if info.dtype.itemsize > 2:  # beyond float32's 24 bits
        return ((raw.astype(np.float64) - zero_point) * scale).astype(np.float32)
    levels: NDArray[np.float32] = raw.astype(np.float32)
    levels -= np.float32(zero_point)
    levels *= np.float32(scale)
    return levels


def pixel_table(mean: Sequence[float], std: Sequence[float], info: TensorInfo) -> NDArray[Any]:
    """Return what each pixel value becomes in the input tensor: (256, channels) of `info.dtype`.

    real = (pixel - mean) / std, then `quantize`, all in float64; `mean` and `std` hold one number per channel, in the
    tensor's own order of channels.
    """
    pixels = np.arange(PIXEL_LEVELS, dtype=np.float64)[:, None]
    return quantize((pixels - np.asarray(mean, np.float64)) / np.asarray(std, np.float64), info)


def is_identity(table: NDArray[Any]) -> bool:
    """Whether the table changes nothing: uint8 in each channel, every pixel onto itself."""
    return table.dtype == np.uint8 and bool((table == np.arange(PIXEL_LEVELS)[:, None]).all())


def is_less_128(table: NDArray[Any]) -> bool:
    """Whether the table takes 128 off and does no more: int8, what [0, 1] pixels become in most quantized models."""
    return table.dtype == np.int8 and bool((table == (np.arange(PIXEL_LEVELS) - 128)[:, None]).all())


def _parameters(info: TensorInfo) -> tuple[float, int]:
    quantization = info.quantization or Quantization(1.0, 0)
    return quantization.scale, quantization.zero_point


def _round_half_away(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round; adding 0.5 and truncating instead would lift 0.49999999999999994 to 1."""
    whole = np.trunc(values)
    return whole + np.copysign(np.abs(values - whole) >= 0.5, values)
