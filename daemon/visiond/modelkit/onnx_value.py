"""Inputs and outputs of an .onnx file: their types, and, where they are whole numbers, what these stand for."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from visiond.modelkit import onnx_schema as schema
from visiond.modelkit.file_bytes import Damaged, Region
from visiond.modelkit.onnx_model import Axis, OnnxValue
from visiond.modelkit.protobuf import fields, message, number, numbers, text
from visiond.modelkit.tflite_model import printable

_MAX_RANK: Final = 16


def read_value(region: Region) -> OnnxValue:
    """Return an input or output as it is declared."""
    name, dtype = "", "unknown"
    axes: list[Axis] = []
    for slot, value in fields(region):
        if slot == schema.VALUE_NAME:
            name = text(value)
        elif slot == schema.VALUE_TYPE:
            for key, each in fields(message(value)):
                if key == schema.TYPE_TENSOR:
                    dtype, axes = _tensor_type(message(each))
    return OnnxValue(printable(name), dtype, tuple(axes))


def _tensor_type(region: Region) -> tuple[str, list[Axis]]:
    dtype = "undefined"
    axes: list[Axis] = []
    for slot, value in fields(region):
        if slot == schema.TENSOR_TYPE_ELEMENT:
            code = number(value)
            dtype = schema.TYPES[code] if 0 <= code < len(schema.TYPES) else f"type {code}"
        elif slot == schema.TENSOR_TYPE_SHAPE:
            axes = [_axis(message(each)) for key, each in fields(message(value)) if key == schema.SHAPE_AXES]
            if len(axes) > _MAX_RANK:
                raise Damaged(f"a tensor has {len(axes)} axes")
    return dtype, axes


def _axis(region: Region) -> Axis:
    axis: Axis = None
    for slot, value in fields(region):
        if slot == schema.AXIS_LENGTH:
            axis = number(value)
        elif slot == schema.AXIS_NAME:
            axis = printable(text(value)) or None
    return axis


def with_quantization(value: OnnxValue, inputs: Sequence[str], constants: Mapping[str, Region]) -> OnnxValue:
    """Return an integer input or output with what its numbers stand for.

    `inputs`: those of the QuantizeLinear or DequantizeLinear beside it, which are the value, its scale and zero point.
    """
    if len(inputs) < 2 or value.dtype not in ("uint8", "int8", "uint16", "int16"):
        return value
    scale = _scalar(constants.get(inputs[1]))
    zero_point = _scalar(constants.get(inputs[2])) if len(inputs) > 2 and inputs[2] else 0
    if scale is None or zero_point is None or not (math.isfinite(scale) and scale > 0):
        return value
    return replace(value, scale=scale, zero_point=int(zero_point))


def _scalar(region: Region | None) -> float | None:
    """Return a constant of one number; None for another one."""
    if region is None:
        return None
    sides: list[int] = []
    values = dict(fields(region))
    for slot, value in fields(region):
        if slot == schema.TENSOR_SIDES:
            sides += numbers(value, _MAX_RANK)
    dtype = number(values.get(schema.TENSOR_ELEMENT, 0))
    if math.prod(sides) != 1 or not 0 <= dtype < len(schema.TYPES):
        return None
    code = {"float32": "f", "float16": "e", "float64": "d", "uint8": "B", "int8": "b", "uint16": "H", "int16": "h"}
    layout = code.get(schema.TYPES[dtype])
    raw = values.get(schema.TENSOR_RAW, values.get(schema.TENSOR_FLOATS))
    if layout is not None and isinstance(raw, Region) and raw.size == struct.calcsize(f"<{layout}"):
        return float(struct.unpack(f"<{layout}", raw.read(0, raw.size))[0])
    whole = values.get(schema.TENSOR_INTEGERS)
    found = [] if whole is None or schema.TYPES[dtype].startswith("float") else numbers(whole, 2)
    return float(found[0]) if len(found) == 1 else None
