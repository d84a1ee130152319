"""DeepLab, and whatever else gives one class for each cell of a grid: arg-max [1, h, w], or logits [1, h, w, C].

The greatest quantized logit is the greatest real one, as one scale holds for the whole tensor: nothing is dequantized.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Segment
from visiond.engine.decode.activation import check_finite
from visiond.engine.decode.decoder import DecoderSpec, DecodeSettings, InvalidOutput, given_roles, table_of
from visiond.engine.decode.runlengths import over_frame, segments
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

MAX_CLASS_ID: Final = 1 << 14


class Deeplab:
    """Decodes a grid of classes into one segment for each class that is there, the largest first.

    With `background`, class 0 is no class. What the input did not show of the frame belongs to none.
    """

    def __init__(self, spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> None:
        """Raises ModelError when no output is such a grid."""
        self._position = _resolve(spec, outputs)
        self._info = outputs[self._position]
        self._class_axis = _class_axis(self._info.shape, len(settings.labels))
        self._first_class = int(spec.background)
        self._settings = settings

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Segment, ...]:
        """Return the segments. Raises InvalidOutput for NaN, and for classes that are no class ids."""
        raw = outputs[self._position]
        grid = self._ids(raw) if self._class_axis is None else self._greatest(raw)
        return segments(over_frame(grid, geometry), self._first_class, self._settings)

    def _greatest(self, raw: NDArray[Any]) -> NDArray[np.int16]:
        if raw.dtype.kind == "f":
            check_finite(raw, "logits")
        ids: NDArray[np.int16] = raw[0].argmax(axis=(self._class_axis or 0) - 1).astype(np.int16)
        return ids

    def _ids(self, raw: NDArray[Any]) -> NDArray[np.int16]:
        """Return an arg-max's class ids (h, w); some exporters give them as real numbers."""
        grid = raw.reshape(self._info.shape[1:3])
        if self._info.quantization is not None or grid.dtype.kind == "f":
            grid = dequantize(grid, self._info)
            check_finite(grid, "classes")
        least, most = grid.min(), grid.max()
        if not 0 <= least <= most < MAX_CLASS_ID:
            raise InvalidOutput(f"classes run from {least:g} to {most:g}, and a class id is 0 to {MAX_CLASS_ID - 1}")
        ids: NDArray[np.int16] = grid.astype(np.int16)
        if grid.dtype.kind == "f" and (ids != grid).any():
            raise InvalidOutput("classes are not whole numbers: this is no arg-max")
        return ids


def _resolve(spec: DecoderSpec, outputs: Sequence[TensorInfo]) -> int:
    """Return the output's position. Raises ModelError."""
    roles = given_roles(spec.roles, ("classes",), outputs)
    candidates = range(len(outputs)) if roles is None else [roles["classes"]]
    found = [position for position in candidates if _is_grid(outputs[position])]
    if len(found) == 1:
        return found[0]
    raise ModelError(
        "decoder deeplab expects one output with a class for each cell, [1, h, w] or [1, h, w, 1] of whole numbers, or "
        f"its logits, [1, h, w, classes]; the model's outputs are {table_of(outputs)}; choose one by output.roles: "
        "{classes: position}, or choose another decoder"
    )


def _is_grid(info: TensorInfo) -> bool:
    shape = info.shape
    if len(shape) not in (3, 4) or shape[0] != 1 or min(shape[1:3]) < 2:
        return False
    return len(shape) == 3 or shape[3] > 1 or info.dtype.kind != "f"


def _class_axis(shape: tuple[int, ...], labels: int) -> int | None:
    """Return which axis the classes' logits lie along: the last, or axis 1 where only it fits the labels (ONNX).

    None for an arg-max.
    """
    if len(shape) == 3 or shape[3] == 1:
        return None
    return 1 if shape[1] == labels != shape[3] else 3
