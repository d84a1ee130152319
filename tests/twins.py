"""Packages whose two files, for the Edge TPU and for the CPU, are real, and what a simulated stick must answer."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from edgetpu_sim.stick import Stick
from harness import coco_ssd_package

CAT, CAT_LABEL = 286, "Egyptian cat"  # what the small classifier sees in the cat's picture
CLASSES = 1001


def classifier(folder: Path, assets: Path, golden: bool = True) -> Path:
    """mobilenet_v1_0.25_128, compiled and not; its golden example is the cat."""
    folder.mkdir(parents=True)
    models = assets / "models"
    for name, file in {
        "cpu.tflite": models / "mobilenet_v1_0.25_128_quant.tflite",
        "tpu.tflite": models / "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
        "labels.txt": models / "imagenet_labels.txt",
        "cat.jpg": assets / "images" / "cat_720p.jpg",
    }.items():
        (folder / name).symlink_to(file)
    package: dict[str, Any] = {
        "name": folder.name,
        "task": "classification",
        "files": {"cpu": {"path": "cpu.tflite"}, "edgetpu": {"path": "tpu.tflite"}},
        "labels": {"path": "labels.txt"},
        "input": {"mean": [128.0] * 3, "std": [128.0] * 3},
        "output": {"decoder": "scores"},
        "license": "Apache-2.0",
    }
    if golden:
        package["golden"] = [{"image": "cat.jpg", "expect": [{"label": CAT_LABEL, "min_score": 0.1}]}]
    (folder / "model.yaml").write_text(json.dumps(package))
    return folder


def detector(folder: Path, assets: Path) -> Path:
    """COCO SSD as both twins: not compiled, so that the stick must be told to claim all of its operators."""
    package = coco_ssd_package(folder, assets)
    manifest = json.loads((package / "model.yaml").read_text())
    manifest["files"]["edgetpu"] = manifest["files"]["cpu"]
    (package / "model.yaml").write_text(json.dumps(manifest))
    return package


def answer_cat(stick: Stick, score: int = 200) -> None:
    """The stick answers each picture with the cat, score of 256."""
    outputs = bytearray(CLASSES)
    outputs[CAT] = score
    stick.output_set({"MobilenetV1/Predictions/Reshape_1": bytes(outputs)})


def answer_boxes(stick: Stick, rows: list[tuple[float, int, tuple[float, float, float, float]]]) -> None:
    """A whole COCO SSD on the stick finds these: score, class, and ymin, xmin, ymax, xmax; ten rows at most."""
    boxes = [edge for _, _, box in rows for edge in box] + [0.0] * 4 * (10 - len(rows))
    classes = [float(each) for _, each, _ in rows] + [0.0] * (10 - len(rows))
    scores = [score for score, _, _ in rows] + [0.0] * (10 - len(rows))
    stick.output_set(
        {
            "TFLite_Detection_PostProcess": struct.pack("<40f", *boxes),
            "TFLite_Detection_PostProcess:1": struct.pack("<10f", *classes),
            "TFLite_Detection_PostProcess:2": struct.pack("<10f", *scores),
            "TFLite_Detection_PostProcess:3": struct.pack("<f", len(rows)),
        }
    )
