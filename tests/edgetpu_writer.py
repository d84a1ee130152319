"""Writes what edgetpu_compiler puts into a model, small, with sizes of one's choice; nothing of it runs on a chip."""

from __future__ import annotations

import flatbuffers
from flatbuffers import flexbuffers

from tflite_writer import Graph, Operator, Tensor

PARAMETERS, TYPE = 6, 13  # slots of Executable, in libedgetpu's executable.fbs
STAND_ALONE, PARAMETER_CACHING, EXECUTION_ONLY = 0, 1, 2


def executable(kind: int, parameter_bytes: int) -> bytes:
    builder = flatbuffers.Builder(64)
    parameters = builder.CreateByteVector(bytes(parameter_bytes))
    builder.StartObject(18)
    builder.PrependUOffsetTRelativeSlot(PARAMETERS, parameters, 0)
    builder.PrependInt16Slot(TYPE, kind, STAND_ALONE)
    builder.Finish(builder.EndObject())
    return bytes(builder.Output())


def package(executables: list[bytes], min_runtime_version: int = 14) -> bytes:
    inner = flatbuffers.Builder(64)
    offsets = [inner.CreateString(each) for each in executables]
    inner.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        inner.PrependUOffsetTRelative(offset)
    vector = inner.EndVector()
    inner.StartObject(1)
    inner.PrependUOffsetTRelativeSlot(0, vector, 0)
    inner.Finish(inner.EndObject())
    builder = flatbuffers.Builder(64)
    multi = builder.CreateByteVector(bytes(inner.Output()))
    builder.StartObject(8)
    builder.PrependInt32Slot(0, min_runtime_version, 0)
    builder.PrependUOffsetTRelativeSlot(1, multi, 0)
    builder.Finish(builder.EndObject(), b"DWN1")
    return bytes(builder.Output())


def custom_options(content: bytes) -> bytes:
    builder = flexbuffers.Builder()
    with builder.Map():
        builder.Int("1", 1)
        builder.Blob("4", content)
        builder.Int("5", 0)
    return bytes(builder.Finish())


def compiled(cached_bytes: int, streamed_bytes: int, tensors: list[Tensor]) -> Graph:
    """A model that is one operator for the chip, from the first tensor to the second."""
    executables = [executable(PARAMETER_CACHING, cached_bytes), executable(EXECUTION_ONLY, streamed_bytes)]
    options = custom_options(package(executables))
    return Graph(tensors, [0], [1], [Operator("edgetpu-custom-op", [0], [1], custom_options=options)])
