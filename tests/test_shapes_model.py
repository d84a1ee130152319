"""The embedded model: small, of operators that the Edge TPU maps, and it finds what the synthetic camera shows."""

from __future__ import annotations

import configparser
import sys
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from visiond.engine.golden import prove
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.modelkit.package import Package, load_package

# Of the Edge TPU compiler's published list of operations (coral.ai/docs/edgetpu/models-intro), what this model may use.
EDGETPU_MAPS = {"ADD", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "RELU", "RELU6", "RESHAPE"}
MAX_BYTES = 600_000


@pytest.fixture(scope="module")
def package(root: Path) -> Package:
    return load_package(root / "models" / "shapes")


def operators(path: Path) -> set[str]:
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    return {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes}


def test_it_is_small_and_has_only_operators_that_the_edge_tpu_maps(package: Package) -> None:
    path = package.file("cpu")
    assert path.stat().st_size <= MAX_BYTES
    assert operators(path) <= EDGETPU_MAPS


def test_everything_in_it_is_int8_and_of_fixed_shape(package: Package) -> None:
    interpreter = open_interpreter(package.file("cpu"), threads=1)
    assert interpreter.input.dtype == "int8"
    assert [info.dtype.name for info in interpreter.outputs] == ["int8", "int8"]
    scores, boxes = sorted(interpreter.outputs, key=lambda info: info.shape[-1])
    assert scores.quantization != boxes.quantization  # each head has a scale of its own


def test_an_installation_gets_all_of_it(root: Path, package: Package) -> None:
    """An editable installation reads the checkout; any other has only what setup.cfg lists."""
    listed = configparser.ConfigParser()
    listed.read(root / "setup.cfg")
    installed = set(listed["options.data_files"]["share/visiond/models/shapes"].split())
    needed = ["model.yaml", "labels.txt", "shapes.tflite", *(example.image for example in package.golden)]
    assert {f"models/shapes/{name}" for name in needed} == installed


def test_its_golden_examples_and_checksum_hold(package: Package) -> None:
    package.verify_files()
    interpreter = open_interpreter(package.file("cpu"), threads=1)
    report = prove(package, interpreter, Preprocessor(package.input, interpreter.input))
    assert report.failures == ()
    assert report.passed == 3


def test_it_finds_the_solids_of_unseen_scenes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sample of what evaluate.py measures on 500 scenes; README.md has the whole figure."""
    monkeypatch.syspath_prepend(str(root / "models" / "shapes"))
    import evaluate

    average_precision, _ = evaluate.evaluate(scenes=60, first_seed=evaluate.UNSEEN_SEED + 10_000)
    sys.modules.pop("evaluate")
    assert len(average_precision) >= 6
    assert sum(average_precision.values()) / len(average_precision) >= 0.88
