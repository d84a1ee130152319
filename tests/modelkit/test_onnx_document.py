"""docs/models.md, "ONNX": its recipe is a package's, and it shows what the commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from onnx_writer import Node, Value, pack, write
from visiond.cli import main
from visiond.modelkit.manifest import Manifest
from visiond.modelkit.onnx_inspection import as_json, inspect_onnx

OPEN = ["batch", 3, "height", "width"]


@pytest.fixture
def section(root: Path) -> str:
    return (root / "docs" / "models.md").read_text().split("\n## ONNX\n")[1].split("\n## ")[0]


@pytest.fixture
def detector(tmp_path: Path) -> Path:
    nodes = [
        Node("Conv", ["images", "w"], ["a"], attributes={"pads": [1, 1, 1, 1]}),
        Node("LeakyRelu", ["a"], ["b"]),
        Node("Deform", ["b"], ["c"], "com.acme"),
        Node("LeakyRelu", ["c"], ["d"]),
        Node("Deform", ["d"], ["e"], "com.acme"),
        Node("Gelu", ["e"], ["out"]),
    ]
    weights = {"w": np.ones((8, 3, 3, 3), np.float32)}
    values = [Value("images", OPEN)], [Value("out", ["batch", 8, "height", "width"])]
    return write(tmp_path / "detector.onnx", pack(nodes, *values, weights))


def shown(section: str, command: str) -> str:
    (block,) = re.findall(rf"```console\n\$ {re.escape(command)}\n(.*?)```", section, re.DOTALL)
    return str(block)


def test_the_recipe_is_one(section: str) -> None:
    (recipe,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    manifest = Manifest.model_validate({"name": "m", "task": "classification", **yaml.safe_load(recipe)})
    assert manifest.input.mean == pytest.approx([255 * value for value in (0.485, 0.456, 0.406)])
    assert manifest.input.std == pytest.approx([255 * value for value in (0.229, 0.224, 0.225)])


def test_what_inspect_shows_is_what_it_prints(section: str, detector: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "inspect", str(detector)]) == 0
    version = re.compile(r"ONNX Runtime \d+\.\d+\.\d+")
    printed = version.sub("ONNX Runtime", capsys.readouterr().out)
    assert version.sub("ONNX Runtime", shown(section, "visiond models inspect detector.onnx")) == printed


def test_what_check_shows_is_what_it_prints(
    section: str, detector: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "detector"
    folder.mkdir()
    detector.rename(folder / "detector.onnx")
    (folder / "model.yaml").write_text(
        "name: detector\ntask: detection\nfiles:\n  onnx: {path: detector.onnx}\ninput:\n  resize: letterbox\n"
        "  mean: [0, 0, 0]\n  std: [255, 255, 255]\noutput:\n  decoder: yolov8\n"
    )
    camera = {"source": "synthetic:shapes", "model": "objects"}
    model = {"package": "./detector", "accelerator": "never"}
    (tmp_path / "detector.yaml").write_text(json.dumps({"cameras": {"front": camera}, "models": {"objects": model}}))
    monkeypatch.chdir(tmp_path)
    assert main(["check", "-c", "detector.yaml"]) == 0
    captured = capsys.readouterr()
    assert shown(section, "visiond check -c detector.yaml") == (captured.err + captured.out).replace(f"{tmp_path}/", "")


def test_each_field_of_the_json_is_told(section: str, detector: Path) -> None:
    found = as_json(inspect_onnx(detector))
    groups = [found, found["inputs"][0], found["runtime"], found["runtime"]["missing"][0], found["edgetpu"]]
    for key in {key for group in groups for key in group}:
        assert f"`{key}`" in section, key
