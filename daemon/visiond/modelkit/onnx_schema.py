"""Numbers of the fields of an .onnx file that are read here: onnx/onnx.proto of ONNX 1.23, which old files share."""

from __future__ import annotations

from typing import Final

MODEL_IR_VERSION: Final = 1
MODEL_PRODUCER: Final = 2
MODEL_PRODUCER_VERSION: Final = 3
MODEL_GRAPH: Final = 7
MODEL_OPSETS: Final = 8
MODEL_FUNCTIONS: Final = 25

OPSET_DOMAIN: Final = 1
OPSET_VERSION: Final = 2

GRAPH_NODES: Final = 1
GRAPH_CONSTANTS: Final = 5
GRAPH_INPUTS: Final = 11
GRAPH_OUTPUTS: Final = 12

FUNCTION_NAME: Final = 1
FUNCTION_NODES: Final = 7
FUNCTION_OPSETS: Final = 9
FUNCTION_DOMAIN: Final = 10

NODE_INPUTS: Final = 1
NODE_OUTPUTS: Final = 2
NODE_OPERATOR: Final = 4
NODE_ATTRIBUTES: Final = 5
NODE_DOMAIN: Final = 7

ATTRIBUTE_TENSOR: Final = 5
ATTRIBUTE_GRAPH: Final = 6
ATTRIBUTE_GRAPHS: Final = 11

VALUE_NAME: Final = 1
VALUE_TYPE: Final = 2
TYPE_TENSOR: Final = 1
TENSOR_TYPE_ELEMENT: Final = 1
TENSOR_TYPE_SHAPE: Final = 2
SHAPE_AXES: Final = 1
AXIS_LENGTH: Final = 1
AXIS_NAME: Final = 2

TENSOR_SIDES: Final = 1
TENSOR_ELEMENT: Final = 2
TENSOR_FLOATS: Final = 4
TENSOR_INTEGERS: Final = 5
TENSOR_NAME: Final = 8
TENSOR_RAW: Final = 9
TENSOR_EXTERNAL: Final = 13
TENSOR_DATA: Final = (4, 5, 6, 7, 9, 10, 11)  # the fields that may hold its values

ENTRY_KEY: Final = 1
ENTRY_VALUE: Final = 2

TYPES: Final = (
    "undefined",
    *("float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64"),
    *("uint32", "uint64", "complex64", "complex128", "bfloat16"),
    *("float8e4m3fn", "float8e4m3fnuz", "float8e5m2", "float8e5m2fnuz", "uint4", "int4", "float4e2m1"),
)
