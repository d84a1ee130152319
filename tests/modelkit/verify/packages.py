"""Packages around the small real classifier, right and wrong in the ways that happen; and a dataset for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

CLASSES = {
    "cat_720p.jpg": "Egyptian cat",
    "parrot.jpg": "macaw",
    "sunflower.bmp": "daisy",
    "grace_hopper.bmp": "military uniform",
}
SMALL = "mobilenet_v1_0.25_128_quant"
RECIPE: dict[str, Any] = {"interpolation": "bilinear", "mean": [128.0] * 3, "std": [128.0] * 3}


HEIGHT = 320  # pixels: twice what the model takes and more, and opened in a moment


def reduced(path: Path) -> NDArray[np.uint8]:
    """A picture that is HEIGHT pixels high."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return resized(np.asarray(picture, np.uint8))


def resized(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    share = HEIGHT / picture.shape[0]
    return np.asarray(cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA), np.uint8)


def photographs(folder: Path, assets: Path) -> Path:
    """Four photographs, reduced."""
    folder.mkdir()
    for name in CLASSES:
        path = assets / "images" / name
        cv2.imwrite(str(folder / f"{path.stem}.png"), reduced(path))
    return folder


def classifier(
    folder: Path,
    assets: Path,
    tolerances: dict[str, Any] | None = None,
    recipe: dict[str, Any] | None = None,
    offset: int = 0,
    edgetpu: bool = False,
    golden: bool = False,
) -> Path:
    """A package; `recipe` holds the keys of `input` that are wrong."""
    folder.mkdir()
    models = {"cpu.tflite": f"{SMALL}.tflite", "tpu.tflite": f"{SMALL}_edgetpu.tflite"}
    for name, file in {**models, "labels.txt": "imagenet_labels.txt"}.items():
        (folder / name).symlink_to(assets / "models" / file)
    manifest: dict[str, Any] = {
        "name": folder.name,
        "task": "classification",
        "files": {"cpu": {"path": "cpu.tflite"}, **({"edgetpu": {"path": "tpu.tflite"}} if edgetpu else {})},
        "labels": {"path": "labels.txt", "offset": offset},
        "input": {**RECIPE, **(recipe or {})},
        "output": {"decoder": "scores"},
    }
    if golden:
        (folder / "cat.jpg").symlink_to(assets / "images" / "cat_720p.jpg")
        expect = [{"label": "Egyptian cat", "min_score": 0.1}]
        manifest["golden"] = [{"image": "cat.jpg", "expect": expect}]
    if tolerances is not None:
        manifest["tolerances"] = tolerances
    (folder / "model.yaml").write_text(json.dumps(manifest))
    return folder


def labelled_folders(folder: Path, assets: Path, each: int = 10) -> Path:
    """Crops of four photographs whose class the small classifier knows, reduced, half of them mirrored."""
    rng = np.random.default_rng(3)
    for name, label in CLASSES.items():
        picture = cv2.imread(str(assets / "images" / name))
        assert picture is not None
        (folder / label).mkdir(parents=True)
        height, width = picture.shape[:2]
        for number in range(each):
            share = rng.uniform(0.75, 1)
            size = int(height * share), int(width * share)
            top, left = rng.integers(0, height - size[0] + 1), rng.integers(0, width - size[1] + 1)
            crop = picture[top : top + size[0], left : left + size[1]]
            crop = resized(np.asarray(crop, np.uint8))
            crop = crop[:, ::-1] if number % 2 else crop
            cv2.imwrite(str(folder / label / f"{number}.png"), crop)
    return folder
