"""Walks through the graph of an .onnx file once, from its first byte to its last, and gathers what is in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from visiond.modelkit import onnx_schema as schema
from visiond.modelkit.file_bytes import Damaged, Region
from visiond.modelkit.onnx_model import STANDARD, OnnxValue, OperatorKind
from visiond.modelkit.onnx_value import read_value
from visiond.modelkit.protobuf import Field, fields, message, number, text
from visiond.modelkit.tflite_model import printable

_MAX_DEPTH: Final = 16  # graphs within operators within graphs
_MAX_KINDS: Final = 4096  # of operators; the standard has 200
_MAX_OPERATORS: Final = 200_000  # ten times those of the largest models
_MAX_VALUES: Final = 1024  # inputs and outputs, and files of weights
_SCALAR_BYTES: Final = 64  # a constant that holds one number, with its name, is not much longer
_WITH_GRAPHS: Final = ("If", "Loop", "Scan", "SequenceMap")  # the standard's operators that have graphs in them
_QUANTIZE: Final = OperatorKind(STANDARD, "QuantizeLinear")
_DEQUANTIZE: Final = OperatorKind(STANDARD, "DequantizeLinear")


@dataclass(slots=True)
class Findings:
    """What is gathered meanwhile."""

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


def add_opset(opsets: dict[str, int], value: Field) -> None:
    """Add a domain of operators with the version that the file uses; the first one counts."""
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


def read_function(region: Region, found: Findings, opsets: dict[str, int]) -> None:
    """Gather what is in a function, which is made of operators, and is called like one."""
    name, domain = "", STANDARD
    for slot, value in fields(region):
        if slot == schema.FUNCTION_NAME:
            name = printable(text(value))
        elif slot == schema.FUNCTION_DOMAIN:
            domain = _domain(value)
        elif slot == schema.FUNCTION_NODES:
            _read_node(message(value), found, 0)
        elif slot == schema.FUNCTION_OPSETS:
            add_opset(opsets, value)
    if len(found.functions) < _MAX_KINDS:
        found.functions.add(OperatorKind(domain, name))


def read_graph(region: Region, found: Findings, depth: int) -> tuple[list[OnnxValue], list[OnnxValue]]:
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
            values[slot].append(read_value(message(value)))
            _check_count(len(values[slot]), _MAX_VALUES, "inputs or outputs")
    return values[schema.GRAPH_INPUTS], values[schema.GRAPH_OUTPUTS]


def _read_node(region: Region, found: Findings, depth: int) -> None:
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


def _read_attribute(region: Region, found: Findings, depth: int, output: str) -> None:
    """Look for graphs, and for constants, which become `output`."""
    for slot, value in fields(region):
        if slot in (schema.ATTRIBUTE_GRAPH, schema.ATTRIBUTE_GRAPHS):
            read_graph(message(value), found, depth + 1)
        elif slot == schema.ATTRIBUTE_TENSOR:
            _read_constant(message(value), found, output)


def _read_constant(region: Region, found: Findings, name: str = "") -> None:
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
