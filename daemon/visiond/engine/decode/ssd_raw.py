"""SsdRaw: an SSD's two heads, without TFLite_Detection_PostProcess behind them.

A box is encoded relative to its anchor: ty = (y - ya) / ha · sy, tx likewise, th = ln(h / ha) · sh, tw likewise, with
the scales sy, sx, sh, sw of the training (10, 10, 5, 5); box_coders/faster_rcnn_box_coder.py of TensorFlow's Object
Detection API, and DecodeCenterSizeBoxes in tflite/kernels/detection_postprocess.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.activation import Activation, check_finite
from visiond.engine.decode.anchors import anchors_of
from visiond.engine.decode.decoder import DecoderSpec, DecodeSettings, given_roles, table_of
from visiond.engine.decode.suppression import best_rows, detections, surviving
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

_MOST_STRETCH: Final = 10.0  # e^10 anchors: far beyond any box, and no overflow


class SsdRaw:
    """Decodes encodings [1, N, 4] (or [1, N, 1, 4]) and class scores [1, N, C] into objects.

    With `background`, column 0 of the scores is no class, and class ids count from column 1 as 0, as the operator's do.
    """

    def __init__(self, spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> None:
        """Raises ModelError when no two outputs are such heads, or the anchors are not as many as their rows."""
        self._boxes, self._scores = _resolve(spec, outputs)
        self._boxes_info = outputs[self._boxes]
        self._settings = settings
        self._background = int(spec.background)
        self._activation = Activation(outputs[self._scores], spec.activation, settings.min_score)
        self._scales = np.array(spec.box_scales, np.float32)
        self._anchors = anchors_of(spec.anchors, settings.input_size)
        _check_count(len(self._anchors), outputs[self._scores], settings)

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score` and survives suppression, best first. Raises InvalidOutput."""
        raw = outputs[self._scores][0]
        if raw.dtype.kind == "f":
            check_finite(raw, "class scores")
        # Compared as they are; a softmax needs its row whole, background and all.
        passed = np.flatnonzero(raw[:, self._background :].max(axis=1) >= self._activation.least_raw)
        each = self._activation.scores(raw[passed])[:, self._background :]
        classes = each.argmax(axis=1)
        scores = each[np.arange(passed.size), classes]
        rows = best_rows(scores, self._settings.min_score)
        passed, classes, scores = passed[rows], classes[rows], scores[rows]
        corners = self._corners(outputs[self._boxes].reshape(-1, 4)[passed], self._anchors[passed])
        kept = surviving(corners, classes, scores, self._settings)
        return detections(corners, classes, scores, self._settings, geometry, kept)

    def _corners(self, raw: NDArray[Any], anchors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return xmin, ymin, xmax, ymax as fractions of the input tensor, (n, 4)."""
        encodings = dequantize(raw, self._boxes_info) / self._scales
        centres = encodings[:, :2] * anchors[:, 2:] + anchors[:, :2]
        halves = np.exp(np.minimum(encodings[:, 2:], _MOST_STRETCH)) * anchors[:, 2:] / 2
        low, high = centres - halves, centres + halves
        corners: NDArray[np.float32] = np.concatenate([low[:, ::-1], high[:, ::-1]], axis=1)
        return corners


def _resolve(spec: DecoderSpec, outputs: Sequence[TensorInfo]) -> tuple[int, int]:
    """Return the positions of encodings and scores. Raises ModelError."""
    roles = given_roles(spec.roles, ("boxes", "scores"), outputs)
    if roles is not None:
        boxes, scores = [roles["boxes"]], [roles["scores"]]
    else:
        boxes = [position for position, info in enumerate(outputs) if _holds_boxes(info.shape)]
        scores = [position for position in range(len(outputs)) if position not in boxes]
    if (len(boxes), len(scores)) != (1, 1) or not _holds_boxes(outputs[boxes[0]].shape):
        raise ModelError(_misfit(outputs))
    shape = outputs[scores[0]].shape
    if len(shape) != 3 or shape[:2] != outputs[boxes[0]].shape[:2] or shape[2] <= int(spec.background):
        raise ModelError(_misfit(outputs))
    return boxes[0], scores[0]


def _holds_boxes(shape: tuple[int, ...]) -> bool:
    return shape[0] == 1 and shape[-1] == 4 and (len(shape) == 3 or (len(shape) == 4 and shape[2] == 1))


def _check_count(anchors: int, info: TensorInfo, settings: DecodeSettings) -> None:
    if anchors != info.shape[1]:
        width, height = settings.input_size
        raise ModelError(
            f"output.anchors makes {anchors} anchors for an input of {width}x{height}, and the output '{info.name}' "
            f"has {info.shape[1]} rows; give the anchor generator's numbers of the training's pipeline.config"
        )


def _misfit(outputs: Sequence[TensorInfo]) -> str:
    return (
        "decoder ssd_raw expects box encodings [1, N, 4] and class scores [1, N, classes and background]; the model's "
        f"outputs are {table_of(outputs)}; give output.roles: {{boxes: position, scores: position}}, or choose another "
        "decoder"
    )
