"""Models that leave the picture's size open are served at the size that model.yaml declares, on each runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from onnx_writer import Node, Value, pack, write
from tflite_runtimes import TFLITE_RUNTIMES
from tflite_writer import Graph, Operator, Tensor
from visiond.engine.interpreter import Interpreter, open_interpreter
from visiond.errors import ModelError

SIZE = (6, 4)  # width, height


def onnx_mean(folder: Path, shape: list[int | str | None], axes: list[int]) -> Path:
    """The mean of each channel: what a classifier that takes any size does at its end."""
    node = Node("ReduceMean", ["images"], ["out"], attributes={"axes": axes, "keepdims": 0})
    return write(folder / "m.onnx", pack([node], [Value("images", shape)], [Value("out", ["batch", "channels"])]))


def tflite_mean(folder: Path, signature: list[int], out_signature: list[int] | None = None) -> Path:
    axes = Tensor("axes", [2], "int32", constant=np.array([1, 2], np.int32))
    picture = Tensor("images", [max(1, side) for side in signature], "float32", signature=signature)
    out = Tensor("out", [1, 3], "float32", signature=out_signature)
    graph = Graph([picture, out, axes], [0], [1], [Operator("MEAN", [0, 2], [1], schema.ReducerOptionsT())])
    return graph.write(folder / "m.tflite")


def refusal(path: Path, size: tuple[int, int] | None) -> str:
    with pytest.raises(ModelError) as refused:
        open_interpreter(path, 1, size=size)
    text = str(refused.value)
    assert text.startswith(path.name)
    assert "\n" not in text
    return text


def means(interpreter: Interpreter) -> list[float]:
    """Of a picture whose channels are 1, 2, 3 but for one pixel that is 24 more in each."""
    picture = np.ones(interpreter.input.shape, np.float32) * np.array([1, 2, 3], np.float32)
    picture[0, 3, 5] += 24
    interpreter.set_input(picture)
    interpreter.invoke()
    return [float(value) for value in interpreter.read_outputs()[0].ravel()]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ([1, 3, "height", "width"], [2, 3]),
        (["N", 3, None, None], [2, 3]),
        ([1, 3, 4, "width"], [2, 3]),
        (["batch", "height", "width", 3], [1, 2]),
        ([None, None, None, 3], [1, 2]),
    ],
)
def test_an_onnx_model_at_its_declared_size(tmp_path: Path, shape: list[int | str | None], axes: list[int]) -> None:
    interpreter = open_interpreter(onnx_mean(tmp_path, shape, axes), 1, size=SIZE)
    assert interpreter.input.shape == (1, 4, 6, 3)
    assert interpreter.outputs[0].shape == (1, 3)
    assert means(interpreter) == [2, 3, 4]


@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
@pytest.mark.parametrize("signature", [[1, -1, -1, 3], [-1, -1, -1, 3], [1, 4, -1, 3]])
def test_a_tflite_model_at_its_declared_size(tmp_path: Path, runtime: str, signature: list[int]) -> None:
    interpreter = open_interpreter(tflite_mean(tmp_path, signature), 1, runtime, size=SIZE)
    assert interpreter.input.shape == (1, 4, 6, 3)
    assert means(interpreter) == [2, 3, 4]


def test_both_have_outputs_of_that_size(tmp_path: Path) -> None:
    open_onnx = Value("images", [1, 3, "h", "w"]), Value("out", [1, 3, "h", "w"])
    path = write(tmp_path / "m.onnx", pack([Node("Relu", ["images"], ["out"])], [open_onnx[0]], [open_onnx[1]]))
    assert open_interpreter(path, 1, size=SIZE).outputs[0].shape == (1, 3, 4, 6)
    picture = Tensor("images", [1, 1, 1, 3], "float32", signature=[-1, -1, -1, 3])
    out = Tensor("out", [1, 1, 1, 3], "float32", signature=[-1, -1, -1, 3])
    path = Graph([picture, out], [0], [1], [Operator("ABS", [0], [1])]).write(tmp_path / "m.tflite")
    interpreter = open_interpreter(path, 1, size=SIZE)
    assert interpreter.outputs[0].shape == (1, 4, 6, 3)
    interpreter.invoke()
    assert interpreter.read_outputs()[0].shape == (1, 4, 6, 3)


def test_outputs_that_only_the_first_invoke_settles(tmp_path: Path) -> None:
    """A reshape to a computed shape: after allocation the output still has the shape that stands in the file."""
    picture = Tensor("images", [1, 1, 1, 3], "float32", signature=[1, -1, -1, 3])
    tensors = [picture, Tensor("out", [1, 1, 1, 3], "float32", signature=[-1, -1, -1, 3]), Tensor("s", [4], "int32")]
    counted = schema.ShapeOptionsT()
    counted.outType = schema.TensorType.INT32
    operators = [Operator("SHAPE", [0], [2], counted), Operator("RESHAPE", [0, 2], [1])]
    path = Graph(tensors, [0], [1], operators).write(tmp_path / "m.tflite")
    interpreter = open_interpreter(path, 1, size=SIZE)
    assert interpreter.outputs[0].shape == (1, 4, 6, 3)
    interpreter.set_input(np.arange(72, dtype=np.float32).reshape(1, 4, 6, 3))
    interpreter.invoke()
    assert interpreter.read_outputs()[0].ravel().tolist() == list(range(72))


def test_without_the_key_the_sentence_names_it_with_an_example(tmp_path: Path) -> None:
    wanted = "say in model.yaml at which size it is served, such as input: {size: [224, 224]} (width, height)"
    assert wanted in refusal(onnx_mean(tmp_path, [1, 3, "height", "width"], [2, 3]), None)
    assert wanted in refusal(tflite_mean(tmp_path, [1, -1, -1, 3]), None)


def test_a_size_that_contradicts_the_file_is_refused(tmp_path: Path) -> None:
    for path in (onnx_mean(tmp_path, [1, 3, 8, 10], [2, 3]), tflite_mean(tmp_path, [1, 8, 10, 3])):
        text = refusal(path, SIZE)
        assert "input 'images' is fixed at 10 x 8 (width x height), and input.size in model.yaml says 6 x 4" in text
        assert "; remove input.size, or convert the model with that size" in text
    half = refusal(onnx_mean(tmp_path, [1, 3, 8, "width"], [2, 3]), SIZE)
    assert "is fixed at width x 8" in half


def test_a_size_that_says_what_the_file_does_is_no_contradiction(tmp_path: Path) -> None:
    assert open_interpreter(onnx_mean(tmp_path, [1, 3, 4, 6], [2, 3]), 1, size=SIZE).input.shape == (1, 4, 6, 3)
    assert open_interpreter(tflite_mean(tmp_path, [1, 4, 6, 3]), 1, size=SIZE).input.shape == (1, 4, 6, 3)


def test_open_channels_are_settled_by_no_size(tmp_path: Path) -> None:
    assert "has no fixed shape" in refusal(onnx_mean(tmp_path, [1, "channels", "h", "w"], [2, 3]), SIZE)
    assert "has no fixed shape" in refusal(tflite_mean(tmp_path, [1, -1, -1, -1]), SIZE)


def test_a_size_that_the_model_cannot_compute_is_refused(tmp_path: Path) -> None:
    """Its last layer takes just the numbers of another size: the file leaves open what it does not."""
    weights = {"w": np.zeros((3 * 5 * 5, 2), np.float32)}
    nodes = [Node("Flatten", ["images"], ["flat"]), Node("MatMul", ["flat", "w"], ["out"])]
    path = write(tmp_path / "m.onnx", pack(nodes, [Value("images", [1, 3, "h", "w"])], [Value("out", [1, 2])], weights))
    assert open_interpreter(path, 1, size=(5, 5)).outputs[0].shape == (1, 2)
    text = refusal(path, SIZE)
    assert "m.onnx cannot be computed at input.size: [6, 4] (the runtime: " in text
    assert "; give the size that it was made for in model.yaml, or convert the model with fixed shapes" in text
    picture = Tensor("images", [1, 1, 1, 3], "float32", signature=[1, -1, -1, 3])
    tensors = [picture, Tensor("out", [1, 75], "float32"), Tensor("s", [2], "int32", constant=np.array([1, 75], "i4"))]
    path = Graph(tensors, [0], [1], [Operator("RESHAPE", [0, 2], [1])]).write(tmp_path / "m.tflite")
    assert open_interpreter(path, 1, size=(5, 5)).outputs[0].shape == (1, 75)
    assert "m.tflite cannot be computed at input.size: [6, 4] (the runtime: " in refusal(path, SIZE)
