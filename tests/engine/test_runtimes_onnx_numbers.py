"""The numbers that ONNX models take and give: float16, integers, quantized ones, in both orders of axes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from onnx_writer import Node, Value, pack, write
from visiond.engine.interpreter import Interpreter, open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import Quantization, dequantize

FIRST, LAST = [1, 3, 4, 6], [1, 4, 6, 3]


def recipe(mean: float, std: float) -> SimpleNamespace:
    plain = {"resize": "stretch", "interpolation": "nearest", "shorter_side": None, "color": "bgr", "pad": 0}
    return SimpleNamespace(mean=[mean] * 3, std=[std] * 3, **plain)


def identity(folder: Path, shape: list[int], dtype: str) -> Interpreter:
    model = pack([Node("Identity", ["images"], ["out"])], [Value("images", shape, dtype)], [Value("out", shape, dtype)])
    return open_interpreter(write(folder / "m.onnx", model), 1)


def quantized(folder: Path, dtype: str, scale: float, zero_point: int, shape: list[int]) -> Interpreter:
    """Integers in and out, floats between: out is relu(in)."""
    nodes = [
        Node("DequantizeLinear", ["images", "s", "z"], ["d"]),
        Node("Relu", ["d"], ["r"]),
        Node("QuantizeLinear", ["r", "s", "z"], ["out"]),
    ]
    constants = {"s": np.array(scale, np.float32), "z": np.array(zero_point, dtype)}
    values = [Value("images", shape, dtype)], [Value("out", shape, dtype)]
    return open_interpreter(write(folder / "m.onnx", pack(nodes, *values, constants)), 1)


def see(interpreter: Interpreter, frame: np.ndarray, mean: float, std: float) -> np.ndarray:
    """What comes out for a frame, as real numbers, channels last."""
    Preprocessor(recipe(mean, std), interpreter.input).write(frame, interpreter.input_view())
    interpreter.invoke()
    real = dequantize(interpreter.read_outputs()[0], interpreter.outputs[0])
    return np.moveaxis(real, 1, 3)[0] if real.shape[1] == 3 else real[0]


FRAMES = arrays.arrays("uint8", (4, 6, 3))
ANY_FOLDER = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@ANY_FOLDER
@given(frame=FRAMES, shape=st.sampled_from([FIRST, LAST]), std=st.sampled_from([1.0, 58.395, 127.5, 255.0]))
def test_float16_gets_what_pytorchs_half_is(tmp_path: Path, frame: np.ndarray, shape: list[int], std: float) -> None:
    interpreter = identity(tmp_path, shape, "float16")
    assert interpreter.input.dtype == np.float32  # it is made half at the invoke, by the copy that turns the axes
    assert interpreter.outputs[0].dtype == np.float16
    expected = ((frame.astype(np.float64) - 116.28) / std).astype(np.float32).astype(np.float16)
    assert (see(interpreter, frame, 116.28, std) == expected).all()


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [FIRST, LAST])
def test_pixels_as_they_are(tmp_path: Path, dtype: str, shape: list[int]) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    assert (see(identity(tmp_path, shape, dtype), frame, 0, 1) == frame).all()


@ANY_FOLDER
@given(
    frame=FRAMES,
    shape=st.sampled_from([FIRST, LAST]),
    parameters=st.sampled_from([("uint8", 1 / 255, 0), ("int8", 1 / 255, -128), ("int8", 0.018658, -14)]),
)
def test_integers_have_the_scale_of_the_operator_behind_them(
    tmp_path: Path, frame: np.ndarray, shape: list[int], parameters: tuple[str, float, int]
) -> None:
    """As a TFLite model's: one recipe serves a float model and its quantized twin."""
    dtype, scale, zero_point = parameters
    interpreter = quantized(tmp_path, dtype, scale, zero_point, shape)
    assert interpreter.input.dtype == dtype
    assert interpreter.input.quantization == Quantization(float(np.float32(scale)), zero_point)
    assert interpreter.outputs[0].quantization == interpreter.input.quantization
    real = np.maximum(frame / 255.0, 0)
    assert np.abs(see(interpreter, frame, 0, 255) - real).max() <= scale / 2 + 1e-6


def test_integers_without_such_an_operator_are_the_values_themselves(tmp_path: Path) -> None:
    interpreter = identity(tmp_path, FIRST, "uint8")
    assert (interpreter.input.quantization, interpreter.outputs[0].quantization) == (None, None)


def test_one_channel(tmp_path: Path) -> None:
    for shape in ([1, 1, 4, 6], [1, 4, 6, 1]):
        assert identity(tmp_path, shape, "float32").input.shape == (1, 4, 6, 1)
