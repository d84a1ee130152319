"""Reads an .onnx file's structure without a runtime and without the package `onnx`; the weights stay where they are.

Pure Python, so that the command line and the daemon's own process can look into a file that nobody has tried yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from visiond.modelkit import onnx_schema as schema
from visiond.modelkit.file_bytes import Damaged, Region, open_region
from visiond.modelkit.onnx_graph import Findings, add_opset, read_function, read_graph
from visiond.modelkit.onnx_model import OnnxModel
from visiond.modelkit.onnx_value import with_quantization
from visiond.modelkit.protobuf import Field, fields, message, number, text
from visiond.modelkit.tflite_model import printable

IR_TAG: Final = b"\x08"  # the first field of nearly every file: ir_version
_MAX_READ_BYTES: Final = 16 << 20  # heads of fields; a model of 20,000 operators needs 4 MB


@contextmanager
def open_onnx(path: Path) -> Iterator[OnnxModel]:
    """Read an .onnx file's structure. Raises NoInputError where there is no file, DataError where it is no model."""
    with open_region(path, _what_instead, _MAX_READ_BYTES) as region:
        yield _read(region)


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


def _read(region: Region) -> OnnxModel:
    found = Findings()
    head: dict[int, Field] = {}
    opsets: dict[str, int] = {}
    for slot, value in fields(region):
        if slot == schema.MODEL_OPSETS:
            add_opset(opsets, value)
        elif slot == schema.MODEL_FUNCTIONS:
            read_function(message(value), found, opsets)
        else:
            head[slot] = value  # the last one counts, as everywhere in this format
    graph = head.get(schema.MODEL_GRAPH)
    if graph is None:
        raise Damaged("it holds no graph")
    inputs, outputs = read_graph(message(graph), found, 0)
    for kind in found.functions:
        found.operators.pop(kind, None)
    producer = [text(head[slot]) for slot in (schema.MODEL_PRODUCER, schema.MODEL_PRODUCER_VERSION) if slot in head]
    return OnnxModel(
        size=region.size,
        producer=printable(" ".join(producer).strip()),
        ir_version=number(head.get(schema.MODEL_IR_VERSION, 0)),
        opsets=opsets,
        # Old files list their weights among the inputs.
        inputs=tuple(
            with_quantization(value, found.dequantized.get(value.name, ()), found.constants)
            for value in inputs
            if value.name not in found.constant_names
        ),
        outputs=tuple(
            with_quantization(value, found.quantized.get(value.name, ()), found.constants) for value in outputs
        ),
        operators=dict(found.operators.most_common()),
        constant_bytes=found.constant_bytes,
        external_files=tuple(found.external),
    )
