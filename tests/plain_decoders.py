"""Decoders as one would write them first: row by row, in plain Python and float64, the references of the real ones.

What they find is (class id, score, (xmin, ymin, xmax, ymax)), corners as fractions of the input and not clamped.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Box, Detection
from visiond.engine.tensors import TensorInfo

Corners = tuple[float, float, float, float]
Found = tuple[int, float, Corners]


def real(raw: NDArray[Any], info: TensorInfo) -> NDArray[np.float64]:
    if info.quantization is None:
        return raw.astype(np.float64)
    return (raw.astype(np.float64) - info.quantization.zero_point) * info.quantization.scale


def overlap(one: Corners, other: Corners) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def suppressed(candidates: Sequence[Found], iou_threshold: float) -> list[Found]:
    """Greedy, class by class: the best first, and only what overlaps none of the kept by more."""
    kept: list[Found] = []
    for candidate in sorted(candidates, key=lambda each: -each[1]):
        if all(other[0] != candidate[0] or overlap(other[2], candidate[2]) <= iou_threshold for other in kept):
            kept.append(candidate)
    return kept


def corners(x: float, y: float, width: float, height: float) -> Corners:
    return (x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def yolov8(rows: NDArray[np.float64], min_score: float, iou_threshold: float) -> list[Found]:
    """Rows of x, y, width, height and a score for each class."""
    candidates = []
    for row in rows.tolist():
        scores = [min(max(score, 0.0), 1.0) for score in row[4:]]
        class_id = scores.index(max(scores))
        if scores[class_id] >= min_score:
            candidates.append((class_id, scores[class_id], corners(*row[:4])))
    return suppressed(candidates, iou_threshold)


def yolov5(rows: NDArray[np.float64], min_score: float, iou_threshold: float) -> list[Found]:
    """Rows of x, y, width, height, objectness and a score for each class."""
    candidates = []
    for row in rows.tolist():
        objectness, *scores = (min(max(score, 0.0), 1.0) for score in row[4:])
        class_id = scores.index(max(scores))
        if objectness * scores[class_id] >= min_score:
            candidates.append((class_id, objectness * scores[class_id], corners(*row[:4])))
    return suppressed(candidates, iou_threshold)


def ssd(
    encodings: NDArray[np.float64],
    scores: NDArray[np.float64],
    anchors: NDArray[np.float64],
    min_score: float,
    iou_threshold: float,
) -> list[Found]:
    """Encodings ty, tx, th, tw on anchors y, x, height, width; scores with the background in column 0."""
    candidates = []
    for (ty, tx, th, tw), row, (ya, xa, ha, wa) in zip(
        encodings.tolist(), scores.tolist(), anchors.tolist(), strict=True
    ):
        best = max(row[1:])
        if best >= min_score:
            y, x = ty / 10 * ha + ya, tx / 10 * wa + xa
            height, width = math.exp(th / 5) * ha, math.exp(tw / 5) * wa
            candidates.append((row[1:].index(best), best, corners(x, y, width, height)))
    return suppressed(candidates, iou_threshold)


def ssd_anchors(
    grids: Sequence[int], min_scale: float = 0.2, max_scale: float = 0.95, reduce_lowest: bool = True
) -> list[tuple[float, float, float, float]]:
    """y, x, height, width; square grids, the finest first."""
    anchors = []
    for layer, cells in enumerate(grids):
        scale = min_scale + (max_scale - min_scale) * layer / (len(grids) - 1)
        following = min_scale + (max_scale - min_scale) * (layer + 1) / (len(grids) - 1)
        if layer == len(grids) - 1:
            following = 1.0
        kinds = [(scale, 1.0), (scale, 2.0), (scale, 0.5), (scale, 3.0), (scale, 1 / 3)]
        kinds.append((math.sqrt(scale * following), 1.0))
        if layer == 0 and reduce_lowest:
            kinds = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        for row in range(cells):
            for column in range(cells):
                for side, ratio in kinds:
                    size = side / math.sqrt(ratio), side * math.sqrt(ratio)
                    anchors.append(((row + 0.5) / cells, (column + 0.5) / cells, *size))
    return anchors


# PoseNet's body: each keypoint's neighbour towards the head, in the order of the displacements.
_BODY = "01 13 02 24 05 57 79 5b bd df 06 68 8a 6c ce eg"
EDGES = [(int(pair[0], 17), int(pair[1], 17)) for pair in _BODY.split()]
Pose = tuple[float, list[tuple[float, float, float]]]  # score; y, x in pixels of the input and score, by keypoint


def posenet(
    heatmaps: NDArray[np.float64],
    offsets: NDArray[np.float64],
    forward: NDArray[np.float64],
    backward: NDArray[np.float64],
    stride: int,
    min_score: float,
    most: int = 20,
    radius: float = 20.0,
) -> list[Pose]:
    """Coral's DecodeAllPoses, with its queues: arrays (h, w, channels), logits and pixels."""
    height, width, count = heatmaps.shape

    def at(field: NDArray[np.float64], y: float, x: float, channel: int) -> float:
        top, left = math.floor(y), math.floor(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        down, across = y - top, x - left
        return float(
            (1 - down) * ((1 - across) * field[top, left, channel] + across * field[top, right, channel])
            + down * ((1 - across) * field[bottom, left, channel] + across * field[bottom, right, channel])
        )

    def inside(y: float, x: float) -> tuple[float, float]:
        return min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)

    def refine(y: float, x: float, keypoint: int) -> tuple[float, float]:
        return inside(y + at(offsets, y, x, keypoint) / stride, x + at(offsets, y, x, count + keypoint) / stride)

    def grow(root: int, y: float, x: float) -> list[tuple[float, float, float]]:
        done: dict[int, tuple[float, float, float]] = {}
        queue = [(-at(heatmaps, y, x, root), root, y, x)]
        while queue:
            negative, keypoint, y, x = heapq.heappop(queue)
            if keypoint in done:
                continue
            done[keypoint] = y, x, 1 / (1 + math.exp(negative))
            for edge, (head, tail) in enumerate(EDGES):
                for source, target, field in ((head, tail, forward), (tail, head, backward)):
                    if source == keypoint and target not in done:
                        dy, dx = at(field, y, x, edge), at(field, y, x, len(EDGES) + edge)
                        there = inside(y + dy / stride, x + dx / stride)
                        for _ in range(5):
                            there = refine(*there, target)
                        heapq.heappush(queue, (-at(heatmaps, *there, target), target, *there))
        return [done[keypoint] for keypoint in range(count)]

    roots = []
    for y in range(height):
        for x in range(width):
            for keypoint in range(count):
                around = heatmaps[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2, keypoint]
                logit = heatmaps[y, x, keypoint]
                if logit == around.max() and 1 / (1 + math.exp(-logit)) >= min_score:
                    roots.append((logit, keypoint, *refine(y, x, keypoint)))
    poses: list[list[tuple[float, float, float]]] = []
    for _, keypoint, y, x in sorted(roots, key=lambda root: -root[0]):
        near = [math.dist((y, x), other[keypoint][:2]) * stride <= radius for other in poses]
        if len(poses) < most and not any(near):
            grown = grow(keypoint, y, x)
            if sum(point[2] for point in grown) / count >= min_score:
                poses.append(grown)
    poses.sort(key=lambda each: -sum(point[2] for point in each))
    found = []
    for rank, each in enumerate(poses):
        own = [
            point[2]
            for keypoint, point in enumerate(each)
            if all(math.dist(point[:2], better[keypoint][:2]) * stride > radius for better in poses[:rank])
        ]
        if sum(own) / count >= min_score:
            found.append((sum(own) / count, [(y * stride, x * stride, score) for y, x, score in each]))
    return sorted(found, key=lambda each: -each[0])


def assert_alike(found: Sequence[Detection], expected: Sequence[Found], near: float = 1e-4) -> None:
    """Each is found, and nothing else; what lies outside the picture is not. Equal scores may come in any order."""
    inside = [(class_id, score, Box.clamped(*box)) for class_id, score, box in expected]
    inside = [each for each in inside if each[2].area > 1e-9]
    assert len([each for each in found if each.box.area > 1e-9]) == len(inside)
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for detection in found:
        alike = [each for each in inside if each[0] == detection.class_id and abs(each[1] - detection.score) < near]
        assert alike, f"{detection} is not expected"
        assert min(_apart(detection.box, box) for *_, box in alike) < near


def _apart(one: Box, other: Box) -> float:
    return max(
        abs(one.xmin - other.xmin), abs(one.ymin - other.ymin), abs(one.xmax - other.xmax), abs(one.ymax - other.ymax)
    )
