"""A pose and segments on their whole way: real models in the real daemon, masks to who asks for them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from harness import Daemon, asset_package
from known_outputs import DEEPLAB_IOU, MOVENET_WITHIN
from visiond.client import mask_rows

StartDaemon = Callable[..., Daemon]
pytestmark = [pytest.mark.assets, pytest.mark.slow]

MOVENET = "movenet_single_pose_lightning_ptq"
DEEPLAB = "deeplabv3_mnv2_dm05_pascal_quant"


def daemon_on(start_daemon: StartDaemon, package: Path, assets: Path, picture: str, **camera: Any) -> Daemon:
    pictures = package.with_name("pictures")
    pictures.mkdir()
    (pictures / picture).symlink_to(assets / "images" / picture)
    settings = {"source": f"images:{pictures}?loop=1", "fps": 5, "model": "m", "max_age_ms": 10000, **camera}
    model = {"package": str(package), "accelerator": "never", "threads": 2, "min_score": 0.3}
    return start_daemon({"cameras": {"front": settings}, "models": {"m": model}})


def test_a_pose_has_keypoints_a_track_and_a_zone(start_daemon: StartDaemon, assets: Path, tmp_path: Path) -> None:
    golden = {"label": "person", "min_score": 0.4, "box": [0.3, 0.28, 0.9, 0.71], "keypoints": {"nose": [0.33, 0.59]}}
    recipe = {
        "task": "pose",
        "input": {"mean": [0] * 3, "std": [1] * 3},
        "output": {"decoder": "movenet"},
        "golden": [{"image": "squat.bmp", "expect": [golden]}],
    }
    (tmp_path / "person.txt").write_text("person\n")
    package = asset_package(tmp_path / "pose", assets, f"{MOVENET}.tflite", str(tmp_path / "person.txt"), recipe)
    (package / "squat.bmp").symlink_to(assets / "images" / "squat.bmp")
    zones = {"floor": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]]}
    daemon = daemon_on(start_daemon, package, assets, "squat.bmp", zones=zones)
    with daemon.client() as client:
        assert client.until(lambda message: message["type"] == "hello")["models"]["m"]["task"] == "pose"
        first, second = client.detections(2)
        status = client.status()
    assert status["engines"]["m"]["golden"] == {"passed": 1, "failed": 0, "failures": []}
    for message in (first, second):
        (person,) = message["objects"]
        assert (person["label"], person["track_id"], person["zones"]) == ("person", 1, ["floor"])
    table = (assets / "models" / f"{MOVENET}_reference.csv").read_text()
    for point, row in zip(person["keypoints"], csv.DictReader(table.splitlines()), strict=True):
        assert point["x"] == pytest.approx(float(row["keypoint_x"]), abs=MOVENET_WITHIN)
        assert point["y"] == pytest.approx(float(row["keypoint_y"]), abs=MOVENET_WITHIN)


def test_segments_come_with_their_masks_to_who_asks(start_daemon: StartDaemon, assets: Path, tmp_path: Path) -> None:
    recipe = {
        "task": "segmentation",
        "input": {"mean": [128] * 3, "std": [128] * 3},
        "output": {"decoder": "deeplab"},
        "golden": [{"image": "bird.bmp", "expect": [{"label": "bird", "box": [0.14, 0.15, 0.77, 0.94], "iou": 0.8}]}],
    }
    labels = "pascal_voc_segmentation_labels.txt"
    package = asset_package(tmp_path / "segments", assets, f"{DEEPLAB}.tflite", labels, recipe)
    (package / "bird.bmp").symlink_to(assets / "images" / "bird_segmentation.bmp")
    daemon = daemon_on(start_daemon, package, assets, "bird_segmentation.bmp")
    with daemon.client() as plain, daemon.client() as asking:
        asking.send({"type": "subscribe", "masks": True, "labels": ["bird"], "min_score": 0.9})
        asking.send({"type": "ping", "id": 1})
        asking.until(lambda message: message["type"] == "pong")
        (bird,) = asking.detections(1)[0]["segments"]
        everything = plain.detections(1)[0]["segments"]
        status = plain.status()
    assert status["engines"]["m"]["golden"]["failures"] == []
    assert everything[0] == {key: value for key, value in bird.items() if key != "mask"}
    assert all(set(each) == {"label", "class_id", "area", "box"} for each in everything)
    assert "background" not in {each["label"] for each in everything}
    drawn = cv2.imread(str(assets / "images" / "bird_segmentation_mask.bmp"), cv2.IMREAD_UNCHANGED) == 3
    mask = np.array([list(row) for row in mask_rows(bird["mask"])], bool)
    assert (mask & drawn).sum() / (mask | drawn).sum() >= DEEPLAB_IOU
    assert bird["area"] == pytest.approx(mask.mean(), abs=1e-5)
