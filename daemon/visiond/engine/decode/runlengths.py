"""Run lengths: a grid of classes over the input becomes one over the frame, and that one segments with masks."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Box, Mask, Segment
from visiond.engine.decode.decoder import DecodeSettings
from visiond.engine.geometry import Geometry

UNSEEN: Final = -1  # a cell of no class
MAX_SIDE: Final = 1024  # cells of a grid over the frame, where a crop makes it larger than the output
# Of all masks of one result together: more would not fit into one message. Another grid of half the cells each way is
# taken instead, which shows the same with less detail.
MAX_COUNTS: Final = 10_000


def over_frame(grid: NDArray[np.int16], geometry: Geometry) -> NDArray[np.int16]:
    """Return the same classes on a grid over the whole frame: the nearest cell of `grid` (h, w) for each.

    A cell keeps its size, so padding is cut off, and what was cropped away comes back as UNSEEN.
    """
    rows = _cells_along(grid.shape[0], geometry.scale_y, geometry.offset_y)
    columns = _cells_along(grid.shape[1], geometry.scale_x, geometry.offset_x)
    whole = _taken(_taken(grid, rows, 0), columns, 1)
    unseen_rows = (rows < 0) | (rows >= grid.shape[0])
    unseen_columns = (columns < 0) | (columns >= grid.shape[1])
    if unseen_rows.any() or unseen_columns.any():
        whole = whole.copy()
        whole[unseen_rows] = UNSEEN
        whole[:, unseen_columns] = UNSEEN
    return whole


def segments(grid: NDArray[np.int16], first_class: int, settings: DecodeSettings) -> tuple[Segment, ...]:
    """Return a segment for each class from `first_class` on in the grid over the frame.

    The largest first, at most `max_objects`.
    """
    runs = _Runs(grid)
    cells = runs.cells_of_classes()
    cells[:first_class] = 0
    largest = [class_id for class_id in np.argsort(-cells, kind="stable").tolist() if cells[class_id]]
    chosen = largest[: settings.max_objects]
    masks = _masks(grid, runs, chosen)
    return tuple(
        Segment(settings.labels.name(each), each, float(cells[each] / grid.size), _box(grid == each), mask)
        for each, mask in zip(chosen, masks, strict=True)
    )


def _masks(grid: NDArray[np.int16], runs: _Runs, chosen: list[int]) -> list[Mask]:
    """Return a mask for each class, all of one size; that of a few cells may be empty where the grid was halved."""
    while runs.count > MAX_COUNTS or sum(runs.counts_of(class_id) for class_id in chosen) > MAX_COUNTS:
        if max(grid.shape) == 1:
            break
        grid = grid[::2, ::2]
        runs = _Runs(grid)
    return [runs.mask(class_id) for class_id in chosen]


class _Runs:
    """The runs of one class each in a grid, column by column."""

    def __init__(self, grid: NDArray[np.int16]) -> None:
        self._height, self._width = grid.shape
        flat = np.ravel(grid, order="F")
        self._starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
        self._ends = np.append(self._starts[1:], flat.size)
        self._classes = flat[self._starts]
        self.count = self._starts.size

    def cells_of_classes(self) -> NDArray[np.float64]:
        """Return how many cells each class has, by class id."""
        lengths = self._ends - self._starts
        return np.bincount(self._classes - UNSEEN, lengths)[-UNSEEN:].astype(np.float64)

    def counts_of(self, class_id: int) -> int:
        """Return how many counts the class's mask has, at most."""
        return 2 * int((self._classes == class_id).sum()) + 1

    def mask(self, class_id: int) -> Mask:
        mine = self._classes == class_id
        edges = np.stack([self._starts[mine], self._ends[mine]], axis=1).ravel()
        counts = np.diff(np.concatenate([[0], edges, [self._height * self._width]]))
        return Mask(self._height, self._width, tuple(counts[: -1 if counts[-1] == 0 else None].tolist()))


def _taken(grid: NDArray[np.int16], cells: NDArray[np.intp], axis: int) -> NDArray[np.int16]:
    """Return these rows or columns, the nearest one where there is none; a view where they follow each other."""
    first, last = int(cells[0]), int(cells[-1])
    if first >= 0 and last < grid.shape[axis] and last - first == cells.size - 1:
        return grid[first : last + 1] if axis == 0 else grid[:, first : last + 1]
    return np.take(grid, cells, axis, mode="clip")


def _cells_along(count: int, scale: float, offset: float) -> NDArray[np.intp]:
    """Return which cell of the input's `count` lies under the centre of each of the frame's, along one axis."""
    wanted = min(max(1, round(count * scale)), MAX_SIDE)
    centres = (np.arange(wanted) + 0.5) / wanted
    return np.floor((centres * scale + offset) * count).astype(np.intp)


def _box(mask: NDArray[np.bool_]) -> Box:
    (top, bottom), (left, right) = (_span(np.flatnonzero(mask.any(axis=axis)), mask.shape[1 - axis]) for axis in (1, 0))
    return Box(left, top, right, bottom)


def _span(inside: NDArray[np.intp], count: int) -> tuple[float, float]:
    """Return where the first of these cells begins and the last one ends, as fractions of `count`."""
    return int(inside[0]) / count, (int(inside[-1]) + 1) / count
