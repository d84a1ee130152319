"""How many classes a model's outputs have, by the package's decoder and the shapes in the file."""

from __future__ import annotations

from typing import Final

from visiond.modelkit.file_bytes import Damaged
from visiond.modelkit.flexbuffer import read_map
from visiond.modelkit.manifest import OutputSpec
from visiond.modelkit.tflite_model import TensorFacts, TfliteModel

_BOX: Final = 4
_BOX_AND_OBJECTNESS: Final = 5
_DISTANCES: Final = 64  # of YOLOv8's split heads
_END_TO_END: Final = 6  # xmin, ymin, xmax, ymax, score, class: the number of classes does not show
_POSTPROCESS: Final = "TFLite_Detection_PostProcess"


def class_count(output: OutputSpec, model: TfliteModel) -> int | None:
    """Return the number of classes that the labels should name; None where the file does not show it."""
    outputs = model.output_tensors
    if output.decoder == "ssd_postprocess":
        return _postprocess_classes(model)
    if output.decoder == "deeplab" and len(outputs) == 1:
        return _segment_classes(model)
    return class_count_of_outputs(output, outputs)


def class_count_of_outputs(output: OutputSpec, outputs: tuple[TensorFacts, ...]) -> int | None:
    """Return the number of classes that the shapes of the outputs alone show, as in an ONNX file."""
    roles = output.roles or {}
    if any(position >= len(outputs) for position in roles.values()):
        return None  # the decoder says so
    if output.decoder == "scores":
        return _last(outputs[roles.get("scores", 0)]) if outputs else None
    if output.decoder == "ssd_raw":
        return _ssd_classes(roles, outputs, output.background)
    if output.decoder == "yolov8":
        return _yolov8_classes(roles, outputs)
    if output.decoder == "yolov5" and len(outputs) == 1:
        last = _last(outputs[0])
        return None if last is None or last <= _BOX_AND_OBJECTNESS else last - _BOX_AND_OBJECTNESS
    return None


def fused_output(output: OutputSpec, outputs: tuple[TensorFacts, ...]) -> TensorFacts | None:
    """Return the one output that holds boxes and scores, None where each has its own."""
    if output.decoder not in ("yolov5", "yolov8"):
        return None
    roles = output.roles or {}
    position = roles.get("cells", roles.get("objects"))
    if position is None:
        position = 0 if len(outputs) == 1 else None
    return outputs[position] if position is not None and position < len(outputs) else None


def _last(tensor: TensorFacts) -> int | None:
    return tensor.shape[-1] if tensor.shape and tensor.shape[-1] > 0 else None


def _postprocess_classes(model: TfliteModel) -> int | None:
    """The operator's own option: its score tensor may have a background class, or not."""
    for operator in model.operators:
        if operator.name == _POSTPROCESS and operator.custom_options is not None:
            try:
                classes = read_map(operator.custom_options).get("num_classes")
            except Damaged:
                return None
            return classes if isinstance(classes, int) else None
    return None


def _ssd_classes(roles: dict[str, int], outputs: tuple[TensorFacts, ...], background: bool) -> int | None:
    scores = [tensor for tensor in outputs if _last(tensor) != _BOX]
    if "scores" in roles:
        scores = [outputs[roles["scores"]]]
    last = _last(scores[0]) if len(scores) == 1 else None
    return None if last is None else last - int(background)


def _yolov8_classes(roles: dict[str, int], outputs: tuple[TensorFacts, ...]) -> int | None:
    if "scores" in roles:
        return _last(outputs[roles["scores"]])
    if len(outputs) == 2 and not roles:
        lasts = [_last(tensor) for tensor in outputs]
        return None if lasts.count(_DISTANCES) != 1 else next(last for last in lasts if last != _DISTANCES)
    fused = outputs[roles.get("cells", 0)] if outputs and "objects" not in roles else None
    if fused is None or len(fused.shape) != 3 or fused.shape[2] == _END_TO_END:
        return None
    classes = min(fused.shape[1:]) - _BOX
    return classes if classes > 0 else None


def _segment_classes(model: TfliteModel) -> int | None:
    """Of logits the last axis, of an arg-max the last axis of what goes into it."""
    (index,) = model.outputs
    for operator in model.operators:
        if index in operator.outputs and operator.name == "ARG_MAX" and operator.inputs and operator.inputs[0] >= 0:
            return _last(model.tensors[operator.inputs[0]])
    tensor = model.tensors[index]
    return _last(tensor) if len(tensor.shape) == 4 and tensor.dtype in ("float32", "int8", "uint8") else None
