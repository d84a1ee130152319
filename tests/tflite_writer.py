"""Writes small TFLite files, right and wrong ones, with LiteRT's own schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "uint8": schema.TensorType.UINT8,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}


@dataclass(frozen=True)
class Tensor:
    """`quantization` is (scale, zero point); `signature` the shape with -1 for open axes; `constant` its values."""

    name: str
    shape: Sequence[int]
    dtype: str = "uint8"
    quantization: tuple[float, int] | None = None
    signature: Sequence[int] | None = None
    constant: np.ndarray | None = None


@dataclass(frozen=True)
class Operator:
    """`code` is a name of BuiltinOperator, or any other name for a custom operator; tensors by position.

    `options` is one of the schema's …OptionsT, `custom_options` what a custom operator has instead.
    """

    code: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: object | None = None
    custom_options: bytes | None = None


@dataclass
class Graph:
    tensors: list[Tensor] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)

    def pack(self) -> bytes:
        model = schema.ModelT()
        model.version = 3
        model.buffers = [schema.BufferT()]
        subgraph = schema.SubGraphT()
        subgraph.tensors = [self._tensor(model, tensor) for tensor in self.tensors]
        subgraph.inputs, subgraph.outputs = list(self.inputs), list(self.outputs)
        model.operatorCodes, subgraph.operators = [], []
        for operator in self.operators:
            model.operatorCodes.append(_operator_code(operator.code))
            packed = schema.OperatorT()
            packed.opcodeIndex = len(model.operatorCodes) - 1
            packed.inputs, packed.outputs = list(operator.inputs), list(operator.outputs)
            if operator.options is not None:
                packed.builtinOptions = operator.options
                kind = type(operator.options).__name__.removesuffix("T")
                packed.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            if operator.custom_options is not None:
                packed.customOptions = np.frombuffer(operator.custom_options, np.uint8)
            subgraph.operators.append(packed)
        model.subgraphs = [subgraph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def write(self, path: Path) -> Path:
        path.write_bytes(self.pack())
        return path

    def _tensor(self, model: schema.ModelT, tensor: Tensor) -> schema.TensorT:
        packed = schema.TensorT()
        packed.name, packed.shape, packed.type = tensor.name.encode(), list(tensor.shape), TYPES[tensor.dtype]
        if tensor.signature is not None:
            packed.shapeSignature = list(tensor.signature)
        if tensor.quantization is not None:
            parameters = schema.QuantizationParametersT()
            parameters.scale, parameters.zeroPoint = [tensor.quantization[0]], [tensor.quantization[1]]
            packed.quantization = parameters
        packed.buffer = 0
        if tensor.constant is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(tensor.constant.tobytes(), np.uint8)
            model.buffers.append(buffer)
            packed.buffer = len(model.buffers) - 1
        return packed


def reshape(source: Tensor, target: Tensor) -> Graph:
    """A model that hands its input on in another shape: whatever is written comes out, value by value."""
    shape = Tensor("shape", [len(target.shape)], "int32", constant=np.array(target.shape, np.int32))
    return Graph([source, target, shape], [0], [1], [Operator("RESHAPE", [0, 2], [1])])


def _operator_code(name: str) -> schema.OperatorCodeT:
    code = schema.OperatorCodeT()
    builtin = getattr(schema.BuiltinOperator, name, None)
    code.version = 1
    code.builtinCode = schema.BuiltinOperator.CUSTOM if builtin is None else builtin
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    if builtin is None:
        code.customCode = name.encode()
    return code
