"""YOLOv8's usual export: boxes and class scores in one tensor, [1, 4 + C, N] or transposed [1, N, 4 + C].

N counts the cells of all grids, C the classes. A box is x and y of its centre, width and height: fractions of the
input in TFLite exports (Ultralytics' exporter divides by the input's size for TensorFlow formats), pixels in ONNX ones.
Scores have gone through their sigmoid; quantized, they reach 1.016, as they share one scale with boxes beyond 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import Activation, check_finite
from visiond.engine.decode.decoder import DecodeSettings
from visiond.engine.decode.suppression import best_rows, corners_of, detections, surviving
from visiond.engine.decode.units import as_fractions, check_levels, in_pixels
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize

BOX: Final = 4


class Fused:
    """Decodes one tensor with a box and C scores for each of N cells."""

    def __init__(
        self,
        position: int,
        info: TensorInfo,
        settings: DecodeSettings,
        activation: str = "none",
        transposed: bool = False,
    ) -> None:
        """`transposed`: [1, N, 4 + C]. Raises ModelError when one scale leaves the scores no levels."""
        check_levels(info)
        self._position = position
        self._info = info
        self._settings = settings
        self._transposed = transposed
        self._activation = Activation(info, activation, settings.min_score, alone=False)

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score` and survives suppression, best first. Raises InvalidOutput."""
        raw = outputs[self._position][0]
        if raw.dtype.kind == "f":
            check_finite(raw, "boxes and scores")
        # Compared as they are: of 700,000 values no more than those of a few cells are ever dequantized.
        best = raw[:, BOX:].max(axis=1) if self._transposed else raw[BOX:].max(axis=0)
        passed = np.flatnonzero(best >= self._activation.least_raw)
        found = raw[passed] if self._transposed else np.ascontiguousarray(raw[:, passed].T)
        classes = found[:, BOX:].argmax(axis=1)
        scores = self._activation.scores(found[np.arange(passed.size), BOX + classes])
        rows = best_rows(scores, self._settings.min_score)
        classes, scores = classes[rows], scores[rows]
        corners = corners_of(dequantize(found[rows, :BOX], self._info))
        if rows.size and in_pixels(dequantize(raw[:, 0] if self._transposed else raw[0], self._info)):
            corners = as_fractions(corners, self._settings.input_size)
        kept = surviving(corners, classes, scores, self._settings)
        return detections(corners, classes, scores, self._settings, geometry, kept)
