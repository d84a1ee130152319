"""Reads an .onnx file's structure without a runtime and without the package `onnx`; the weights stay where they are.

Pure Python, so that the command line and the daemon's own process can look into a file that nobody has tried yet.
"""

from __future__ import annotations

import math
import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from visiond.errors import DataError, NoInputError
from visiond.modelkit import onnx_schema as schema
from visiond.modelkit.file_bytes import Damaged, FileBytes, Region, cannot_read
from visiond.modelkit.onnx_model import STANDARD, Axis, OnnxModel, OnnxValue, OperatorKind
from visiond.modelkit.protobuf import Field, fields, message, number, numbers, text
from visiond.modelkit.tflite_model import printable

IR_TAG: Final = b"\x08"  # the first field of nearly every file: ir_version
_HEAD_BYTES: Final = 16
_MAX_DEPTH: Final = 16  # graphs within operators within graphs
_MAX_RANK: Final = 16
_MAX_KINDS: Final = 4096  # of operators; the standard has 200
_MAX_OPERATORS: Final = 200_000  # ten times those of the largest models
_MAX_VALUES: Final = 1024  # inputs and outputs, and files of weights
_MAX_READ_BYTES: Final = 16 << 20  # heads of fields; a model of 20,000 operators needs 4 MB
_SCALAR_BYTES: Final = 64  # a constant that holds one number, with its name, is not much longer
_WITH_GRAPHS: Final = ("If", "Loop", "Scan", "SequenceMap")  # the standard's operators that have graphs in them
_QUANTIZE: Final = OperatorKind(STANDARD, "QuantizeLinear")
_DEQUANTIZE: Final = OperatorKind(STANDARD, "DequantizeLinear")


@contextmanager
def open_onnx(path: Path) -> Iterator[OnnxModel]:
    """Read an .onnx file's structure. Raises NoInputError where there is no file, DataError where it is no model."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for its writer
    except OSError as error:
        raise NoInputError(cannot_read(path, error)) from error
    head = b""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NoInputError(f"{path} is not a regular file; give the path of a .tflite or .onnx file")
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        yield _read(Region(FileBytes(descriptor, _MAX_READ_BYTES)))
    except Damaged as error:
        raise DataError(f"{path} {_what_instead(head, error)}") from error
    except OSError as error:
        raise NoInputError(cannot_read(path, error)) from error
    finally:
        os.close(descriptor)


def looks_like_onnx(path: Path) -> bool:
    """Whether to read the file as ONNX: by its first bytes, and by its name where they tell nothing."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return False  # whoever opens it says why
    if head[4:8] == b"TFL3":
        return False
    return path.suffix == ".onnx" or (head[:1] == IR_TAG and head[2:3] in (b"\x12", b":"))


def _what_instead(head: bytes, error: Damaged) -> str:
    if not head:
        return "is empty; copy it again"
    if head[4:8] == b"TFL3":
        return "is a TFLite model, not ONNX; give it as files.cpu"
    if head.startswith(b"version https"):
        return "is a Git LFS pointer, not the model itself; fetch it with git lfs pull"
    if head.startswith(b"PK"):
        return "is a zip archive (PyTorch's own format, perhaps), not ONNX; export it with torch.onnx.export"
    if head[:1] == IR_TAG:
        return f"is a damaged ONNX model: {error}; copy or export it again"
    return f"is no ONNX model ({error}); copy or export it again"


@dataclass(slots=True)
class _Findings:
    """What is gathered while the file is walked through once, from its first byte to its last."""

    operators: Counter[OperatorKind] = field(default_factory=Counter)
    functions: set[OperatorKind] = field(default_factory=set)
    constants: dict[str, Region] = field(default_factory=dict)  # those that may hold a single number
    constant_names: set[str] = field(default_factory=set)
    dequantized: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what goes in → inputs of the operator
    quantized: dict[str, tuple[str, ...]] = field(default_factory=dict)  # what comes out → inputs of the operator
    external: dict[str, None] = field(default_factory=dict)  # in order
    constant_bytes: int = 0
    operator_count: int = 0
    constant_count: int = 0


def _check_count(count: int, most: int, what: str) -> None:
    if count > most:
        raise Damaged(f"it has more than {most} {what}")


def _read(region: Region) -> OnnxModel:
    found = _Findings()
    head: dict[int, Field] = {}
    opsets: dict[str, int] = {}
    for slot, value in fields(region):
        if slot == schema.MODEL_OPSETS:
            _add_opset(opsets, value)
        elif slot == schema.MODEL_FUNCTIONS:
            _read_function(message(value), found, opsets)
        else:
            head[slot] = value  # the last one counts, as everywhere in this format
    graph = head.get(schema.MODEL_GRAPH)
    if graph is None:
        raise Damaged("it holds no graph")
    inputs, outputs = _read_graph(message(graph), found, 0)
    for kind in found.functions:
        found.operators.pop(kind, None)
    producer = [text(head[slot]) for slot in (schema.MODEL_PRODUCER, schema.MODEL_PRODUCER_VERSION) if slot in head]
    return OnnxModel(
        size=region.size,
        producer=printable(" ".join(producer).strip()),
        ir_version=number(head.get(schema.MODEL_IR_VERSION, 0)),
        opsets=opsets,
        # Old files list their weights among the inputs.
        inputs=tuple(_quantized(v, found, found.dequantized) for v in inputs if v.name not in found.constant_names),
        outputs=tuple(_quantized(v, found, found.quantized) for v in outputs),
        operators=dict(found.operators.most_common()),
        constant_bytes=found.constant_bytes,
        external_files=tuple(found.external),
    )


def _add_opset(opsets: dict[str, int], value: Field) -> None:
    domain, version = STANDARD, 0
    for slot, each in fields(message(value)):
        if slot == schema.OPSET_DOMAIN:
            domain = _domain(each)
        elif slot == schema.OPSET_VERSION:
            version = number(each)
    if len(opsets) < _MAX_KINDS:
        opsets.setdefault(domain, version)


def _domain(value: Field) -> str:
    name = printable(text(value))
    return STANDARD if name == "ai.onnx" else name


def _read_function(region: Region, found: _Findings, opsets: dict[str, int]) -> None:
    """A function is made of operators, and is called like one."""
    name, domain = "", STANDARD
    for slot, value in fields(region):
        if slot == schema.FUNCTION_NAME:
            name = printable(text(value))
        elif slot == schema.FUNCTION_DOMAIN:
            domain = _domain(value)
        elif slot == schema.FUNCTION_NODES:
            _read_node(message(value), found, 0)
        elif slot == schema.FUNCTION_OPSETS:
            _add_opset(opsets, value)
    if len(found.functions) < _MAX_KINDS:
        found.functions.add(OperatorKind(domain, name))


def _read_graph(region: Region, found: _Findings, depth: int) -> tuple[list[OnnxValue], list[OnnxValue]]:
    """Gather what is in a graph; return its inputs and outputs."""
    if depth > _MAX_DEPTH:
        raise Damaged(f"graphs lie within each other more than {_MAX_DEPTH} deep")
    values: dict[int, list[OnnxValue]] = {schema.GRAPH_INPUTS: [], schema.GRAPH_OUTPUTS: []}
    for slot, value in fields(region):
        if slot == schema.GRAPH_NODES:
            _read_node(message(value), found, depth)
        elif slot == schema.GRAPH_CONSTANTS:
            _read_constant(message(value), found)
        elif slot in values and depth == 0:
            values[slot].append(_value(message(value)))
            _check_count(len(values[slot]), _MAX_VALUES, "inputs or outputs")
    return values[schema.GRAPH_INPUTS], values[schema.GRAPH_OUTPUTS]


def _read_node(region: Region, found: _Findings, depth: int) -> None:
    names: dict[int, list[str]] = {schema.NODE_INPUTS: [], schema.NODE_OUTPUTS: []}
    name, domain = "", STANDARD
    attributes: list[Region] = []
    for slot, value in fields(region):
        if slot in names and len(names[slot]) < _MAX_VALUES:
            names[slot].append(text(value))
        elif slot == schema.NODE_OPERATOR:
            name = printable(text(value))
        elif slot == schema.NODE_DOMAIN:
            domain = _domain(value)
        elif slot == schema.NODE_ATTRIBUTES:
            attributes.append(message(value))
    kind = OperatorKind(domain, name)
    found.operators[kind] += 1
    found.operator_count += 1
    _check_count(len(found.operators), _MAX_KINDS, "kinds of operators")
    _check_count(found.operator_count, _MAX_OPERATORS, "operators")
    inputs, outputs = tuple(names[schema.NODE_INPUTS]), names[schema.NODE_OUTPUTS]
    if kind == _DEQUANTIZE and inputs:
        found.dequantized.setdefault(inputs[0], inputs)
    elif kind == _QUANTIZE and outputs:
        found.quantized.setdefault(outputs[0], inputs)
    if domain != STANDARD or name == "Constant" or name in _WITH_GRAPHS:
        for attribute in attributes:
            _read_attribute(attribute, found, depth, outputs[0] if outputs else "")


def _read_attribute(region: Region, found: _Findings, depth: int, output: str) -> None:
    """Look for graphs, and for constants, which become `output`."""
    for slot, value in fields(region):
        if slot in (schema.ATTRIBUTE_GRAPH, schema.ATTRIBUTE_GRAPHS):
            _read_graph(message(value), found, depth + 1)
        elif slot == schema.ATTRIBUTE_TENSOR:
            _read_constant(message(value), found, output)


def _read_constant(region: Region, found: _Findings, name: str = "") -> None:
    """Count its bytes; `name` is that of the operator's output which it becomes, else it has its own."""
    for slot, value in fields(region):
        if slot in schema.TENSOR_DATA and isinstance(value, Region):
            found.constant_bytes += value.size
        elif slot == schema.TENSOR_NAME and not name:
            name = text(value)
        elif slot == schema.TENSOR_EXTERNAL and len(found.external) < _MAX_VALUES:
            entry = dict(fields(message(value)))
            if (
                schema.ENTRY_KEY in entry
                and schema.ENTRY_VALUE in entry
                and text(entry[schema.ENTRY_KEY]) == "location"
            ):
                found.external.setdefault(printable(text(entry[schema.ENTRY_VALUE])))
    found.constant_names.add(name)
    found.constant_count += 1
    _check_count(found.constant_count, _MAX_OPERATORS, "constants")
    if region.size <= _SCALAR_BYTES + len(name):
        found.constants[name] = region


def _value(region: Region) -> OnnxValue:
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


def _quantized(value: OnnxValue, found: _Findings, operators: dict[str, tuple[str, ...]]) -> OnnxValue:
    """Return an integer input or output with what its numbers stand for."""
    inputs = operators.get(value.name, ())
    if len(inputs) < 2 or value.dtype not in ("uint8", "int8", "uint16", "int16"):
        return value
    scale = _scalar(found.constants.get(inputs[1]))
    zero_point = _scalar(found.constants.get(inputs[2])) if len(inputs) > 2 and inputs[2] else 0
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
