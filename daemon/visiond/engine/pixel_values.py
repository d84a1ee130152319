"""PixelValues: 8-bit pixels become the input tensor's numbers, each by the table of its channel.

The table (`tensors.pixel_table`) says what is right. Looking every pixel up in it is the slow way: an 8-bit tensor's
table is nearly always a straight line, which OpenCV computes for 16 pixels and more at once. It is taken only where it
gives the very numbers of the table, which is tried for every pixel value when the model is loaded, as rounding is the
processor's and OpenCV's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.engine.tensors import PIXEL_LEVELS, Quantization, TensorInfo, is_identity, is_less_128, pixel_table

_SIGN_BIT: Final = np.uint8(0x80)  # flipped in a uint8, it is the int8 that is 128 less
# How much steeper a line may be, tried in turn: the table rounds a half away from zero, OpenCV to the even neighbour,
# so a line a hair steeper is right where halves occur (mean and std of 127.5 with a scale of 1/127.5, say).
_STEEPER: Final = (0.0, 1e-5, 1e-4)
_ODD_LENGTH: Final = 67  # no multiple of what a processor computes at once: the rest goes another way

Pixels = NDArray[np.uint8]
Change = Callable[..., object]  # from one plane or picture into another, `dst`


class PixelValues:
    """What is done to the pixels of one model's input; buffers are made once. For one thread at a time.

    `in_place`: the pixels are to stand in the tensor already. `by_planes`: they come as BGR whatever the recipe's
    colour is, for the order of the channels changes nothing here and costs nothing.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], info: TensorInfo, reverse: bool) -> None:
        """`mean` and `std` stand in the tensor's order of channels; `reverse`: it is RGB."""
        table = pixel_table(mean, std, info)
        _, height, width, channels = info.shape
        self._is_int8 = info.dtype == np.int8
        self.in_place = is_identity(table) or is_less_128(table)
        alike = bool((table == table[:, :1]).all())
        self.by_planes = not self.in_place and not alike and table.dtype.itemsize == 1
        self._lut: NDArray[Any] | None = None
        self._changes: list[Change] = []
        self._planes = list(np.empty((2 * channels if self.by_planes else 0, height, width), np.uint8))
        if self.in_place:
            return
        if table.dtype.itemsize == 1:
            levels = _as_uint8(table)
            shape = (height, width) if self.by_planes or channels == 1 else (height, width, channels)
            count = channels if self.by_planes else 1
            self._changes = [
                _change(np.ascontiguousarray(levels[:, n]), mean[n], std[n], info, shape) for n in range(count)
            ]
            if self.by_planes and reverse:
                self._changes.reverse()
        else:
            self._lut = np.ascontiguousarray(table[:, 0] if alike else table[None])
        self._reverse = reverse

    def write(self, pixels: Pixels, tensor: NDArray[Any]) -> None:
        """Fill `tensor` from `pixels`, both (height, width, channels); with `in_place` they share their memory."""
        if self._lut is not None:
            cv2.LUT(pixels, self._lut, dst=tensor)
            return
        bits = tensor.view(np.uint8)
        if self.by_planes:
            self._write_planes(pixels, bits)
        elif not self.in_place:
            self._changes[0](pixels, dst=bits)
        if self._is_int8:
            np.bitwise_xor(bits, _SIGN_BIT, out=bits)

    def _write_planes(self, pixels: Pixels, bits: Pixels) -> None:
        half = len(self._planes) // 2
        before, after = self._planes[:half], self._planes[half:]
        cv2.split(pixels, before)
        for change, source, target in zip(self._changes, before, after, strict=True):
            change(source, dst=target)
        cv2.merge(after[::-1] if self._reverse else after, bits)


def _change(levels: Pixels, mean: float, std: float, info: TensorInfo, shape: tuple[int, ...]) -> Change:
    """Return the quickest way to `levels` (256,) for an array of `shape`.

    The line is (pixel - mean) / std / scale + zero_point, for int8 128 more, as a uint8 has it.
    """
    quantization = info.quantization or Quantization(1.0, 0)
    zero_point = quantization.zero_point + (128 if info.dtype == np.int8 else 0)
    for steeper in _STEEPER:
        factor = (1 + steeper) / (std * quantization.scale)
        offset = zero_point - mean * factor
        if _is_line(levels, factor, offset, shape):
            return partial(cv2.convertScaleAbs, alpha=factor, beta=offset)
    return partial(cv2.LUT, lut=levels)


def _is_line(levels: Pixels, factor: float, offset: float, shape: tuple[int, ...]) -> bool:
    """Whether OpenCV's line gives `levels` for each pixel value, wherever in an array of `shape` it stands.

    It takes the absolute value, so a line that begins below zero fails here.
    """
    pixels = np.arange(PIXEL_LEVELS, dtype=np.uint8)
    samples = [np.resize(pixels, shape), *(np.resize(np.roll(pixels, n), _ODD_LENGTH) for n in range(PIXEL_LEVELS))]
    for sample in samples:
        line = cv2.convertScaleAbs(sample, alpha=factor, beta=offset).reshape(sample.shape)
        if not np.array_equal(line, levels[sample]):
            return False
    return True


def _as_uint8(table: NDArray[Any]) -> Pixels:
    """The table's bytes, those of an int8 shifted by 128."""
    return table.view(np.uint8) ^ _SIGN_BIT if table.dtype == np.int8 else table.view(np.uint8)
