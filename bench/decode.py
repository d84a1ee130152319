"""Decoding real outputs: YOLOv8n's [1, 84, 8400] to its boxes, next to a plain float decoder, and other kinds."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from bench.report import Figure, percentile
from bench.scene import ASSETS
from visiond.engine.decode.decoder import DecodeSettings, make_decoder
from visiond.engine.geometry import Geometry
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import TensorInfo
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import InputRecipe, OutputSpec

MIN_SCORE = 0.35
IOU = 0.45
RUNS = 400
PICTURES = ("kite_and_cold.jpg", "grace_hopper.bmp", "pets.jpg")  # the first with most candidates
YOLO_INPUT = {"resize": "letterbox", "mean": (0,) * 3, "std": (255,) * 3}
OTHERS = {
    "deeplab": ("deeplabv3_mnv2_dm05_pascal_quant", {"mean": (128,) * 3, "std": (128,) * 3}, "bird_segmentation.bmp"),
    "movenet": ("movenet_single_pose_lightning_ptq", {"mean": (0,) * 3, "std": (1,) * 3}, "squat.bmp"),
    "ssd_postprocess": (
        "coco_ssd_mobilenet_v1_1.0_quant",
        {"mean": (128,) * 3, "std": (128,) * 3},
        "kite_and_cold.jpg",
    ),
}


@dataclass(frozen=True, slots=True)
class Output:
    """What one picture left in a model's outputs, and the decoder that is made for it."""

    raw: list[NDArray[Any]]
    info: TensorInfo
    geometry: Geometry
    decode: Callable[[Sequence[NDArray[Any]], Geometry], Sequence[Any]]


def measure() -> list[Figure]:
    if not ASSETS.is_dir():
        return []
    figures = []
    for picture in PICTURES:
        output = _output("yolov8n_full_integer_quant", YOLO_INPUT, picture, "yolov8", _yolo_labels())
        ours = _spans_ms(lambda output=output: output.decode(output.raw, output.geometry))
        plain = _spans_ms(lambda output=output: plain_decoder(output.raw[0], output.info), RUNS // 10)
        found = len(output.decode(output.raw, output.geometry))
        detail = (
            f"{found} objects, p99 {percentile(ours, 99):.2f} ms; a plain float decoder: "
            f"p50 {percentile(plain, 50):.2f} ms, {percentile(plain, 50) / percentile(ours, 50):.0f} times as long; "
            f"{RUNS} runs"
        )
        name = f"decode yolov8n [1,84,8400] int8, {Path(picture).stem}: p50"
        figures.append(Figure(name, percentile(ours, 50), "ms", "≤ 2.5", detail))
    for decoder, (model, recipe, picture) in OTHERS.items():
        output = _output(model, recipe, picture, decoder, Labels(()))
        ours = _spans_ms(lambda output=output: output.decode(output.raw, output.geometry))
        detail = f"p99 {percentile(ours, 99):.2f} ms; {model}, {RUNS} runs"
        figures.append(Figure(f"decode {decoder}, {Path(picture).stem}: p50", percentile(ours, 50), "ms", "", detail))
    return figures


def plain_decoder(raw: NDArray[np.int8], info: TensorInfo) -> list[int]:
    """What one writes first: dequantize all of it, then boxes, best class and OpenCV's suppression for each class."""
    assert info.quantization is not None
    rows = ((raw[0].astype(np.float32) - info.quantization.zero_point) * info.quantization.scale).T
    scores, classes = rows[:, 4:].max(axis=1), rows[:, 4:].argmax(axis=1)
    corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, 2:4]], axis=1)
    likely = scores >= MIN_SCORE
    boxes, scores, classes = corners[likely], scores[likely], classes[likely]
    kept: list[int] = []
    for class_id in np.unique(classes):
        mine = np.flatnonzero(classes == class_id)
        rows_kept = cv2.dnn.NMSBoxes(boxes[mine].tolist(), scores[mine].tolist(), MIN_SCORE, IOU)
        kept += mine[np.asarray(rows_kept, np.intp).ravel()].tolist()
    return kept


def _output(model: str, recipe: dict[str, Any], picture: str, decoder: str, labels: Labels) -> Output:
    interpreter = open_interpreter(ASSETS / "models" / f"{model}.tflite", threads=2)
    _, height, width, _ = interpreter.input.shape
    preprocessor = Preprocessor(InputRecipe.model_validate(recipe), interpreter.input)
    geometry = preprocessor.write(cv2.imread(str(ASSETS / "images" / picture)), interpreter.input_view())
    interpreter.invoke()
    spec = OutputSpec.model_validate({"decoder": decoder, "iou_threshold": IOU})
    settings = DecodeSettings(labels, MIN_SCORE, 100, (width, height))
    decode = make_decoder(spec, interpreter.outputs, settings)
    return Output(interpreter.read_outputs(), interpreter.outputs[0], geometry, decode)


def _yolo_labels() -> Labels:
    names = yaml.safe_load((ASSETS / "models" / "yolov8n_metadata.yaml").read_text())["names"]
    return Labels([names[class_id] for class_id in sorted(names)])


def _spans_ms(call: Callable[[], object], runs: int = RUNS) -> list[float]:
    for _ in range(10):
        call()
    gc.collect()
    spans = []
    for _ in range(runs):
        began_ns = time.perf_counter_ns()
        call()
        spans.append((time.perf_counter_ns() - began_ns) / 1e6)
    return spans
