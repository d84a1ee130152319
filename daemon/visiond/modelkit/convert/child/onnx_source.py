"""ONNX models through onnx2tf: channels first become channels last, and what cannot be converted is named.

onnx2tf compares each operator with ONNX Runtime while it converts, on 20 pictures that it downloads into the current
folder unless they are there: they are the representative pictures here.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.errors import DataError
from visiond.modelkit.convert.child.graph import Graph, graph_of, picture_shape

_OWN_DOMAINS: Final = ("", "ai.onnx")
_QUANTIZED: Final = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "ConvInteger", "MatMulInteger")
_SAMPLES: Final = (20, 128, 128)
_SAMPLES_NAME: Final = "calibration_image_sample_data_20x128x128x3_float32.npy"


Samples = Callable[[tuple[int, int, int, int]], list[NDArray[np.float32]]]


def read_onnx(path: Path, size: tuple[int, int] | None, samples: Samples, scratch: Path) -> Graph:
    """Convert to a Keras model; `samples` gives input tensors of a shape, if it has any. Raises DataError in words."""
    model = _load(path)
    _check_operators(path, model)
    given = _picture_input(path, model)
    declared = [side.dim_value if side.HasField("dim_value") else None for side in given.type.tensor_type.shape.dim]
    first = _channels_first(declared)
    shape = picture_shape(declared, str(path), size, first)
    fixed = (shape[0], shape[3], shape[1], shape[2]) if first else shape
    model = _simplified(model, given.name, fixed)
    keras_model = _convert(path, model, given.name, first, samples(shape), scratch)

    def reference(values: NDArray[np.float32]) -> list[NDArray[Any]]:
        return _run(model, given.name, values.transpose(0, 3, 1, 2) if first else values)

    return graph_of(lambda picture: keras_model(picture), shape, f"ONNX model, opset {_opset(model)}", reference)


def _load(path: Path) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(path))
        opset, newest = _opset(model), onnx.defs.onnx_opset_version()
        if opset > newest:
            raise DataError(
                f"{path} has opset {opset}, and {newest} is the newest that can be read here; export it with an older "
                "one (torch.onnx.export(…, opset_version=18))"
            )
        onnx.checker.check_model(model)
    except FileNotFoundError as error:
        raise DataError(f"{path}: its weights are not beside it ({error.filename}); copy the .data file too") from error
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        if "should be stored in" in text or "data_location" in text or "external" in text.lower():
            raise DataError(f"{path}: its weights are not beside it ({text}); copy the .data file too") from error
        raise DataError(f"{path} is no ONNX model that can be used ({text}); export it again") from error
    if not model.graph.node:
        raise DataError(f"{path} is no ONNX model: it has no operators; export it again")
    return model


def _opset(model: Any) -> int:
    return max((each.version for each in model.opset_import if each.domain in _OWN_DOMAINS), default=0)


def _check_operators(path: Path, model: Any) -> None:
    """Raise DataError that names, with their counts, the operators that onnx2tf does not have."""
    foreign = Counter(f"{node.domain}.{node.op_type}" for node in model.graph.node if node.domain not in _OWN_DOMAINS)
    if foreign:
        raise DataError(
            f"{path} has custom operators: {_counted(foreign)}; TFLite has none of them: export the model without "
            "them, and leave what they do to the program behind it"
        )
    functions = {function.name for function in model.functions}
    unknown = Counter(
        node.op_type
        for node in model.graph.node
        if node.op_type not in functions and find_spec(f"onnx2tf.ops.{node.op_type}") is None
    )
    if unknown:
        raise DataError(
            f"{path} has operators that cannot be converted: {_counted(unknown)}; export it with another opset "
            "(torch.onnx.export(…, opset_version=17)), replace them in the model, or run it as files.onnx"
        )
    quantized = Counter(node.op_type for node in model.graph.node if node.op_type.startswith((*_QUANTIZED, "QLinear")))
    if quantized:
        raise DataError(
            f"{path} is quantized already ({_counted(quantized)}), and its ranges would be lost; convert the float "
            "model that it was made from, or run it as files.onnx"
        )


def _picture_input(path: Path, model: Any) -> Any:
    import onnx

    constants = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in constants]
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise DataError(f"{path} has {len(inputs)} inputs ({names}), and visiond feeds one picture; export it with one")
    kind = inputs[0].type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(kind).lower()
        raise DataError(f"{path} takes {name}, and a model is converted from float32; export it with a float32 input")
    return inputs[0]


def _channels_first(declared: list[int | None]) -> bool:
    """Whether the input is [batch, channels, height, width], as it is unless only the last axis can be the channels."""
    return len(declared) == 4 and (declared[1] in (1, 3) or declared[3] not in (1, 3))


def _simplified(model: Any, name: str, shape: tuple[int, ...]) -> Any:
    """Fix the input's shape and fold what is constant then; a model that the simplifier refuses goes on as it is."""
    import onnx
    import onnxsim

    try:
        simplified, _ = onnxsim.simplify(model, overwrite_input_shapes={name: list(shape)}, certify=False)
    except (RuntimeError, ValueError, TypeError, onnx.checker.ValidationError) as error:
        print(f"onnxsim: {error}")
        return model
    return simplified


def _convert(path: Path, model: Any, name: str, first: bool, samples: list[NDArray[np.float32]], scratch: Path) -> Any:
    import onnx
    import onnx2tf

    onnx.save(model, str(scratch / "model.onnx"))
    np.save(scratch / _SAMPLES_NAME, _sample_pictures(samples))
    try:
        with contextlib.chdir(scratch):
            return onnx2tf.convert(
                input_onnx_file_path="model.onnx",
                output_folder_path=str(scratch / "onnx2tf"),
                not_use_onnxsim=True,  # done already
                keep_shape_absolutely_input_names=None if first else [name],
                disable_model_save=True,
                verbosity="warn",
            )
    except SystemExit as error:  # its way to say that it gives up; why is in what it printed
        raise DataError(_not_converted(path, error)) from error
    except Exception as error:
        raise DataError(_not_converted(path, error)) from error


def _not_converted(path: Path, error: BaseException) -> str:
    operator = getattr(error, "onnx_op_name", None)
    where = f" at the operator {operator}" if operator else ""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return (
        f"{path} cannot be converted: onnx2tf fails{where} ({text}); export it with another opset, without that "
        "operator, or run it as files.onnx"
    )


def _sample_pictures(samples: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return 20 tensors of 128×128 with three channels, whatever there is."""
    count, height, width = _SAMPLES
    if not samples:
        return np.random.default_rng(0).random((count, height, width, 3), np.float32)
    chosen = [samples[index % len(samples)][0] for index in range(count)]
    resized = [cv2.resize(each, (width, height)).reshape(height, width, -1) for each in chosen]
    return np.stack(
        [np.broadcast_to(each[:, :, :3] if each.shape[2] >= 3 else each, (height, width, 3)) for each in resized]
    )


def _run(model: Any, name: str, values: NDArray[np.float32]) -> list[NDArray[Any]]:
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(each) for each in session.run(None, {name: np.ascontiguousarray(values)})]


def _counted(names: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(names.items()))
