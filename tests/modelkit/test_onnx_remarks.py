"""Lints of packages with an ONNX file: sizes, labels, weights beside the file, and the twin for TFLite."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_writer import Node, Value, pack, write
from tflite_writer import Graph, Operator, Tensor
from visiond.cli import main
from visiond.errors import ConfigError
from visiond.modelkit.package import Package, load_package

PIXELS = {"mean": [0.0] * 3, "std": [255.0] * 3}
FLOATS = Value("images", [1, 3, 4, 6])
SCORES = Value("scores", ["batch", 10])


def onnx_model(picture: Value = FLOATS, scores: Value = SCORES) -> onnx.ModelProto:
    weights = {"w": np.zeros((3, 10), np.float32)}
    nodes = [Node("Squeeze", ["images"], ["s"]), Node("MatMul", ["s", "w"], ["scores"])]
    return pack(nodes, [picture], [scores], weights)


def tflite(path: Path, shape: list[int], classes: int = 10, signature: list[int] | None = None) -> None:
    picture = Tensor("picture", shape, "float32", signature=signature)
    Graph([picture, Tensor("scores", [1, classes], "float32")], [0], [1], [Operator("RESHAPE", [0], [1])]).write(path)


def package(folder: Path, files: dict[str, str], labels: int = 10, **recipe: Any) -> Package:
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(labels)))
    manifest = {
        "name": "m",
        "task": "classification",
        "files": {key: {"path": name} for key, name in files.items()},
        "labels": {"path": "labels.txt"},
        "input": {**PIXELS, **recipe},
        "output": {"decoder": "scores"},
    }
    (folder / "model.yaml").write_text(json.dumps(manifest))
    return load_package(folder)


def remarks(found: Package) -> list[str]:
    lines = [str(remark) for remark in found.remarks]
    assert all("; " in line and "\n" not in line for line in lines)
    return lines


def test_a_good_package_has_none(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", onnx_model())
    tflite(tmp_path / "m.tflite", [1, 4, 6, 3])
    assert remarks(package(tmp_path, {"cpu": "m.tflite", "onnx": "m.onnx"})) == []


def test_a_size_that_is_not_said(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", onnx_model(Value("images", ["n", 3, "h", "w"])))
    (line,) = remarks(package(tmp_path, {"onnx": "m.onnx"}))
    assert line == (
        "input: has no size, and files.onnx leaves it open ([1, -1, -1, 3]): it will not be loaded; say at which size "
        "it is served, such as size: [224, 224] (width, height)"
    )
    assert remarks(package(tmp_path, {"onnx": "m.onnx"}, size=[6, 4])) == []


def test_a_size_that_contradicts_the_file(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", onnx_model())
    tflite(tmp_path / "m.tflite", [1, 1, 6, 3], signature=[1, -1, 6, 3])
    lines = remarks(package(tmp_path, {"cpu": "m.tflite", "onnx": "m.onnx"}, size=[4, 6]))
    assert lines == [
        "input.size: is 4 x 6, and files.cpu is fixed at 6 x any: it will not be loaded; remove it, or convert the "
        "model with that size",
        "input.size: is 4 x 6, and files.onnx is fixed at 6 x 4: it will not be loaded; remove it, or convert the "
        "model with that size",
    ]


@pytest.mark.parametrize("size", [[0, 4], [4], [4.5, 4], ["4", 4], [True, 4], [9000, 4], [4, 4, 4]])
def test_what_is_no_size(tmp_path: Path, size: list[Any]) -> None:
    with pytest.raises(ConfigError, match=r"input\.size"):
        package(tmp_path, {"onnx": "m.onnx"}, size=size)


def test_labels_against_the_classes_of_an_onnx_file(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", onnx_model())
    (line,) = remarks(package(tmp_path, {"onnx": "m.onnx"}, labels=8))
    assert "names 8 classes with offset 0, and the model has 10: the last 2 have no name" in line


def test_another_model_than_its_twin(tmp_path: Path) -> None:
    write(tmp_path / "m.onnx", onnx_model())
    tflite(tmp_path / "m.tflite", [1, 6, 4, 3], classes=11)
    first, *rest = remarks(package(tmp_path, {"cpu": "m.tflite", "onnx": "m.onnx"}, labels=11))
    assert rest == []
    assert first == (
        "files.onnx.path: is another model than its twin: input 0 is [1, 4, 6, 3], of its twin for TFLite "
        "[1, 6, 4, 3], output 0 is [1, 10], of its twin for TFLite [1, 11]; convert files.cpu from files.onnx, or "
        "give each a package of its own"
    )


def test_weights_in_a_file_of_their_own(tmp_path: Path) -> None:
    onnx.save(onnx_model(), tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=1)
    (line,) = remarks(package(tmp_path, {"onnx": "m.onnx"}))
    assert "keeps its weights in m.data: neither sha256 nor a reload sees whether that has changed" in line


def test_an_integer_input_against_the_preprocessing(tmp_path: Path) -> None:
    """Calibrated for ImageNet's range, and fed with 0 to 1: as with TFLite."""
    nodes = [Node("DequantizeLinear", ["images", "s", "z"], ["d"]), Node("Identity", ["d"], ["scores"])]
    constants = {"s": np.array(0.018658, np.float32), "z": np.array(-14, np.int8)}
    picture = Value("images", [1, 3, 4, 6], "int8")
    write(tmp_path / "m.onnx", pack(nodes, [picture], [Value("scores", [1, 10])], constants))
    (line,) = remarks(package(tmp_path, {"onnx": "m.onnx"}))
    assert "55 of 256 levels are used" in line


def test_a_damaged_file_is_one_of_them(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08")
    (line,) = remarks(package(tmp_path, {"onnx": "m.onnx"}))
    assert line.startswith("files.onnx.path: ")
    assert "is a damaged ONNX model" in line


def test_a_runtime_that_is_not_installed_is_said_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`visiond check` says it before the daemon does; of a package that can do without, nothing."""
    write(tmp_path / "m.onnx", onnx_model())
    tflite(tmp_path / "m.tflite", [1, 4, 6, 3])
    camera = {"source": "synthetic:shapes", "model": "m"}
    model = {"package": str(tmp_path), "accelerator": "never"}
    (tmp_path / "visiond.yaml").write_text(json.dumps({"cameras": {"front": camera}, "models": {"m": model}}))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    for files, warned in (({"onnx": "m.onnx"}, True), ({"onnx": "m.onnx", "cpu": "m.tflite"}, False)):
        package(tmp_path, files)
        assert main(["check", "-c", str(tmp_path / "visiond.yaml")]) == 0
        text = capsys.readouterr().err
        assert (
            "files.onnx: needs ONNX Runtime, which is not installed here: it will give no results; " in text
        ) == warned
        assert ("-m pip install onnxruntime" in text) == warned
