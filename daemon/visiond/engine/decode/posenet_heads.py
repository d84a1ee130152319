"""Heads: one frame's PoseNet outputs as real numbers, read at places between the cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.decode.activation import check_finite
from visiond.engine.decode.posenet_roles import KEYPOINTS, PosenetRoles
from visiond.engine.tensors import TensorInfo, dequantize

# The body's edges from the head outwards, by the keypoints' places in COCO's order; the displacements come in this one.
EDGES: Final = (
    *((0, 1), (1, 3), (0, 2), (2, 4)),
    *((0, 5), (5, 7), (7, 9), (5, 11), (11, 13), (13, 15)),
    *((0, 6), (6, 8), (8, 10), (6, 12), (12, 14), (14, 16)),
)
Point = tuple[float, float]  # y, x in cells
_REFINEMENTS: Final = 5  # times that a short offset is followed: the operator's mid_short_offset_refinement_steps


class Heads:
    """One frame's heads as real numbers, offsets in cells."""

    def __init__(
        self, roles: PosenetRoles, infos: Sequence[TensorInfo], outputs: Sequence[NDArray[Any]], stride: int
    ) -> None:
        def real(position: int, what: str) -> NDArray[np.float32]:
            values = dequantize(outputs[position][0], infos[position])
            check_finite(values, what)
            return values

        self.heatmaps = real(roles.heatmaps, "heatmap values")
        self._offsets = real(roles.offsets, "offsets") / np.float32(stride)
        middle = [real(position, "displacements") / np.float32(stride) for position in roles.displacements]
        self._displacements = np.concatenate(middle, axis=2)
        self._last = self.heatmaps.shape[0] - 1.0, self.heatmaps.shape[1] - 1.0

    def score(self, place: Point, keypoint: int) -> float:
        """Return how sure the model is of this keypoint there, 0 to 1."""
        return 0.5 * (1 + math.tanh(0.5 * _sampled(self.heatmaps, place, keypoint)))

    def refined(self, place: Point, keypoint: int) -> Point:
        """Follow the short offset once."""
        return self._moved(place, self._offsets, keypoint, KEYPOINTS)

    def neighbour(self, place: Point, edge: int, backward: bool, target: int) -> Point:
        """Go along an edge of the body to its other end, and refine what is found there."""
        place = self._moved(place, self._displacements, edge + 2 * len(EDGES) * backward, len(EDGES))
        for _ in range(_REFINEMENTS):
            place = self.refined(place, target)
        return place

    def _moved(self, place: Point, field: NDArray[np.float32], channel: int, to_x: int) -> Point:
        y = place[0] + _sampled(field, place, channel)
        x = place[1] + _sampled(field, place, channel + to_x)
        return min(max(y, 0.0), self._last[0]), min(max(x, 0.0), self._last[1])


def _sampled(field: NDArray[np.float32], place: Point, channel: int) -> float:
    """Return a channel of (h, w, channels) at a place between cells, bilinear; the place is within.

    Number by number: for the few that are wanted, NumPy's calls cost more than they save.
    """
    y, x = place
    top, left, bottom, right = int(y), int(x), math.ceil(y), math.ceil(x)
    down, across = y - top, x - left
    at = field.item
    upper = at(top, left, channel) * (1 - across) + at(top, right, channel) * across
    lower = at(bottom, left, channel) * (1 - across) + at(bottom, right, channel) * across
    return float(upper * (1 - down) + lower * down)
