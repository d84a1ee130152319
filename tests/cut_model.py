"""Cuts real TFLite files open: the same model with other tensors as its outputs, and nothing computed beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray


def cut(source: Path, target: Path, outputs: Sequence[str]) -> Path:
    """Write `source` to `target` with the tensors of these names as its outputs, in this order."""
    model = _read(source)
    (graph,) = model.subgraphs
    by_name = {tensor.name.decode(): index for index, tensor in enumerate(graph.tensors)}
    graph.outputs = np.array([by_name[name] for name in outputs], np.int32)
    needed, kept = set(graph.outputs.tolist()), []
    for operator in reversed(graph.operators):
        if needed & set(operator.outputs.tolist()):
            needed |= set(operator.inputs.tolist())
            kept.append(operator)
    graph.operators = kept[::-1]
    model.signatureDefs = []
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    target.write_bytes(builder.Output())
    return target


def constant(source: Path, name: str) -> NDArray[np.float64]:
    """Return the values of a constant uint8 tensor, dequantized."""
    model = _read(source)
    (tensor,) = [each for each in model.subgraphs[0].tensors if each.name.decode() == name]
    (scale,), (zero_point,) = tensor.quantization.scale, tensor.quantization.zeroPoint
    levels = np.asarray(model.buffers[tensor.buffer].data, np.uint8).reshape(tensor.shape)
    values: NDArray[np.float64] = (levels.astype(np.float64) - zero_point) * scale
    return values


def _read(source: Path) -> schema.ModelT:
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(source.read_bytes(), 0))
