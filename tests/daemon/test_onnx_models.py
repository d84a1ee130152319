"""ONNX models in the running daemon: served at the size that model.yaml says, and refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from harness import Daemon
from onnx_writer import Node, Value, pack, write

StartDaemon = Callable[..., Daemon]
pytestmark = pytest.mark.slow

OPEN = Value("images", ["batch", 3, "height", "width"])
FIXED = Value("images", [1, 3, 20, 40])


def colours(picture: Value) -> onnx.ModelProto:
    """A classifier of any size: the mean of each channel is the score of its colour."""
    node = Node("ReduceMean", ["images"], ["scores"], attributes={"axes": [2, 3], "keepdims": 0})
    return pack([node], [picture], [Value("scores", ["batch", 3])])


def unknown(picture: Value) -> onnx.ModelProto:
    nodes = [Node("Fancy", ["images"], ["a"], "com.acme"), Node("Other", ["a"], ["scores"], "com.acme")]
    return pack(nodes, [picture], [Value("scores", ["batch", 3])])


def package(folder: Path, model: onnx.ModelProto, **recipe: Any) -> str:
    folder.mkdir()
    write(folder / "m.onnx", model)
    (folder / "labels.txt").write_text("red\ngreen\nblue\n")
    manifest = {
        "name": folder.name,
        "task": "classification",
        "files": {"onnx": {"path": "m.onnx"}},
        "labels": {"path": "labels.txt"},
        "input": {"mean": [0] * 3, "std": [255] * 3, **recipe},
        "output": {"decoder": "scores"},
    }
    (folder / "model.yaml").write_text(json.dumps(manifest))
    return str(folder)


def test_one_is_served_at_its_declared_size_and_the_others_say_why_not(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :16] = (51, 0, 255)  # BGR; a quarter of the picture
    cv2.imwrite(str(pictures / "a.png"), picture)
    packages = {
        "served": package(tmp_path / "served", colours(OPEN), size=[40, 20]),
        "unsized": package(tmp_path / "unsized", colours(OPEN)),
        "contradicted": package(tmp_path / "contradicted", colours(FIXED), size=[20, 40]),
        "unknown": package(tmp_path / "unknown", unknown(FIXED)),
    }
    camera = {"source": f"images:{pictures}?loop=1", "fps": 5, "max_age_ms": 10000}
    settings = {"accelerator": "never", "threads": 1, "min_score": 0.01}
    daemon = start_daemon(
        {
            "cameras": {name: {**camera, "model": name} for name in packages},
            "models": {name: {"package": folder, **settings} for name, folder in packages.items()},
        }
    )
    reasons: dict[str, str] = {}

    def all_told(message: dict[str, Any]) -> bool:
        engines = message.get("engines", {})
        reasons.update({name: str(engine) for name, engine in engines.items()})
        return engines != {} and all(
            words in reasons[name]
            for name, words in (
                ("unsized", "say in model.yaml at which size it is served, such as input: {size: [224, 224]}"),
                ("contradicted", "is fixed at 40 x 20 (width x height), and input.size in model.yaml says 20 x 40"),
                ("unknown", "'com.acme:Fancy' 1, 'com.acme:Other' 1 (custom, of com.acme); export the model with"),
            )
        )

    with daemon.client() as client:
        message = client.detections(1)[0]
        assert (message["camera"], message["engine"]) == ("served", "cpu")
        scores = {each["label"]: each["score"] for each in message["classes"]}
        assert scores == {"red": pytest.approx(0.25, abs=1e-3), "blue": pytest.approx(0.05, abs=1e-3)}
        client.status(all_told)
