"""Grids: the cells over the input that a YOLO's rows stand for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visiond.errors import ModelError

STRIDES: Final = (4, 8, 16, 32, 64)


def strides_of(count: int, input_size: tuple[int, int]) -> tuple[int, ...] | None:
    """Return the strides of the grids that have `count` cells over an input of (width, height) pixels, finest first.

    None where no grids make up that number.
    """
    for grids in range(1, len(STRIDES) + 1):
        for strides in combinations(STRIDES, grids):
            if sum(columns * rows for columns, rows in _sizes(strides, input_size)) == count:
                return strides
    return None


def cells(count: int, input_size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each cell's centre (count, 2) in pixels and its stride (count,), finest grid first. Raises ModelError."""
    strides = strides_of(count, input_size)
    if strides is None:
        raise ModelError(f"{no_grids(count, input_size)}; give another decoder")
    centres, each_stride = [], []
    for stride, (columns, rows) in zip(strides, _sizes(strides, input_size), strict=True):
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        centres.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
        each_stride.append(np.full(columns * rows, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(each_stride).astype(np.float32)


def no_grids(count: int, input_size: tuple[int, int]) -> str:
    """Say that no grids have so many cells."""
    width, height = input_size
    return (
        f"the outputs have {count} cells, which no grids of strides {', '.join(map(str, STRIDES))} "
        f"over an input of {width}x{height} make up"
    )


def _sizes(strides: Sequence[int], input_size: tuple[int, int]) -> list[tuple[int, int]]:
    width, height = input_size
    return [(math.ceil(width / stride), math.ceil(height / stride)) for stride in strides]
