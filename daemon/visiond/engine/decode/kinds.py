"""Kinds: which class decodes which of the package format's `output.decoder`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from visiond.engine.decode.decoder import Decoder, DecoderSpec, DecodeSettings
from visiond.engine.decode.movenet import MoveNet
from visiond.engine.decode.posenet import PoseNet
from visiond.engine.decode.scores import Scores
from visiond.engine.decode.segments import Deeplab
from visiond.engine.decode.ssd import SsdPostprocess
from visiond.engine.decode.ssd_raw import SsdRaw
from visiond.engine.decode.yolo import yolov8
from visiond.engine.decode.yolo_v5 import YoloV5
from visiond.engine.tensors import TensorInfo

Make = Callable[[DecoderSpec, Sequence[TensorInfo], DecodeSettings], Decoder]

KINDS: Final[Mapping[str, Make]] = {
    "scores": lambda spec, outputs, settings: Scores(outputs, spec.roles, settings, spec.activation),
    "ssd_postprocess": lambda spec, outputs, settings: SsdPostprocess(outputs, spec.roles, settings),
    "ssd_raw": SsdRaw,
    "yolov5": YoloV5,
    "yolov8": yolov8,
    "movenet": MoveNet,
    "posenet": PoseNet,
    "deeplab": Deeplab,
}
