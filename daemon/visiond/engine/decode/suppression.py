"""Suppression: of boxes of one class that overlap, the best one stays; what stays becomes detections."""

from __future__ import annotations

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import check_finite
from visiond.engine.decode.decoder import DecodeSettings
from visiond.engine.geometry import Geometry

CANDIDATES: Final = 1000  # of highest score that suppression looks at: it compares each with each


def best_rows(scores: NDArray[np.float32], min_score: float) -> NDArray[np.intp]:
    """Return the rows whose score reaches `min_score`, best first, at most CANDIDATES."""
    rows = np.flatnonzero(scores >= min_score)
    return rows[np.argsort(-scores[rows], kind="stable")[:CANDIDATES]]


def surviving(
    corners: NDArray[np.float32], classes: NDArray[Any], scores: NDArray[np.float32], settings: DecodeSettings
) -> list[int]:
    """Return the rows that survive, best first; rows come in best first.

    `corners` (n, 4) are xmin, ymin, xmax, ymax. OpenCV keeps classes apart by moving each class's boxes beyond the
    greatest coordinate, which holds only where no coordinate is negative: hence the shift to 0.
    """
    if not len(corners):
        return []
    check_finite(corners, "box corners")
    sides = corners - corners.min(axis=0)[[0, 1, 0, 1]]  # x, y, width, height, as OpenCV wants them
    sides[:, 2:] -= sides[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(sides.tolist(), scores.tolist(), classes.tolist(), 0.0, settings.iou_threshold)
    rows: list[int] = np.asarray(kept, np.intp).ravel().tolist()
    return sorted(rows)


def detections(
    corners: NDArray[np.float32],
    classes: NDArray[Any],
    scores: NDArray[np.float32],
    settings: DecodeSettings,
    geometry: Geometry,
    rows: list[int],
) -> tuple[Detection, ...]:
    """Return these rows as detections of the frame, at most `max_objects`; boxes outside the frame are left out.

    `corners` (n, 4) are xmin, ymin, xmax, ymax as fractions of the input tensor.
    """
    found: list[Detection] = []
    for row in rows:
        box = geometry.box(*corners[row].tolist())
        if box.area > 0:
            class_id = int(classes[row])
            found.append(Detection(settings.labels.name(class_id), class_id, float(scores[row]), box))
        if len(found) == settings.max_objects:
            break
    return tuple(found)


def corners_of(centres: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return xmin, ymin, xmax, ymax of boxes given as x and y of the centre, width, height: (n, 4) of either."""
    half = centres[:, 2:] * np.float32(0.5)
    corners: NDArray[np.float32] = np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)
    return corners
