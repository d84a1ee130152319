"""YOLOv8's split heads: class logits and box distances as two outputs, each quantized with parameters of its own.

A cell of a grid with stride s predicts the distances, in strides, from its centre to the four sides of a box; each
distance is a distribution over 16 bins ("DFL", Li et al. 2020, "Generalized Focal Loss", section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import check_finite, least_raw, logit, sigmoid, softmax
from visiond.engine.decode.decoder import DecodeSettings, given_roles, table_of
from visiond.engine.decode.grids import cells
from visiond.engine.decode.suppression import best_rows, detections, surviving
from visiond.engine.decode.units import as_fractions
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

BINS: Final = 16
DISTANCES: Final = 4 * BINS


class SplitHeads:
    """Decodes scores [1, N, C] (logits) and boxes [1, N, 64] into objects; N counts the cells of all grids."""

    def __init__(
        self, outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None, settings: DecodeSettings
    ) -> None:
        """Raises ModelError when no two outputs are such heads, or N is not the sum of grids of the input's size."""
        self._scores, self._boxes = _resolve(outputs, given_roles(roles, ("scores", "boxes"), outputs))
        self._scores_info, self._boxes_info = outputs[self._scores], outputs[self._boxes]
        self._settings = settings
        self._centres, self._strides = cells(self._scores_info.shape[1], settings.input_size)
        self._least_raw = least_raw(logit(settings.min_score), self._scores_info)

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score` and survives suppression, best first. Raises InvalidOutput for NaN."""
        raw = outputs[self._scores][0]
        if raw.dtype.kind == "f":
            check_finite(raw, "class logits")
        # Compared as they are: no more than a handful of all cells is ever dequantized.
        passed = np.flatnonzero(raw.max(axis=1) >= self._least_raw)
        logits = dequantize(raw[passed], self._scores_info)
        classes = logits.argmax(axis=1)
        scores = sigmoid(logits[np.arange(passed.size), classes])
        best = best_rows(scores, self._settings.min_score)
        passed, classes, scores = passed[best], classes[best], scores[best]
        corners = self._corners(outputs[self._boxes][0][passed], passed)
        rows = surviving(corners, classes, scores, self._settings)
        return detections(corners, classes, scores, self._settings, geometry, rows)

    def _corners(self, raw: NDArray[Any], passed: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return xmin, ymin, xmax, ymax as fractions of the input tensor, (n, 4)."""
        logits = dequantize(raw, self._boxes_info).reshape(-1, 4, BINS)
        check_finite(logits, "box distances")
        bins = (softmax(logits) * np.arange(BINS, dtype=np.float32)).sum(axis=2)
        distances = bins * self._strides[passed, None]
        centres = self._centres[passed]
        corners = np.concatenate([centres - distances[:, :2], centres + distances[:, 2:]], axis=1)
        return as_fractions(corners, self._settings.input_size)


def _resolve(outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None) -> tuple[int, int]:
    """Return the positions of scores and boxes: by the package, else by their shapes. Raises ModelError."""
    expected = f"expected scores [1, N, classes] and boxes [1, N, {DISTANCES}]; the outputs are {table_of(outputs)}"
    if roles is not None:
        scores, boxes = roles["scores"], roles["boxes"]
    elif len(outputs) != 2:
        raise ModelError(f"a yolov8 of this form has two outputs: {expected}")
    else:
        lengths = [info.shape[-1] if len(info.shape) == 3 else 0 for info in outputs]
        if lengths.count(DISTANCES) == 2:
            raise ModelError(f"both outputs could be the boxes; say which in output.roles: {expected}")
        boxes = 0 if lengths[0] == DISTANCES else 1
        scores = 1 - boxes
    shapes = outputs[scores].shape, outputs[boxes].shape
    if any(len(shape) != 3 or shape[0] != 1 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ModelError(expected)
    if shapes[1][2] != DISTANCES:
        raise ModelError(expected)
    return scores, boxes
