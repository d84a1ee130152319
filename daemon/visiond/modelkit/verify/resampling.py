"""How training frameworks resize, written out: one matrix of weights per axis, (output pixels, input pixels).

Slow and obvious on purpose: the device's pipeline is compared with these. All in float64, where the frameworks compute
in float32; tests/convert compares them with TensorFlow and PyTorch themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float64]  # (height, width, channels), 0 to 255
Weights = NDArray[np.float64]  # (output, input), each row adds up to 1
Axis = Callable[[int, int], Weights]  # input and output length in pixels

_TABLE: int = 1 << 10  # TensorFlow's bicubic takes its weights from a table of so many steps


def resample(pixels: Pixels, width: int, height: int, axis: Axis) -> Pixels:
    """Resize both axes by the weights that `axis` gives; nothing is rounded."""
    rows, columns = axis(pixels.shape[0], height), axis(pixels.shape[1], width)
    low = (rows @ pixels.reshape(pixels.shape[0], -1)).reshape(height, *pixels.shape[1:])
    return np.asarray(columns @ low)


def nearest_centre(length: int, wanted: int) -> Weights:
    """The pixel that the middle of the output pixel lies in: floor((x + 0.5) · scale).

    TensorFlow: HalfPixelScalerForNN in core/util/image_resizer_state.h; Pillow's NEAREST is the same.
    """
    return _picked(length, [math.floor((x + 0.5) * length / wanted) for x in range(wanted)])


def nearest_corner(length: int, wanted: int) -> Weights:
    """The pixel that the output pixel's left edge lies in, floor(x · scale): PyTorch's mode nearest, and OpenCV's."""
    return _picked(length, [math.floor(x * length / wanted) for x in range(wanted)])


def bilinear(length: int, wanted: int) -> Weights:
    """Between the two nearest pixel centres, whatever lies farther: no antialias.

    TensorFlow: compute_interpolation_weights with HalfPixelScaler, core/kernels/image/resize_bilinear_op.cc; PyTorch's
    interpolate(align_corners=False) is the same.
    """
    weights = np.zeros((wanted, length))
    for x in range(wanted):
        at = (x + 0.5) * length / wanted - 0.5
        low = math.floor(at)
        weights[x, max(low, 0)] += 1 - (at - low)
        weights[x, min(low + 1, length - 1)] += at - low
    return weights


def bilinear_antialias(length: int, wanted: int) -> Weights:
    """A triangle that widens as the picture shrinks.

    TensorFlow: ComputeSpansCore and TriangleKernelFunc, core/kernels/image/scale_and_translate_op.cc; PyTorch:
    HelperInterpBase::_compute_indices_min_size_weights_aa, aten/src/ATen/native/cpu/UpSampleKernel.cpp.
    """
    return _antialias(length, wanted, 1.0, lambda x: max(0.0, 1 - abs(x)))


def bicubic_antialias(length: int, wanted: int) -> Weights:
    """Keys' cubic with a = -0.5 that widens as the picture shrinks; sources as for `bilinear_antialias`."""
    return _antialias(length, wanted, 2.0, lambda x: _cubic(abs(x), -0.5))


def bicubic_tensorflow(length: int, wanted: int) -> Weights:
    """Keys' cubic with a = -0.5 on four pixels, its weights from a table; pixels outside count nothing.

    TensorFlow: GetWeightsAndIndices with use_keys_cubic, core/kernels/image/resize_bicubic_op.cc.
    """
    weights = np.zeros((wanted, length))
    for x in range(wanted):
        at = (x + 0.5) * length / wanted - 0.5
        low = math.floor(at)
        step = round((at - low) * _TABLE) / _TABLE
        for pixel in range(low - 1, low + 3):
            if 0 <= pixel < length:
                weights[x, pixel] = _cubic(abs(pixel - low - step), -0.5)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def bicubic_torch(length: int, wanted: int) -> Weights:
    """Keys' cubic with a = -0.75 on four pixels, the edge's pixel repeated beyond it.

    PyTorch: get_cubic_upsample_coefficients, aten/src/ATen/native/UpSample.h.
    """
    weights = np.zeros((wanted, length))
    for x in range(wanted):
        at = (x + 0.5) * length / wanted - 0.5
        low = math.floor(at)
        for pixel in range(low - 1, low + 3):
            weights[x, min(max(pixel, 0), length - 1)] += _cubic(abs(pixel - at), -0.75)
    return weights


def area(length: int, wanted: int) -> Weights:
    """Each input pixel by the part of it that the output pixel covers.

    TensorFlow: ResizeAreaOp, core/kernels/image/resize_area_op.cc.
    """
    scale = length / wanted
    weights = np.zeros((wanted, length))
    for x in range(wanted):
        begin, end = x * scale, (x + 1) * scale
        for pixel in range(math.floor(begin), min(math.ceil(end), length)):
            weights[x, pixel] = min(pixel + 1, end) - max(pixel, begin)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _antialias(length: int, wanted: int, radius: float, kernel: Callable[[float], float]) -> Weights:
    scale = length / wanted
    widened = max(scale, 1.0)
    weights = np.zeros((wanted, length))
    for x in range(wanted):
        centre = (x + 0.5) * scale
        first = max(math.ceil(centre - radius * widened - 0.5), 0)
        last = min(math.floor(centre + radius * widened - 0.5), length - 1)
        for pixel in range(first, last + 1):
            weights[x, pixel] = kernel((pixel + 0.5 - centre) / widened)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _cubic(x: float, a: float) -> float:
    """R. Keys, "Cubic convolution interpolation for digital image processing", 1981, formula 15."""
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    if x < 2:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return 0.0


def _picked(length: int, pixels: list[int]) -> Weights:
    weights = np.zeros((len(pixels), length))
    for x, pixel in enumerate(pixels):
        weights[x, min(pixel, length - 1)] = 1.0
    return weights
