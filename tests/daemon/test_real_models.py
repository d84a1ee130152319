"""Known pictures through real models: what comes off the socket is what a plain loop computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from harness import Daemon, asset_package, coco_ssd_package
from known_pictures import COCO_SSD, MOBILENET_V2, QUANTUM

StartDaemon = Callable[..., Daemon]
pytestmark = [pytest.mark.assets, pytest.mark.slow]

CLASSIFIERS = {
    "mobilenet_v2_1.0_224_quant": {"mean": [128.0] * 3, "std": [128.0] * 3},
    "mobilenet_v1_0.25_128_quant": {"mean": [128.0] * 3, "std": [128.0] * 3},
    "tf2_mobilenet_v2_1.0_224_ptq": {"mean": [127.5] * 3, "std": [127.5] * 3},
}


class PlainLoop:
    """OpenCV bilinear resize, RGB, quantize, invoke, dequantize: what anybody would write."""

    def __init__(self, model: Path, mean: float = 128.0, std: float = 128.0) -> None:
        self._interpreter = Interpreter(model_path=str(model), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._mean, self._std = mean, std

    def __call__(self, picture: Path) -> list[Any]:
        _, height, width, _ = self._input["shape"]
        rgb = cv2.cvtColor(cv2.resize(cv2.imread(str(picture)), (width, height)), cv2.COLOR_BGR2RGB)
        scale, zero_point = self._input["quantization"]
        real = (rgb.astype(np.float64) - self._mean) / self._std
        quantized = np.clip(np.floor(real / scale + 0.5) + zero_point, 0, 255).astype(np.uint8)
        self._interpreter.set_tensor(self._input["index"], quantized[np.newaxis])
        self._interpreter.invoke()
        outputs = []
        for detail in self._interpreter.get_output_details():
            raw = self._interpreter.get_tensor(detail["index"])
            scale, zero_point = detail["quantization"]
            outputs.append((raw.astype(np.float64) - zero_point) * scale if scale else raw)
        return outputs


def results_by_picture(
    start_daemon: StartDaemon, package: Path, assets: Path, names: list[str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Run the daemon on a folder of these pictures; the frame number tells which picture a result belongs to."""
    folder.mkdir()
    for name in names:
        (folder / name).symlink_to(assets / "images" / name)
    daemon = start_daemon(
        {
            "cameras": {
                "pictures": {"source": f"images:{folder}?loop=1", "fps": 10, "model": "m", "max_age_ms": 10000}
            },
            "models": {"m": {"package": str(package), "accelerator": "never", "threads": 1, "min_score": 0.1}},
        }
    )
    found: dict[str, dict[str, Any]] = {}
    with daemon.client() as client:
        while len(found) < len(names):
            message = client.detections(1)[0]
            found[sorted(names)[(message["frame"] - 1) % len(names)]] = message
    return found


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


def test_coco_ssd_finds_the_objects_of_the_table_with_the_boxes_of_a_plain_loop(
    start_daemon: StartDaemon, assets: Path, tmp_path: Path
) -> None:
    package = coco_ssd_package(tmp_path / "coco_ssd", assets)
    names = [*COCO_SSD, "kite_and_cold.jpg"]
    results = results_by_picture(start_daemon, package, assets, names, tmp_path / "pictures")
    plain = PlainLoop(package / "model.tflite")
    labels = (package / "labels.txt").read_text().splitlines()
    for name in names:
        objects = [found for found in results[name]["objects"] if found["score"] > 0.4]
        boxes, classes, scores, _ = (output[0] for output in plain(assets / "images" / name))
        for index, found in enumerate(objects):
            ymin, xmin, ymax, xmax = np.clip(boxes[index], 0, 1)
            assert found["label"] == labels[int(classes[index]) + 1]
            assert found["score"] == pytest.approx(scores[index], abs=0.02)
            assert iou(found["box"], [xmin, ymin, xmax, ymax]) >= 0.95
        if name == "kite_and_cold.jpg":
            assert len(objects) == 10
            assert {found["label"] for found in objects} == {"kite", "person"}
        else:
            expected = COCO_SSD[name]
            assert [found["label"] for found in objects] == [label for label, _ in expected], name
            assert [found["score"] for found in objects] == pytest.approx([score for _, score in expected], abs=0.02)
    cat = results["cat_720p.jpg"]["objects"][0]
    assert iou(cat["box"], [0.07, 0.13, 0.72, 0.98]) >= 0.95


@pytest.mark.parametrize("model", CLASSIFIERS)
def test_the_mobilenets_put_the_same_class_first_within_two_quanta(
    start_daemon: StartDaemon, assets: Path, tmp_path: Path, model: str
) -> None:
    numbers = CLASSIFIERS[model]
    recipe = {
        "task": "classification",
        "labels": {"offset": 0},
        "input": {"resize": "stretch", "interpolation": "bilinear", "color": "rgb", **numbers},
        "output": {"decoder": "scores"},
    }
    package = asset_package(tmp_path / "package", assets, f"{model}.tflite", "imagenet_labels.txt", recipe)
    results = results_by_picture(start_daemon, package, assets, list(MOBILENET_V2), tmp_path / "pictures")
    plain = PlainLoop(package / "model.tflite", numbers["mean"][0], numbers["std"][0])
    labels = (package / "labels.txt").read_text().splitlines()
    for name, message in results.items():
        scores = plain(assets / "images" / name)[0][0]
        best = message["classes"][0]
        assert best["class_id"] == int(np.argmax(scores)), name
        assert best["label"] == labels[best["class_id"]].strip()
        assert best["score"] == pytest.approx(float(scores.max()), abs=2 * QUANTUM + 1e-4)
        if model == "mobilenet_v2_1.0_224_quant":
            label, quanta = MOBILENET_V2[name]
            assert best["label"].split(",")[0] == label
            assert best["score"] == pytest.approx(quanta * QUANTUM, abs=2 * QUANTUM + 1e-4)
