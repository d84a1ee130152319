"""YOLO end to end: the graph has suppressed overlaps itself and gives [1, R, 6], a row for each object.

A row is xmin, ymin, xmax, ymax, score, class (YOLOv10 and later, or an export of Ultralytics with nms=True; head.py's
`Detect.postprocess` and exporter.py's `NMSModel`). Rows that are not used hold zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import check_finite
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput, clamp_scores
from visiond.engine.decode.suppression import best_rows, detections
from visiond.engine.decode.units import as_fractions
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

COLUMNS: Final = 6
MAX_CLASS_ID: Final = 1 << 16
_MOST_FRACTION: Final = 2.0  # a box that leaves the picture by more is one in pixels; no object is so small


class EndToEnd:
    """Decodes [1, R, 6] into the objects that reach `min_score`."""

    def __init__(self, position: int, info: TensorInfo, settings: DecodeSettings) -> None:
        """Raises ModelError for a quantized tensor, where class numbers, scores and boxes would share one scale."""
        if info.quantization is not None and info.dtype.kind != "f":
            raise ModelError(
                f"output '{info.name}' is quantized: class numbers and scores from 0 to 1 share one scale, "
                f"{info.quantization.scale:.3g}, and cannot be told apart; export the model with a float output"
            )
        self._position = position
        self._info = info
        self._settings = settings

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return the objects, best first. Raises InvalidOutput for NaN, and for classes that are no class ids."""
        found = dequantize(outputs[self._position][0], self._info)
        check_finite(found, "boxes, scores and classes")
        scores = clamp_scores(found[:, 4])
        rows = best_rows(scores, self._settings.min_score)
        corners, scores, classes = found[rows, :4], scores[rows], found[rows, 5]
        if ((classes < 0) | (classes >= MAX_CLASS_ID) | (classes != np.floor(classes))).any():
            raise InvalidOutput(f"classes are no class ids: {', '.join(f'{each:g}' for each in classes[:4].tolist())}")
        if (corners > _MOST_FRACTION).any():
            corners = as_fractions(corners, self._settings.input_size)
        return detections(corners, classes, scores, self._settings, geometry, list(range(len(rows))))
