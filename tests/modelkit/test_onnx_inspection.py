"""`visiond models inspect FILE.onnx`: what the runtime and the Edge TPU would make of it, and how it is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnx_writer import Node, Value, pack, write
from visiond.cli import main
from visiond.modelkit import edgetpu_rules
from visiond.modelkit.onnx_edgetpu import _BECOMES, stays_on_cpu
from visiond.modelkit.onnx_model import OperatorKind

SIDES = [1, 3, 4, 4]


def activations(*names: str, dtype: str = "float32") -> onnx.ModelProto:
    tensors = ["images", *(f"v{number}" for number in range(1, len(names))), "out"]
    nodes = [
        Node(name.rpartition(":")[2], [tensors[n]], [tensors[n + 1]], name.rpartition(":")[0])
        for n, name in enumerate(names)
    ]
    return pack(nodes, [Value("images", SIDES, dtype)], [Value("out", SIDES, dtype)])


def inspect(path: Path, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    assert main(["models", "inspect", str(path), *options]) == 0
    return capsys.readouterr().out


def as_json(path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(inspect(path, capsys, "--json"))


def test_what_would_stay_on_the_cpu_is_named_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "m.onnx", activations("LeakyRelu", "Relu", "LeakyRelu", "HardSwish"))
    text = inspect(path, capsys)
    assert "  3 would stay on the CPU then, by the compiler's published rules, and what follows them:\n" in text
    assert "    LeakyRelu 2: becomes LEAKY_RELU, which is not supported\n" in text
    assert "      do: train with ReLU or ReLU6 in its place, or write it as tf.maximum(x, alpha * x)" in text
    groups = as_json(path, capsys)["edgetpu"]["on_cpu"]
    assert [group["operators"] for group in groups] == [{"LeakyRelu": 2}, {"HardSwish": 1}]


def test_what_the_runtime_has_not_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "m.onnx", activations("com.acme:Fancy", "Gelu", "com.acme:Fancy"))
    text = inspect(path, capsys)
    assert " does not have 3 of them:\n    com.acme:Fancy 2: custom, of com.acme\n      do: export the model" in text
    assert "    Gelu 1: of opset 20, and the file's is 17\n      do: export the model with opset_version=20\n" in text
    assert "  what is no operator of ONNX itself cannot be converted: com.acme:Fancy\n" in text
    missing = as_json(path, capsys)["runtime"]["missing"]
    assert [each["operators"] for each in missing] == [{"com.acme:Fancy": 2}, {"Gelu": 1}]


def test_what_the_runtime_refuses_for_another_reason_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "m.onnx", activations("Elu", dtype="float64"))
    problem = as_json(path, capsys)["runtime"]["problem"]
    assert problem.startswith("m.onnx needs the operator 'Elu' with numbers that ONNX Runtime cannot compute")
    assert f": {problem}\n" in inspect(path, capsys)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("raise ModuleNotFoundError('no', name='onnxruntime')", "ONNX Runtime is not installed; "),
        ("import os; os.abort()", "while asking ONNX Runtime for its operators its process died of SIGABRT"),
    ],
)
def test_without_a_runtime_that_works_the_rest_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, content: str, words: str
) -> None:
    (tmp_path / "onnxruntime.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = write(tmp_path / "m.onnx", activations("Relu"))
    found = as_json(path, capsys)
    assert found["operators"] == {"Relu": 1}
    assert found["runtime"]["version"] is None
    assert words in found["runtime"]["problem"]
    assert f"ONNX Runtime: {words}" in inspect(path, capsys)


def test_weights_beside_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {"w": np.ones((1, 3, 4, 4), np.float32)}
    model = pack([Node("Add", ["images", "w"], ["out"])], [Value("images", SIDES)], [Value("out", SIDES)], weights)
    path = tmp_path / "m.onnx"
    onnx.save(model, path, save_as_external_data=True, location="m.data", size_threshold=1)
    assert "  weights in a file of their own, m.data: it has to lie beside the model\n" in inspect(path, capsys)
    (tmp_path / "m.data").unlink()
    text = inspect(path, capsys)
    assert "  weights in a file of their own, m.data, which is not there: it has to lie beside the model\n" in text
    assert "keeps its weights in a file of their own, which is not there" in text


def test_bad_files_end_with_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "m.onnx", activations("Relu"))
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:40])
    (tmp_path / "text.onnx").write_text("hello")
    for arguments, code, words in (
        ([cut], 65, "is a damaged ONNX model"),
        ([tmp_path / "text.onnx"], 65, "is no ONNX model"),
        ([tmp_path / "none.onnx"], 66, "No such file"),
        ([path, "--log", "x.log"], 64, "which edgetpu_compiler does not take; leave it out"),
    ):
        assert main(["models", "inspect", *map(str, arguments)]) == code
        captured = capsys.readouterr()
        assert words in captured.err
        assert (captured.out, captured.err.count("\n")) == ("", 1)


def test_the_table_names_what_the_rules_do_not_have() -> None:
    """Each of its TFLite operators is one that the published rules leave on the CPU."""
    assert not set(_BECOMES.values()) & set(edgetpu_rules._RULES)
    assert list(stays_on_cpu({OperatorKind("com.acme", "LeakyRelu"): 1, OperatorKind("", "Conv"): 3})) == []
