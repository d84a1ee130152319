"""Reads a .tflite file's structure without a runtime; the weights stay where they are.

Pure Python, so that the command line and the daemon's own process can look into a file that nobody has tried yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from visiond.modelkit import tflite_schema as schema
from visiond.modelkit.file_bytes import Damaged, Region, open_region
from visiond.modelkit.flatbuffer import Table, root
from visiond.modelkit.tflite_model import OperatorFacts, TensorFacts, TfliteModel, printable

_MAX_RANK: Final = 16


@contextmanager
def open_model(path: Path) -> Iterator[TfliteModel]:
    """Read a .tflite file's structure; the file stays open meanwhile.

    Raises NoInputError where there is no file to be read, and DataError, also from within, where it is no model.
    """
    with open_region(path, _what_instead) as region:
        yield _read(region)


def _what_instead(head: bytes, error: Damaged) -> str:
    """Say what a file that is no model is, from its first bytes, and what to do."""
    if not head:
        return "is empty; copy it again"
    if head[4:8] == schema.IDENTIFIER:
        return f"is a damaged TFLite model: {error}; copy or convert it again"
    if head.startswith(b"\x89HDF"):
        return "is a Keras or HDF5 file, not a TFLite model; convert it to TFLite first"
    if head.startswith(b"PK"):
        return "is a zip archive (a .keras file, perhaps), not a TFLite model; convert or unpack it first"
    if head.startswith(b"version https"):
        return "is a Git LFS pointer, not the model itself; fetch it with git lfs pull"
    if head[:1] == b"\x08" and (b"\x12" in head or b":" in head):
        return "looks like ONNX or another protocol buffer, not a TFLite model; ONNX runs as files.onnx"
    return "is no TFLite model (bytes 4 to 8 are not TFL3); give the .tflite file itself"


def _read(region: Region) -> TfliteModel:
    model = root(region, schema.IDENTIFIER)
    codes = [_code(code) for code in model.tables(schema.MODEL_OPERATOR_CODES)]
    buffers = tuple(_buffer(region, buffer) for buffer in model.tables(schema.MODEL_BUFFERS))
    graph = next(model.tables(schema.MODEL_SUBGRAPHS), None)
    if graph is None:
        raise Damaged("it holds no graph")
    tensors, buffer_of = [], []
    for index, table in enumerate(graph.tables(schema.GRAPH_TENSORS)):
        buffer = table.number(schema.TENSOR_BUFFER, "I")
        if buffer >= len(buffers) and buffer:
            raise Damaged(f"tensor {index} lies in buffer {buffer} of {len(buffers)}")
        data = buffers[buffer] if buffer < len(buffers) else None
        tensors.append(_tensor(index, table, 0 if data is None else data.size))
        buffer_of.append(buffer)
    found = TfliteModel(
        size=region.size,
        description=printable(model.text(schema.MODEL_DESCRIPTION)),
        subgraphs=model.count(schema.MODEL_SUBGRAPHS),
        tensors=tuple(tensors),
        inputs=_indices(graph.numbers(schema.GRAPH_INPUTS, "i"), len(tensors), "an input"),
        outputs=_indices(graph.numbers(schema.GRAPH_OUTPUTS, "i"), len(tensors), "an output"),
        operators=tuple(
            _operator(region, index, table, codes, len(tensors))
            for index, table in enumerate(graph.tables(schema.GRAPH_OPERATORS))
        ),
        _buffers=buffers,
        _buffer_of=tuple(buffer_of),
    )
    if any(index < 0 for index in (*found.inputs, *found.outputs)):
        raise Damaged("an input or output of the graph is no tensor")
    return found


def _code(table: Table) -> tuple[str, int, bool]:
    """Return name, version, and whether it is custom. Old files have the number in a byte, which ends at 127."""
    old = table.number(schema.CODE_DEPRECATED_BUILTIN, "b")
    number = max(old, table.number(schema.CODE_BUILTIN, "i"))
    version = table.number(schema.CODE_VERSION, "i", 1)
    if number == schema.CUSTOM:
        return printable(table.text(schema.CODE_CUSTOM)) or "a custom operator without a name", version, True
    known = 0 <= number < len(schema.OPERATORS)
    return schema.OPERATORS[number] if known else f"operator {number}", version, False


def _buffer(region: Region, table: Table) -> Region | None:
    """Return a buffer's data, None where it has none; those of files beyond 2 GB lie behind the flatbuffer."""
    offset = table.number(schema.BUFFER_OFFSET, "Q")
    if offset > 1:  # 1 is a mark that the data has not been placed yet
        return region.part(offset, table.number(schema.BUFFER_SIZE, "Q"))
    data = table.region(schema.BUFFER_DATA)
    return data if data is not None and data.size else None


def _tensor(index: int, table: Table, constant_bytes: int) -> TensorFacts:
    number = table.number(schema.TENSOR_TYPE, "b")
    if table.count(schema.TENSOR_SHAPE) > _MAX_RANK:
        raise Damaged(f"tensor {index} has {table.count(schema.TENSOR_SHAPE)} axes")
    scale = zero_point = None
    scales = axis = 0
    quantization = table.table(schema.TENSOR_QUANTIZATION)
    if quantization is not None:
        scales = quantization.count(schema.QUANTIZATION_SCALE)
        axis = quantization.number(schema.QUANTIZATION_AXIS, "i")
        if scales == 1:
            scale = float(quantization.numbers(schema.QUANTIZATION_SCALE, "f")[0])
            zero_points = quantization.numbers(schema.QUANTIZATION_ZERO_POINT, "q")
            zero_point = int(zero_points[0]) if zero_points else 0
            if not (math.isfinite(scale) and scale > 0):  # as LiteRT has it: no parameters
                scale, zero_point, scales = None, None, 0
    return TensorFacts(
        index=index,
        name=printable(table.text(schema.TENSOR_NAME)),
        shape=table.numbers(schema.TENSOR_SHAPE, "i"),
        dtype=schema.TYPES[number] if 0 <= number < len(schema.TYPES) else f"type {number}",
        scale=scale,
        zero_point=zero_point,
        scales=scales,
        axis=axis,
        open_shape=table.numbers(schema.TENSOR_SHAPE_SIGNATURE, "i"),
        constant_bytes=constant_bytes,
    )


def _operator(
    region: Region, index: int, table: Table, codes: list[tuple[str, int, bool]], tensors: int
) -> OperatorFacts:
    code = table.number(schema.OPERATOR_CODE, "I")
    if code >= len(codes):
        raise Damaged(f"operator {index} is of kind {code} of {len(codes)}")
    name, version, is_custom = codes[code]
    custom_options = table.region(schema.OPERATOR_CUSTOM_OPTIONS) if is_custom else None
    offset = table.number(schema.OPERATOR_LARGE_OPTIONS_OFFSET, "Q")
    if is_custom and offset > 1:
        custom_options = region.part(offset, table.number(schema.OPERATOR_LARGE_OPTIONS_SIZE, "Q"))
    return OperatorFacts(
        index=index,
        name=name,
        version=version,
        inputs=_indices(table.numbers(schema.OPERATOR_INPUTS, "i"), tensors, f"an input of operator {index}"),
        outputs=_indices(table.numbers(schema.OPERATOR_OUTPUTS, "i"), tensors, f"an output of operator {index}"),
        is_custom=is_custom,
        options=table.table(schema.OPERATOR_OPTIONS),
        custom_options=custom_options,
    )


def _indices(numbers: tuple[int, ...], count: int, what: str) -> tuple[int, ...]:
    for number in numbers:
        if not -1 <= number < count:
            raise Damaged(f"{what} is tensor {number} of {count}")
    return numbers
