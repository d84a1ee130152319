"""YOLOv5, and YOLOv7 in the same form: one tensor [1, N, 5 + C], three boxes for each cell of all grids.

A row is x and y of the box's centre, width, height, objectness, then C class scores; a class's score is objectness
times class score (Ultralytics' yolov5, `non_max_suppression` in utils/general.py). Boxes are fractions of the input in
TFLite exports, pixels in ONNX ones. Both scores have gone through their sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import check_finite, least_raw
from visiond.engine.decode.decoder import (
    SCORE_CEILING,
    DecoderSpec,
    DecodeSettings,
    clamp_scores,
    only_output,
    table_of,
)
from visiond.engine.decode.grids import strides_of
from visiond.engine.decode.suppression import best_rows, corners_of, detections, surviving
from visiond.engine.decode.units import as_fractions, check_levels, in_pixels
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

BOXES_PER_CELL: Final = 3
_OBJECTNESS: Final = 4
_CLASSES: Final = 5


class YoloV5:
    """Decodes a box, its objectness and C class scores for each of N rows."""

    def __init__(self, spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> None:
        """Raises ModelError when no output is such a tensor, or one scale leaves the scores no levels."""
        self._position = _resolve(spec, outputs, settings)
        self._info = outputs[self._position]
        check_levels(self._info)
        self._settings = settings
        # No class score lifts a row above its objectness, but for the rounding that clamping takes off.
        self._least_raw = least_raw(settings.min_score / SCORE_CEILING, self._info)

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score` and survives suppression, best first. Raises InvalidOutput."""
        raw = outputs[self._position][0]
        if raw.dtype.kind == "f":
            check_finite(raw, "boxes and scores")
        # Compared as they are: only rows whose objectness reaches the threshold are ever dequantized.
        found = dequantize(raw[np.flatnonzero(raw[:, _OBJECTNESS] >= self._least_raw)], self._info)
        found[:, _OBJECTNESS:] = clamp_scores(found[:, _OBJECTNESS:])
        classes = found[:, _CLASSES:].argmax(axis=1)
        scores = found[:, _OBJECTNESS] * found[np.arange(len(found)), _CLASSES + classes]
        rows = best_rows(scores, self._settings.min_score)
        classes, scores = classes[rows], scores[rows]
        corners = corners_of(found[rows, :4])
        if rows.size and in_pixels(dequantize(raw[:, 0], self._info)):
            corners = as_fractions(corners, self._settings.input_size)
        kept = surviving(corners, classes, scores, self._settings)
        return detections(corners, classes, scores, self._settings, geometry, kept)


def _resolve(spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> int:
    """Return the position of the tensor. Raises ModelError."""
    expected = (
        "decoder yolov5 expects one output [1, 3 boxes for each cell, 5 + classes]; the model's outputs are "
        f"{table_of(outputs)}; choose one by output.roles: {{cells: position}}, or choose another decoder"
    )
    position = only_output("cells", spec.roles, outputs, expected)
    shape = outputs[position].shape
    if strides_of(max(shape), settings.input_size) is not None and max(shape) % BOXES_PER_CELL:
        raise ModelError(f"{expected}; one box for each cell, as it has, is a YOLOv8's: give output.decoder: yolov8")
    cells = shape[1] // BOXES_PER_CELL
    if shape[1] % BOXES_PER_CELL or shape[2] <= _CLASSES or strides_of(cells, settings.input_size) is None:
        raise ModelError(expected)
    return position
