"""What is measured: a daemon with one camera and one model, in a folder that goes away afterwards."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Daemon, coco_ssd_package

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT.parent / "shared" / "assets"


@dataclass(frozen=True, slots=True)
class Model:
    """A model to measure with: its package and the file in it."""

    name: str
    package: Path
    file: Path


@contextmanager
def models() -> Iterator[list[Model]]:
    """The shapes model, and COCO SSD where the assets are."""
    shapes = ROOT / "models" / "shapes"
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    found = [Model("shapes", shapes, shapes / "shapes.tflite")]
    if ASSETS.is_dir():
        package = coco_ssd_package(folder / "coco_ssd", ASSETS)
        found.append(Model("coco_ssd", package, package / "model.tflite"))
    yield found
    shutil.rmtree(folder)


def pictures(folder: Path) -> Path:
    """Eight pictures of 640×480 with something in them, as JPEG: camera-like work for the camera worker."""
    import cv2

    from visiond.cameras.scenes import still_scene

    folder.mkdir()
    for seed in range(8):
        picture, _ = still_scene(seed, (640, 480))
        cv2.imwrite(str(folder / f"{seed}.jpg"), picture)
    return folder


@contextmanager
def daemon(model: Model, source: str, camera: dict[str, Any], threads: int = 1) -> Iterator[Daemon]:
    """A running daemon with this camera and model."""
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    config = {
        "cameras": {"front": {"source": source, "model": "m", "max_age_ms": 5000, **camera}},
        "models": {"m": {"package": str(model.package), "accelerator": "never", "threads": threads, "min_score": 0.4}},
    }
    os.environ["PYTHONPATH"] = str(ROOT / "daemon")
    with running(config, folder) as started:
        yield started
    shutil.rmtree(folder)


@contextmanager
def running(config: dict[str, Any], folder: Path) -> Iterator[Daemon]:
    """A daemon with this configuration, which is ended afterwards whatever happens."""
    path = folder / "visiond.yaml"
    path.write_text(json.dumps(config))
    started = Daemon(path, folder / "v.sock")
    try:
        yield started
        started.stop()
    finally:
        if started.process.poll() is None:
            started.process.kill()
