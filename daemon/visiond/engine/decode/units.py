"""Units: whether a YOLO's boxes are fractions of the input or its pixels, and what pixels cost a quantized tensor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

_LEAST_LEVELS: Final = 16  # between a score of 0 and of 1
_MOST_FRACTION: Final = 2.0  # the mean centre of all cells is about 0.5 as a fraction, half the input's side in pixels


def check_levels(info: TensorInfo) -> None:
    """Raise ModelError when boxes in pixels have taken all levels of a scale that they share with the scores."""
    if info.quantization is None or info.dtype.kind == "f":
        return
    levels = 1 / info.quantization.scale
    if levels < _LEAST_LEVELS:
        raise ModelError(
            f"output '{info.name}' has one scale, {info.quantization.scale:.3g}, for boxes in pixels and for scores "
            f"from 0 to 1, which leaves the scores {levels:.2g} levels; export the model with boxes as fractions of "
            "the input (Ultralytics' own TFLite export does), with split heads, or with a float output"
        )


def in_pixels(centres: NDArray[np.float32]) -> bool:
    """Say whether boxes are in pixels; `centres`: x of the boxes of all cells, which are spread over the picture."""
    return float(centres.mean()) > _MOST_FRACTION


def as_fractions(corners: NDArray[np.float32], input_size: tuple[int, int]) -> NDArray[np.float32]:
    """Return xmin, ymin, xmax, ymax (n, 4) in pixels of an input of (width, height) as fractions of it."""
    width, height = input_size
    sides: NDArray[np.float32] = np.array([width, height, width, height], np.float32)
    return corners / sides
