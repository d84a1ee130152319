"""What the device sees and with what: four cameras, three models, one stick that two of the models share."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

from system.soak import sticks
from system.soak.device import SOCKET

ASSETS: Final = Path("/mnt/assets")
PACKAGES: Final = Path("/srv/soak/packages")
HTTP_PORT: Final = 8081
RTSP_PORT: Final = 8554
CAMERAS: Final = ("front", "rear", "door", "yard")


def put_packages() -> None:
    """COCO SSD and a small classifier, each as both twins: the stick is told to claim all of their operators."""
    _package(
        "objects",
        {"cpu.tflite": "coco_ssd_mobilenet_v1_1.0_quant.tflite", "labels.txt": "coco_ssd_mobilenet_v1_labels.txt"},
        {
            "task": "detection",
            "files": {"cpu": {"path": "cpu.tflite"}, "edgetpu": {"path": "cpu.tflite"}},
            "labels": {"path": "labels.txt", "offset": 1},
            "output": {"decoder": "ssd_postprocess"},
            "golden": [
                {
                    "image": "cat.jpg",
                    "expect": [{"label": "cat", "min_score": 0.6, "box": [0.13, 0.07, 0.98, 0.72], "iou": 0.8}],
                }
            ],
        },
    )
    _package(
        "kinds",
        {"cpu.tflite": "mobilenet_v1_0.25_128_quant.tflite", "labels.txt": "imagenet_labels.txt"},
        {
            "task": "classification",
            "files": {"cpu": {"path": "cpu.tflite"}, "edgetpu": {"path": "cpu.tflite"}},
            "labels": {"path": "labels.txt"},
            "output": {"decoder": "scores"},
            "golden": [{"image": "cat.jpg", "expect": [{"label": "Egyptian cat", "min_score": 0.1}]}],
        },
    )


def _package(name: str, files: dict[str, str], manifest: dict[str, Any]) -> None:
    folder = PACKAGES / name
    folder.mkdir(parents=True)
    for here, there in files.items():
        shutil.copyfile(ASSETS / "models" / there, folder / here)
    shutil.copyfile(ASSETS / "images" / "cat_720p.jpg", folder / "cat.jpg")
    usual = {"name": name, "input": {"mean": [128.0] * 3, "std": [128.0] * 3}, "license": "Apache-2.0"}
    (folder / "model.yaml").write_text(json.dumps(usual | manifest))


def config() -> dict[str, Any]:
    """The configuration, as a value of its own that a fault may change."""
    size = [320, 240]
    return {
        "socket": {"path": str(SOCKET)},
        "reload_trial_s": 6,
        "cameras": {
            "front": {"source": "synthetic:shapes", "size": size, "fps": 10, "model": "objects"},
            "rear": {"source": f"http://127.0.0.1:{HTTP_PORT}/cam", "fps": 10, "model": "objects"},
            "door": {"source": f"rtsp://127.0.0.1:{RTSP_PORT}/cam", "fps": 10, "model": "shapes"},
            "yard": {"source": "synthetic:shapes", "size": size, "fps": 10, "model": "kinds"},
        },
        "models": {
            "objects": {"package": str(PACKAGES / "objects"), "accelerator": "prefer", "threads": 1, "max_rss_mb": 300},
            "kinds": {"package": str(PACKAGES / "kinds"), "accelerator": "prefer", "threads": 1, "max_rss_mb": 300},
            "shapes": {"package": "shapes", "accelerator": "never", "threads": 1},
        },
        "edgetpu": sticks.section(),
    }


def one_camera() -> dict[str, Any]:
    """One camera, the stick and its twin: what most devices are."""
    whole = config()
    return {
        **whole,
        "cameras": {"front": {**whole["cameras"]["front"], "size": [640, 480], "fps": 30}},
        "models": {"objects": whole["models"]["objects"]},
    }
