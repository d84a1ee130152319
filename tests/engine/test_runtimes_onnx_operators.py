"""ONNX models with operators that cannot be computed: all of them are named, with counts, reason and remedy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from onnx_writer import Node, Value, pack, write
from visiond.engine.interpreter import open_interpreter
from visiond.engine.runtimes.onnx_operators import missing_operators, runtime_operators
from visiond.errors import ModelError
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.onnx_model import OnnxModel, OperatorKind

SIDES = [1, 3, 4, 4]
PICTURE, OUT = Value("images", SIDES), Value("out", SIDES)


def chain(operators: Sequence[tuple[str, str]], opset: int = 17, dtype: str = "float32") -> onnx.ModelProto:
    """One operator behind the other, each given as (domain, name)."""
    names = ["images", *(f"v{number}" for number in range(1, len(operators))), "out"]
    nodes = [Node(name, [names[n]], [names[n + 1]], domain) for n, (domain, name) in enumerate(operators)]
    return pack(nodes, [Value("images", SIDES, dtype)], [Value("out", SIDES, dtype)], opset=opset)


def refusal(folder: Path, model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as refused:
        open_interpreter(write(folder / "m.onnx", model), threads=1)
    text = str(refused.value)
    assert text.startswith("m.onnx ")
    assert "\n" not in text
    assert "; " in text  # behind it stands what to do
    return text


def test_all_of_them_are_named_with_counts_and_each_reason_and_remedy_once(tmp_path: Path) -> None:
    """ONNX Runtime itself stops at the first one."""
    acme = ("com.acme", "FancyOp")
    model = chain([acme, ("", "Relu"), acme, ("com.acme", "Other"), ("", "Gelu"), ("", "NoSuchOp")])
    assert refusal(tmp_path, model) == (
        "m.onnx needs operators that ONNX Runtime does not have: 'com.acme:FancyOp' 2, 'com.acme:Other' 1 (custom, of "
        "com.acme), 'Gelu' 1 (of opset 20, and the file's is 17), 'NoSuchOp' 1 (unknown to it); export the model with "
        "standard operators only, or end it before them; export the model with opset_version=20; update onnxruntime, "
        "or export the model with standard operators only"
    )


def test_a_withdrawn_one(tmp_path: Path) -> None:
    node = Node("Upsample", ["images", "scales"], ["out"])
    scales = {"scales": np.array([1, 1, 2, 2], np.float32)}
    text = refusal(tmp_path, pack([node], [PICTURE], [Value("out", [1, 3, 8, 8])], scales))
    assert "'Upsample' 1 (withdrawn in opset 10); export the model again with a newer exporter, or opset 9" in text


def test_one_that_is_for_training_only(tmp_path: Path) -> None:
    rates = [Value("rate", []), Value("step", [], "int64"), Value("gradient", SIDES), Value("momentum", SIDES)]
    settings = {"alpha": 0.9, "beta": 0.9, "mode": "standard", "norm_coefficient": 0.1}
    inputs = ["rate", "step", "images", "gradient", "momentum"]
    node = Node("Momentum", inputs, ["out", "next"], "ai.onnx.preview.training", settings)
    text = refusal(tmp_path, pack([node], [PICTURE, *rates], [OUT]))
    assert "'ai.onnx.preview.training:Momentum' 1 (for training only); export the model for inference" in text


def test_one_of_another_build_of_the_runtime(tmp_path: Path) -> None:
    text = refusal(tmp_path, chain([("com.microsoft", "NotInThisBuild")]))
    assert "'com.microsoft:NotInThisBuild' 1 (not in this runtime's com.microsoft)" in text


def test_a_domain_without_an_opset(tmp_path: Path) -> None:
    model = chain([("com.acme", "FancyOp")])
    del model.opset_import[1]
    assert "'com.acme:FancyOp' 1 (custom, of com.acme)" in refusal(tmp_path, model)


def test_one_in_a_branch(tmp_path: Path) -> None:
    """Operators may lie in the graphs of other operators."""
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node("FancyOp", ["images"], [name], domain="com.acme")],
            name,
            [],
            [Value(name, SIDES).pack()],
        )
        for name in ("then", "else")
    }
    nodes = [Node("If", ["condition"], ["out"], attributes=branches)]
    model = pack(nodes, [PICTURE], [OUT], {"condition": np.array(True)})
    model.opset_import.append(helper.make_opsetid("com.acme", 1))
    assert "'com.acme:FancyOp' 2 (custom" in refusal(tmp_path, model)


@pytest.mark.parametrize(("operator", "dtype"), [("Relu", "int16"), ("Acosh", "float64"), ("Elu", "float64")])
def test_a_kernel_that_the_cpu_lacks(tmp_path: Path, operator: str, dtype: str) -> None:
    """ONNX defines the operator for these numbers, and the runtime computes it with others only."""
    text = refusal(tmp_path, chain([("", operator)], dtype=dtype))
    assert f"needs the operator '{operator}' with numbers that ONNX Runtime cannot compute on the CPU" in text
    assert "float" in text.split("(it computes it with ")[1].split(")")[0].split(", ")
    assert "export the model with float32, or quantize it with QuantizeLinear and DequantizeLinear" in text


def test_int8_where_onnx_has_none(tmp_path: Path) -> None:
    """What comes of a quantization by hand: Conv takes no integers, QLinearConv or QDQ does."""
    model = pack(
        [Node("Conv", ["images", "w"], ["out"])],
        [Value("images", SIDES, "int8")],
        [Value("out", SIDES, "int8")],
        {"w": np.ones((3, 3, 1, 1), np.int8)},
    )
    text = refusal(tmp_path, model)
    assert "has the operator 'Conv' with int8, for which ONNX does not define it; export the model with float32" in text


def test_a_build_that_does_not_tell_its_operators_names_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = onnxruntime.capi.onnxruntime_pybind11_state
    monkeypatch.delattr(state, "get_all_operator_schema")
    monkeypatch.delattr(state, "get_all_opkernel_def")
    text = refusal(tmp_path, chain([("com.acme", "FancyOp"), ("com.acme", "Other")]))
    assert "needs the operator 'com.acme:FancyOp', which ONNX Runtime does not have; export the model with" in text
    assert "needs the operator 'Elu' with numbers that ONNX Runtime cannot compute on the CPU; export" in refusal(
        tmp_path, chain([("", "Elu")], dtype="float64")
    )


def test_nothing_is_missed_that_is_there() -> None:
    """Every operator that is not withdrawn, each with the newest opset that the runtime knows."""
    has = runtime_operators()
    newest = {
        kind.domain: max(f[0] for k, fs in has.schemas.items() if k.domain == kind.domain for f in fs)
        for kind in has.schemas
    }
    operators = {kind: 1 for kind, forms in has.schemas.items() if not forms[-1][1]}
    assert len(operators) > 300
    model = OnnxModel(0, "", 8, newest, (), (), operators, 0, ())
    assert missing_operators(model, has) == ()


def test_a_function_of_the_file_is_no_custom_operator(tmp_path: Path) -> None:
    """What torch's exporter leaves where it is told not to inline: the runtime inlines it."""
    body = [helper.make_node("Relu", ["x"], ["y"])]
    function = helper.make_function("com.acme", "Block", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    model = chain([("com.acme", "Block")])
    model.functions.append(function)
    assert open_interpreter(write(tmp_path / "m.onnx", model), threads=1).input.shape == (1, 4, 4, 3)
    with open_onnx(tmp_path / "m.onnx") as found:
        assert found.operators == {OperatorKind("", "Relu"): 1}
        assert missing_operators(found, runtime_operators()) == ()
