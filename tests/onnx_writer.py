"""Writes small ONNX files, right and wrong ones, with the `onnx` package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8  # understood by every ONNX Runtime since 1.10


@dataclass(frozen=True)
class Value:
    """An input or output; a text or None in `shape` is an open axis."""

    name: str
    shape: Sequence[int | str | None]
    dtype: str = "float32"

    def pack(self) -> Any:
        kind = getattr(TensorProto, {"float32": "FLOAT", "float64": "DOUBLE"}.get(self.dtype, self.dtype.upper()))
        return helper.make_tensor_value_info(self.name, kind, list(self.shape))


@dataclass(frozen=True)
class Node:
    operator: str
    inputs: Sequence[str]
    outputs: Sequence[str]
    domain: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def pack(
    nodes: Sequence[Node],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    constants: dict[str, np.ndarray] | None = None,
    opset: int = OPSET,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(n.operator, n.inputs, n.outputs, domain=n.domain, **n.attributes) for n in nodes],
        "graph",
        [value.pack() for value in inputs],
        [value.pack() for value in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    domains = {"": opset, **{node.domain: 1 for node in nodes if node.domain}}
    imports = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
    return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)


def write(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path
