"""ONNX models behind the interpreter: NHWC outside whatever the graph wants, refusals in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnx_writer import Node, Value, pack, write
from visiond.engine.interpreter import DelegateOrder, Interpreter, open_interpreter
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "detect.onnx"


def identity(picture: Value, out: Value) -> onnx.ModelProto:
    """What goes in comes out, in the graph's own order."""
    return pack([Node("Identity", [picture.name], [out.name])], [picture], [out])


def load(path: Path, model: onnx.ModelProto) -> Interpreter:
    return open_interpreter(write(path, model), threads=1)


def refusal(path: Path, model: onnx.ModelProto) -> str:
    with pytest.raises(ModelError) as refused:
        load(path, model)
    text = str(refused.value)
    assert text.startswith("detect.onnx")
    assert "\n" not in text
    return text


def test_a_graph_with_channels_first_takes_a_picture_with_channels_last(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 3, 2, 4]), Value("out", [1, 3, 2, 4])))
    picture = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    assert interpreter.input == TensorInfo(0, "images", (1, 2, 4, 3), np.dtype("float32"))
    assert interpreter.outputs == (TensorInfo(0, "out", (1, 3, 2, 4), np.dtype("float32")),)
    interpreter.input_view()[...] = picture
    interpreter.invoke()
    assert (interpreter.read_outputs()[0] == picture.transpose(0, 3, 1, 2)).all()
    interpreter.set_input(picture + 1)
    interpreter.invoke()
    assert (interpreter.read_outputs()[0] == picture.transpose(0, 3, 1, 2) + 1).all()


def test_a_graph_with_channels_last_takes_it_as_it_is(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 2, 4, 3], "uint8"), Value("out", [1, 2, 4, 3], "uint8")))
    picture = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)
    assert interpreter.input == TensorInfo(0, "images", (1, 2, 4, 3), np.dtype("uint8"))
    interpreter.set_input(picture)
    interpreter.invoke()
    assert (interpreter.read_outputs()[0] == picture).all()


@given(picture=arrays.arrays("uint8", st.tuples(st.just(1), *[st.integers(4, 9)] * 2, st.sampled_from([1, 3]))))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_pixel_arrives_at_its_place(path: Path, picture: np.ndarray) -> None:
    shape = [picture.shape[0], picture.shape[3], *picture.shape[1:3]]
    interpreter = load(path, identity(Value("images", shape, "uint8"), Value("out", shape, "uint8")))
    interpreter.set_input(picture)
    interpreter.invoke()
    assert (np.moveaxis(interpreter.read_outputs()[0], 1, 3) == picture).all()


def test_what_is_said_of_it(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])))
    assert interpreter.runtime.startswith("ONNX Runtime 1.")
    assert interpreter.why == "auto: the first choice for this model"
    assert (interpreter.engine, interpreter.library, interpreter.remark) == ("cpu", None, None)


def test_outputs_stay_when_the_next_picture_is_invoked(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])))
    interpreter.input_view()[...] = 1
    interpreter.invoke()
    first = interpreter.read_outputs()
    interpreter.input_view()[...] = 2
    interpreter.invoke()
    assert (first[0] == 1).all()
    assert (interpreter.read_outputs()[0] == 2).all()


def test_another_shape_is_not_spread_over_the_input(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])))
    with pytest.raises(ValueError, match=r"the input is \[1, 4, 4, 3\] of float32, not \[1, 4, 4, 1\] of float32"):
        interpreter.set_input(np.zeros((1, 4, 4, 1), np.float32))


def test_nothing_was_computed_yet(path: Path) -> None:
    interpreter = load(path, identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])))
    with pytest.raises(RuntimeError, match="nothing was computed"):
        interpreter.read_outputs()


@pytest.mark.parametrize("batch", ["batch", None])
def test_an_open_batch_is_taken_as_one(path: Path, batch: str | None) -> None:
    interpreter = load(path, identity(Value("images", [batch, 3, 4, 4]), Value("out", [batch, 3, 4, 4])))
    assert interpreter.input.shape == (1, 4, 4, 3)
    assert interpreter.outputs[0].shape == (1, 3, 4, 4)


def test_an_output_that_the_input_settles(path: Path) -> None:
    nodes = [Node("Shape", ["images"], ["s"]), Node("ConstantOfShape", ["s"], ["out"])]
    interpreter = load(path, pack(nodes, [Value("images", [1, 3, 4, 4])], [Value("out", ["a", "b", "c", "d"])]))
    assert interpreter.outputs[0].shape == (1, 3, 4, 4)


def test_fault_29_open_axes_of_the_picture(path: Path) -> None:
    model = identity(Value("images", ["batch", 3, "height", "width"]), Value("out", ["batch", 3, "height", "width"]))
    text = refusal(path, model)
    assert "input 'images' has no fixed shape: [1, 3, 'height', 'width']; say in model.yaml at which size" in text
    assert "such as input: {size: [224, 224]} (width, height), or convert the model with fixed shapes" in text


def test_fault_29_an_output_whose_shape_depends_on_the_values(path: Path) -> None:
    add = Node("Add", ["images", "one"], ["sum"])
    found = Node("NonZero", ["sum"], ["found"])
    constants = {"one": np.ones(1, np.float32)}
    model = pack([add, found], [Value("images", [1, 3, 2, 2])], [Value("found", [4, None], "int64")], constants)
    interpreter = load(path, model)
    interpreter.input_view()[...] = -1
    interpreter.invoke()
    with pytest.raises(RuntimeError, match=r"output 'found' came as \[4, 0\], not \[4, 12\]; convert the model"):
        interpreter.read_outputs()


def test_fault_29_an_output_without_any_value(path: Path) -> None:
    model = pack(
        [Node("NonZero", ["images"], ["y"])], [Value("images", [1, 3, 2, 2])], [Value("y", [4, None], "int64")]
    )
    assert "output 'y' has no fixed shape: [4, None]" in refusal(path, model)


def test_fault_29_no_output_and_two_inputs(path: Path) -> None:
    nodes = [Node("Identity", ["images"], ["out"])]
    assert "has no output" in refusal(path, pack(nodes, [Value("images", [1, 3, 4, 4])], []))
    values = [Value("a", [1, 3, 4, 4]), Value("b", [1, 3, 4, 4])]
    model = pack([Node("Add", ["a", "b"], ["out"])], values, [Value("out", [1, 3, 4, 4])])
    assert "has 2 inputs ('a', 'b'); expected 1, a picture" in refusal(path, model)


def test_a_type_that_numpy_does_not_have(path: Path) -> None:
    model = identity(Value("images", [1, 3, 4, 4], "bfloat16"), Value("out", [1, 3, 4, 4], "bfloat16"))
    assert "input 'images' is a tensor(bfloat16), which is not supported; export the model" in refusal(path, model)


def test_a_model_that_is_too_new(path: Path) -> None:
    values = [Value("images", [1, 3, 4, 4])], [Value("out", [1, 3, 4, 4])]
    model = pack([Node("Identity", ["images"], ["out"])], *values, opset=99)
    assert "is too new for this ONNX Runtime (Opset 99); update onnxruntime" in refusal(path, model)
    model = identity(*values[0], *values[1])
    model.ir_version = 99
    assert "is too new for this ONNX Runtime (IR version: 99)" in refusal(path, model)


def test_weights_in_a_file_that_was_not_copied(path: Path) -> None:
    weights = np.ones((1, 3, 40, 40), np.float32)
    values = [Value("images", [1, 3, 40, 40])], [Value("out", [1, 3, 40, 40])]
    model = pack([Node("Add", ["images", "weights"], ["out"])], *values, {"weights": weights})
    data = "detect.onnx.data"
    onnx.save(model, path, save_as_external_data=True, location=data, size_threshold=1)
    assert open_interpreter(path, threads=1).input.shape == (1, 40, 40, 3)
    (path.parent / data).unlink()
    with pytest.raises(ModelError, match=r"in a file of their own, which is not there: .*/detect.onnx.data; copy it"):
        open_interpreter(path, threads=1)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"<html><body>404</body></html>"])
def test_fault_26_no_onnx_model_at_all(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is no ONNX model, or truncated or damaged; copy or export it again"):
        open_interpreter(path, threads=1)


def test_fault_26_a_truncated_model(path: Path) -> None:
    content = identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])).SerializeToString()
    for length in range(0, len(content) - 16, 5):  # the last bytes hold the opset, without which it is a model too
        path.write_bytes(content[:length])
        with pytest.raises(ModelError, match=r"^detect\.onnx "):
            open_interpreter(path, threads=1)


def test_fault_25_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file or directory"):
        open_interpreter(tmp_path / "gone.onnx", threads=1)


def test_fault_24_an_invoke_that_fails(path: Path) -> None:
    """A gather beyond the end: which index, the picture says."""
    nodes = [Node("Cast", ["images"], ["index"], attributes={"to": 7}), Node("Gather", ["table", "index"], ["out"])]
    values = [Value("images", [1, 1, 1, 2])], [Value("out", [1, 1, 1, 2])]
    interpreter = load(path, pack(nodes, *values, {"table": np.zeros(3, np.float32)}))
    interpreter.input_view()[...] = 7
    with pytest.raises(RuntimeError, match=r"^detect\.onnx: .*Gather"):
        interpreter.invoke()
    with pytest.raises(RuntimeError, match="nothing was computed"):
        interpreter.read_outputs()
    interpreter.input_view()[...] = 2
    interpreter.invoke()
    assert interpreter.read_outputs()[0].tolist() == [[[[0.0, 0.0]]]]


def test_the_edge_tpu_takes_no_onnx(path: Path) -> None:
    write(path, identity(Value("images", [1, 3, 4, 4]), Value("out", [1, 3, 4, 4])))
    with pytest.raises(ModelError, match="cannot run on the Edge TPU, which takes TFLite only"):
        open_interpreter(path, 1, delegate=DelegateOrder("libedgetpu.so.1"))


def test_it_keeps_to_its_threads_and_imports_no_other_runtime(path: Path, root: Path) -> None:
    """Threads are those that computing adds: ONNX Runtime counts the one that calls it as the first."""
    pixels = Value("images", [1, 3, 64, 64]), Value("out", [1, 3, 64, 64])
    write(path, pack([Node("Sqrt", ["images"], ["out"])], [pixels[0]], [pixels[1]]))
    code = """
import os, sys
from pathlib import Path
from visiond.engine.interpreter import open_interpreter
import numpy, onnxruntime
before = len(os.listdir("/proc/self/task"))
interpreter = open_interpreter(Path(sys.argv[1]), threads=3)
interpreter.invoke()
print(len(os.listdir("/proc/self/task")) - before, {"ai_edge_litert", "tflite_runtime"} & set(sys.modules))
print(interpreter._session.get_session_options().get_session_config_entry("session.intra_op.allow_spinning"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        env={**os.environ, "PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["2 set()", "0"]
