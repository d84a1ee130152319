"""YOLOv8's split heads: class logits and box distances as two outputs, each quantized with parameters of its own.

A cell of a grid with stride s predicts the distances, in strides, from its centre to the four sides of a box; each
distance is a distribution over 16 bins ("DFL", Li et al. 2020, "Generalized Focal Loss", section 3.3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput, given_roles, table_of
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

BINS: Final = 16
_DISTANCES: Final = 4 * BINS
_STRIDES: Final = (4, 8, 16, 32, 64)
_CANDIDATES: Final = 1000  # of highest score that suppression looks at: it compares each with each


class SplitHeads:
    """Decodes scores [1, N, C] (logits) and boxes [1, N, 64] into objects; N counts the cells of all grids."""

    def __init__(
        self, outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None, settings: DecodeSettings
    ) -> None:
        """Raises ModelError when no two outputs are such heads, or N is not the sum of grids of the input's size."""
        self._scores, self._boxes = _resolve(outputs, given_roles(roles, ("scores", "boxes"), outputs))
        self._scores_info, self._boxes_info = outputs[self._scores], outputs[self._boxes]
        self._settings = settings
        self._centres, self._strides = _cells(self._scores_info.shape[1], settings.input_size)
        self._least_logit = _logit(settings.min_score)
        self._least_raw = _as_raw(self._least_logit, self._scores_info)

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score` and survives suppression, best first. Raises InvalidOutput for NaN."""
        raw = outputs[self._scores][0]
        if raw.dtype.kind == "f" and not np.isfinite(raw).all():
            raise InvalidOutput(f"{int((~np.isfinite(raw)).sum())} of {raw.size} class logits are NaN or infinite")
        # Compared as they are: no more than a handful of all cells is ever dequantized.
        cells = np.flatnonzero(raw.max(axis=1) >= self._least_raw)
        if cells.size == 0:
            return ()
        logits = dequantize(raw[cells], self._scores_info)
        classes = logits.argmax(axis=1)
        scores = _sigmoid(logits[np.arange(cells.size), classes])
        best = np.argsort(-scores, kind="stable")[:_CANDIDATES]
        cells, classes, scores = cells[best], classes[best], scores[best]
        corners = self._corners(outputs[self._boxes][0][cells], cells)
        return self._detections(corners, classes, scores, geometry)

    def _corners(self, raw: NDArray[Any], cells: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return xmin, ymin, xmax, ymax in pixels of the input tensor, (cells, 4)."""
        logits = dequantize(raw, self._boxes_info).reshape(-1, 4, BINS)
        if not np.isfinite(logits).all():
            raise InvalidOutput("box distances are NaN or infinite")
        weights = np.exp(logits - logits.max(axis=2, keepdims=True))
        bins = weights @ np.arange(BINS, dtype=np.float32) / weights.sum(axis=2)
        distances = bins * self._strides[cells, None]
        centres = self._centres[cells]
        corners: NDArray[np.float32] = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return corners

    def _detections(
        self,
        corners: NDArray[np.float32],
        classes: NDArray[np.intp],
        scores: NDArray[np.float32],
        geometry: Geometry,
    ) -> tuple[Detection, ...]:
        settings = self._settings
        sides = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)  # x, y, width, height
        kept = cv2.dnn.NMSBoxesBatched(
            sides.tolist(), scores.tolist(), classes.tolist(), settings.min_score, settings.iou_threshold
        )
        width, height = settings.input_size
        found: list[Detection] = []
        for row in np.asarray(kept, np.intp).ravel().tolist():
            xmin, ymin, xmax, ymax = corners[row].tolist()
            box = geometry.box(xmin / width, ymin / height, xmax / width, ymax / height)
            if box.area > 0:
                class_id = int(classes[row])
                found.append(Detection(settings.labels.name(class_id), class_id, float(scores[row]), box))
        found.sort(key=lambda detection: -detection.score)
        return tuple(found[: settings.max_objects])


def _resolve(outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None) -> tuple[int, int]:
    """Return the positions of scores and boxes: by the package, else by their shapes. Raises ModelError."""
    expected = f"expected scores [1, N, classes] and boxes [1, N, {_DISTANCES}]; the outputs are {table_of(outputs)}"
    if roles is not None:
        scores, boxes = roles["scores"], roles["boxes"]
    elif len(outputs) != 2:
        raise ModelError(f"a yolov8 of this form has two outputs: {expected}")
    else:
        lengths = [info.shape[-1] if len(info.shape) == 3 else 0 for info in outputs]
        if lengths.count(_DISTANCES) == 2:
            raise ModelError(f"both outputs could be the boxes; say which in output.roles: {expected}")
        boxes = 0 if lengths[0] == _DISTANCES else 1
        scores = 1 - boxes
    shapes = outputs[scores].shape, outputs[boxes].shape
    if any(len(shape) != 3 or shape[0] != 1 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ModelError(expected)
    if shapes[1][2] != _DISTANCES:
        raise ModelError(expected)
    return scores, boxes


def _cells(count: int, input_size: tuple[int, int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each cell's centre (count, 2) in pixels and its stride (count,), finest grid first. Raises ModelError."""
    width, height = input_size
    for grids in range(1, len(_STRIDES) + 1):
        for strides in combinations(_STRIDES, grids):
            sizes = [(math.ceil(width / stride), math.ceil(height / stride)) for stride in strides]
            if sum(columns * rows for columns, rows in sizes) == count:
                return _grid(strides, sizes)
    raise ModelError(
        f"the outputs have {count} cells, which no grids of strides {', '.join(map(str, _STRIDES))} "
        f"over an input of {width}x{height} make up; give another decoder"
    )


def _grid(strides: Sequence[int], sizes: Sequence[tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    centres, each_stride = [], []
    for stride, (columns, rows) in zip(strides, sizes, strict=True):
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        centres.append((np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) * stride)
        each_stride.append(np.full(columns * rows, stride))
    return np.concatenate(centres).astype(np.float32), np.concatenate(each_stride).astype(np.float32)


def _logit(score: float) -> float:
    """The inverse of the sigmoid; -inf for 0, inf for 1."""
    if score <= 0:
        return -math.inf
    return math.inf if score >= 1 else math.log(score / (1 - score))


def _as_raw(logit: float, info: TensorInfo) -> float:
    """The least raw value whose real value reaches `logit`, less half a level: the exact comparison comes later."""
    if info.quantization is None or not math.isfinite(logit):
        return logit
    return logit / info.quantization.scale + info.quantization.zero_point - 0.5


def _sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x), in the form that does not overflow."""
    half: NDArray[np.float32] = 0.5 * (1 + np.tanh(0.5 * logits))
    return half
