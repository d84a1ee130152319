"""YOLOv8 and later, in the four forms in which its exports come: which of them a file has, its shapes tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from visiond.engine.decode.decoder import Decoder, DecoderSpec, DecodeSettings, only_output, table_of
from visiond.engine.decode.grids import no_grids, strides_of
from visiond.engine.decode.yolo_end import COLUMNS, EndToEnd
from visiond.engine.decode.yolo_fused import BOX, Fused
from visiond.engine.decode.yolo_split import DISTANCES, SplitHeads
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

# What else a tensor of one class may hold beside box and scores, by its length: Ultralytics' own other tasks.
_OTHER_TASKS: Final = {51: "17 keypoints", 32: "the coefficients of a mask"}


def yolov8(spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> Decoder:
    """Return the decoder of the form that the outputs have. Raises ModelError in words.

    Two outputs are split heads. One is fused, [1, 4 + C, N] or [1, N, 4 + C], when one of its lengths is the number of
    cells that grids over the input have; else end to end, [1, R, 6]. `output.roles` says it where shapes do not.
    """
    roles = spec.roles
    if (roles is None and len(outputs) == 2) or (roles is not None and set(roles) == {"scores", "boxes"}):
        return SplitHeads(outputs, roles, settings)
    if roles is not None and set(roles) == {"objects"}:
        return _end_to_end(only_output("objects", roles, outputs, _expected(outputs)), outputs, settings)
    position = only_output("cells", roles, outputs, _expected(outputs))
    transposed = _is_transposed(outputs[position], settings)
    if transposed is None and roles is None and outputs[position].shape[2] == COLUMNS:
        return _end_to_end(position, outputs, settings)
    if transposed is None:
        raise ModelError(_misfit(outputs, position, settings))
    _check_classes(outputs[position].shape[2 if transposed else 1] - BOX, settings)
    return Fused(position, outputs[position], settings, spec.activation, transposed)


def _is_transposed(info: TensorInfo, settings: DecodeSettings) -> bool | None:
    """Say which length counts the cells: False for [1, 4 + C, N], True for [1, N, 4 + C], None for neither.

    Where both could, the one that leaves as many classes as there are labels; then the longer one.
    """
    _, first, second = info.shape
    straight = first > BOX and strides_of(second, settings.input_size) is not None
    transposed = second > BOX and strides_of(first, settings.input_size) is not None
    if straight and transposed:
        labels = len(settings.labels)
        if labels and (first - BOX == labels) != (second - BOX == labels):
            return second - BOX == labels
        return first > second
    return transposed if straight or transposed else None


def _end_to_end(position: int, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> EndToEnd:
    if outputs[position].shape[2] != COLUMNS:
        raise ModelError(_expected(outputs))
    return EndToEnd(position, outputs[position], settings)


def _check_classes(classes: int, settings: DecodeSettings) -> None:
    """Raise ModelError when what follows the box is more than scores: a pose or a mask model of the same family."""
    beyond = classes - len(settings.labels)
    if len(settings.labels) and beyond in _OTHER_TASKS:
        raise ModelError(
            f"the output has {classes} values after each box, {beyond} more than there are labels: probably "
            f"{_OTHER_TASKS[beyond]} of another task, which this decoder does not read; export the detection model"
        )


def _misfit(outputs: Sequence[TensorInfo], position: int, settings: DecodeSettings) -> str:
    _, first, second = outputs[position].shape
    if first % 3 == 0 and strides_of(first // 3, settings.input_size) is not None:
        return (
            f"{_expected(outputs)}; three boxes for each cell, as it has, are a YOLOv5's: give output.decoder: yolov5"
        )
    return f"{no_grids(max(first, second), settings.input_size)}; {_expected(outputs)}"


def _expected(outputs: Sequence[TensorInfo]) -> str:
    return (
        "decoder yolov8 expects one output [1, 4 + classes, cells], [1, cells, 4 + classes] or [1, objects, 6], or "
        f"two, class scores [1, cells, classes] and box distances [1, cells, {DISTANCES}]; the model's outputs are "
        f"{table_of(outputs)}; choose one by output.roles: {{cells: position}} or {{objects: position}}, or choose "
        "another decoder"
    )
