"""Whether the range that a quantized input was calibrated for is the one that the package's pixels come to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from visiond.modelkit.tflite_model import TensorFacts

_PIXELS: Final = 256
_FAR: Final = 2.0**40
_FEW_LEVELS: Final = 192  # of 256: below it a quarter of what the model could tell apart is lost
_CUT: Final = 2  # pixel values; (1/128, 128) with mean and std 127.5 cuts one by one level, which is nothing
_NEAR: Final = 0.02  # of the range's width


@dataclass(frozen=True, slots=True)
class UsualRange:
    """Real values that trainings use, and the mean and std, in rgb, that make them of pixels."""

    name: str
    low: float
    high: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


_USUAL: Final = (
    UsualRange("0 to 1", 0.0, 1.0, (0, 0, 0), (255, 255, 255)),
    UsualRange("-1 to 1", -1.0, 1.0, (127.5, 127.5, 127.5), (127.5, 127.5, 127.5)),
    UsualRange("0 to 255", 0.0, 255.0, (0, 0, 0), (1, 1, 1)),
    UsualRange("ImageNet's", -2.1179, 2.64, (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
)


def pixel_levels(mean: float, std: float, tensor: TensorFacts) -> list[int]:
    """Return the tensor's value for each pixel value of one channel, before it is cut to the type's limits.

    The same arithmetic as `engine.tensors.pixel_table`, without NumPy: this runs in the daemon's own process.
    """
    scale, zero_point = tensor.scale or 1.0, tensor.zero_point or 0
    return [_round_half_away((pixel - mean) / std / scale) + zero_point for pixel in range(_PIXELS)]


def calibration_remark(mean: Sequence[float], std: Sequence[float], tensor: TensorFacts) -> str | None:
    """Say with numbers where the two ranges do not fit, and what to do; None where they do, or nothing is quantized."""
    if tensor.levels is None:
        return None
    low, high = tensor.levels
    channels = [pixel_levels(each_mean, each_std, tensor) for each_mean, each_std in zip(mean, std, strict=True)]
    used = min(len({min(max(level, low), high) for level in levels}) for levels in channels)
    cut = max(sum(not low - 1 <= level <= high + 1 for level in levels) for levels in channels)
    if used >= _FEW_LEVELS and cut <= _CUT:
        return None
    pixels = [
        (pixel - each_mean) / each_std for each_mean, each_std in zip(mean, std, strict=True) for pixel in (0, 255)
    ]
    usual = _usual_range(tensor)
    given = f"{_range(tensor)}{'' if usual is None else f' ({usual.name}, nearly)'}"
    lost = f", {cut} of {_PIXELS} pixel values are cut off" if cut > _CUT else ""
    return (
        f"input '{tensor.name}' is calibrated for {given}, and pixels come to {min(pixels):.3f} to {max(pixels):.3f}: "
        f"{used} of {_PIXELS} levels are used{lost}; {_remedy(usual, cut > _CUT)}"
    )


def _range(tensor: TensorFacts) -> str:
    if tensor.real_range is None:
        low, high = tensor.levels or (0, 0)
        return f"{low} to {high}, for it has no scale"
    return f"{tensor.real_range[0]:.3f} to {tensor.real_range[1]:.3f}"


def _usual_range(tensor: TensorFacts) -> UsualRange | None:
    low, high = tensor.real_range or tensor.levels or (0.0, 0.0)
    near = _NEAR * (high - low)
    return next((usual for usual in _USUAL if abs(usual.low - low) < near and abs(usual.high - high) < near), None)


def _remedy(usual: UsualRange | None, is_cut: bool) -> str:
    again = "calibrate the model again with pictures that have gone through this package's preprocessing"
    if is_cut:  # so it is too where the preprocessing was right, and no picture was as bright or as dark as pixels get
        again += ", and with brighter, darker, more varied ones (--representative) where they had"
    if usual is None:
        return f"{again}, or give the mean and std that it was calibrated with"
    numbers = (", ".join(f"{value:g}" for value in values) for values in (usual.mean, usual.std))
    return "{again}, or, where the training used that range, give mean: [{}] and std: [{}]".format(
        *numbers, again=again
    )


def _round_half_away(value: float) -> int:
    """Round as TFLite does; Python's own `round` takes the even neighbour. What is far beyond every type is cut."""
    value = max(-_FAR, min(_FAR, value))
    whole = math.trunc(value)
    return whole + (int(math.copysign(1, value)) if abs(value - whole) >= 0.5 else 0)
