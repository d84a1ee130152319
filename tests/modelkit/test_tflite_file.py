"""The own reader of TFLite files says the same as LiteRT's own schema, of real files and of written ones."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as litert

from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.errors import DataError, NoInputError
from visiond.modelkit import tflite_schema as schema
from visiond.modelkit.tflite_file import open_model
from visiond.modelkit.tflite_model import TensorFacts, printable

MODELS = [
    "coco_ssd_mobilenet_v1_1.0_quant",
    "deeplabv3_mnv2_dm05_pascal_quant",
    "mobilenet_v1_0.25_128_quant",
    "mobilenet_v1_0.25_128_quant_edgetpu",
    "mobilenet_v2_1.0_224_quant",
    "movenet_single_pose_lightning_ptq",
    "tf2_mobilenet_v2_1.0_224_ptq",
    "yolov8n_full_integer_quant",
    "yolov8n_full_integer_quant_edgetpu",
]


def slot(table: str, accessor: str) -> int:
    """The slot of a field as LiteRT's generated code has it: 4 is slot 0, and two more for each next one."""
    source = inspect.getsource(getattr(getattr(litert, table), accessor))
    found = re.search(r"Offset\((\d+)\)", source)
    assert found is not None
    return (int(found[1]) - 4) // 2


def names(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if isinstance(value, int) and not name.startswith("__")}


def test_names_are_those_of_litert() -> None:
    assert dict(enumerate(schema.OPERATORS)) == names(litert.BuiltinOperator)
    assert dict(enumerate(schema.TYPES)) == {k: v.lower() for k, v in names(litert.TensorType).items()}
    activations = names(litert.ActivationFunctionType)
    assert dict(enumerate(schema.ACTIVATIONS)) == {**activations, 0: "none"}


@pytest.mark.parametrize(
    ("number", "table", "accessor"),
    [
        (schema.MODEL_OPERATOR_CODES, "Model", "OperatorCodes"),
        (schema.MODEL_SUBGRAPHS, "Model", "Subgraphs"),
        (schema.MODEL_DESCRIPTION, "Model", "Description"),
        (schema.MODEL_BUFFERS, "Model", "Buffers"),
        (schema.CODE_VERSION, "OperatorCode", "Version"),
        (schema.QUANTIZATION_AXIS, "QuantizationParameters", "QuantizedDimension"),
        (schema.TENSOR_SHAPE_SIGNATURE, "Tensor", "ShapeSignature"),
        (schema.OPERATOR_OPTIONS, "Operator", "BuiltinOptions"),
        (schema.OPERATOR_LARGE_OPTIONS_OFFSET, "Operator", "LargeCustomOptionsOffset"),
        (schema.OPERATOR_LARGE_OPTIONS_SIZE, "Operator", "LargeCustomOptionsSize"),
        (schema.BUFFER_OFFSET, "Buffer", "Offset"),
        (schema.BUFFER_SIZE, "Buffer", "Size"),
        (schema.POOL_ACTIVATION, "Pool2DOptions", "FusedActivationFunction"),
        (schema.CONCATENATION_ACTIVATION, "ConcatenationOptions", "FusedActivationFunction"),
        (schema.CONV_DILATION[0], "Conv2DOptions", "DilationWFactor"),
        (schema.CONV_DILATION[1], "Conv2DOptions", "DilationHFactor"),
        (schema.DEPTHWISE_CONV_DILATION[0], "DepthwiseConv2DOptions", "DilationWFactor"),
        (schema.DEPTHWISE_CONV_DILATION[1], "DepthwiseConv2DOptions", "DilationHFactor"),
        (schema.FULLY_CONNECTED_WEIGHTS_FORMAT, "FullyConnectedOptions", "WeightsFormat"),
        (schema.PACK_AXIS, "PackOptions", "Axis"),
        (schema.STRIDED_SLICE_ELLIPSIS_MASK, "StridedSliceOptions", "EllipsisMask"),
        (schema.STRIDED_SLICE_NEW_AXIS_MASK, "StridedSliceOptions", "NewAxisMask"),
    ],
)
def test_slots_are_those_of_litert(number: int, table: str, accessor: str) -> None:
    assert number == slot(table, accessor)


@pytest.mark.assets
@pytest.mark.parametrize("name", MODELS)
def test_real_files_read_as_with_litert(assets: Path, name: str) -> None:
    path = assets / "models" / f"{name}.tflite"
    theirs = litert.ModelT.InitFromObj(litert.Model.GetRootAs(path.read_bytes()))
    graph = theirs.subgraphs[0]
    with open_model(path) as model:
        assert model.description == theirs.description.decode()
        assert (list(model.inputs), list(model.outputs)) == (list(graph.inputs), list(graph.outputs))
        assert len(model.tensors) == len(graph.tensors)
        for facts, tensor in zip(model.tensors, graph.tensors, strict=True):
            check_tensor(facts, tensor, theirs)
        assert len(model.operators) == len(graph.operators)
        for operator, other in zip(model.operators, graph.operators, strict=True):
            code = theirs.operatorCodes[other.opcodeIndex]
            number = max(code.builtinCode, code.deprecatedBuiltinCode)
            assert operator.name == (code.customCode.decode() if operator.is_custom else schema.OPERATORS[number])
            assert operator.version == code.version
            assert list(operator.inputs) == list(other.inputs)
            assert list(operator.outputs) == list(other.outputs)
            size = 0 if operator.custom_options is None else operator.custom_options.size
            assert size == (0 if other.customOptions is None else len(other.customOptions))
        constants = {tensor.buffer for tensor in graph.tensors}
        data = [theirs.buffers[index].data for index in constants]
        assert model.parameter_bytes == sum(len(each) for each in data if each is not None)


def check_tensor(facts: TensorFacts, tensor: litert.TensorT, model: litert.ModelT) -> None:
    assert facts.name == printable(tensor.name.decode())
    assert list(facts.shape) == ([] if tensor.shape is None else list(tensor.shape))
    assert facts.dtype == schema.TYPES[tensor.type]
    data = model.buffers[tensor.buffer].data
    assert facts.constant_bytes == (0 if data is None else len(data))
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    count = 0 if scales is None else len(scales)
    assert facts.scales == count
    if count == 1:
        assert facts.scale == pytest.approx(float(scales[0]), rel=1e-7)
        assert facts.zero_point == int(tensor.quantization.zeroPoint[0])
    else:
        assert facts.scale is None


def test_small_constants_are_read_and_others_are_not(tmp_path: Path) -> None:
    source, target = Tensor("in", [1, 4], "int8", (0.5, -3)), Tensor("out", [2, 2], "int8", (0.5, -3))
    graph = reshape(source, target)
    graph.tensors += [Tensor("big", [5000], "int32", constant=np.arange(5000, dtype=np.int32))]
    graph.tensors += [Tensor("real", [2], "float32", constant=np.zeros(2, np.float32))]
    with open_model(graph.write(tmp_path / "m.tflite")) as model:
        assert model.values(model.tensors[2]) == (2, 2)
        assert model.values(model.tensors[3]) is None
        assert model.values(model.tensors[4]) is None
        assert model.values(model.tensors[0]) is None
        assert model.tensors[0].real_range == (-62.5, 65.0)
        assert model.parameter_bytes == 8 + 20_000 + 8


def test_open_shapes_show(tmp_path: Path) -> None:
    source, target = Tensor("in", [1, 4], signature=[-1, 4]), Tensor("out", [4])
    with open_model(reshape(source, target).write(tmp_path / "m.tflite")) as model:
        assert model.tensors[0].is_dynamic
        assert model.tensors[0].open_shape == (-1, 4)
        assert not model.tensors[1].is_dynamic


def test_names_are_put_on_one_line_and_cut(tmp_path: Path) -> None:
    graph = Graph([Tensor("a\nb\x1b[31m" + "x" * 500, [1]), Tensor("out", [1])], [0], [1], [Operator("RELU", [0], [1])])
    with open_model(graph.write(tmp_path / "m.tflite")) as model:
        name = model.tensors[0].name
    assert name.isprintable()
    assert name.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(name) == 201


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras or HDF5"),
        (b"PK\x03\x04" + bytes(64), "zip archive"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x08\x08\x12\x07pytorch\x1a\x05" + bytes(64), "ONNX"),
        (b"hello, I am a text", "is no TFLite model"),
        (b"\x1c\0\0\0TFL3", "is a damaged TFLite model"),
    ],
)
def test_what_is_no_model_is_called_by_its_name(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words), open_model(path):
        pass


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "none", tmp_path, tmp_path / "fifo", Path("/dev/zero"), Path("/proc/self/mem")):
        with pytest.raises(NoInputError, match=r"; give the path of a \.tflite or \.onnx file"), open_model(path):
            pass
