"""What ONNX Runtime's messages mean to someone who has the file and not the program."""

from __future__ import annotations

import re
from pathlib import Path

from visiond.engine.runtimes.onnx_operators import missing_in_words, missing_operators, runtime_operators
from visiond.errors import ModelError, VisiondError
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.onnx_model import STANDARD, OperatorKind

_NOT_REGISTERED = re.compile(r"(\S+)\(-?\d+\) is not a registered function/op")
_NO_SUCH = re.compile(r"No Op registered for (\S+)")
_NO_OPSET = re.compile(r"No opset import for domain '([^']+)'")
_WITHDRAWN = re.compile(r"Op registered for (\S+) is deprecated")
_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\(")
_WRONG_TYPE = re.compile(r"Type 'tensor\((\w+)\)' of \w+ parameter \(\S*\) of operator \((\w+)\)")
_TOO_NEW = re.compile(r"(Opset \d+) is under development|Unsupported model (IR version: \d+)")
_WEIGHTS = re.compile(r'External data path .*?"([^"]+)"')


def onnx_error(path: Path, raw: str) -> ModelError:
    """Return the error of a file that ONNX Runtime refuses, from its message and from what else is in the file."""
    name, raw = path.name, " ".join(raw.split())
    unknown = next((found for pattern in _ABSENT if (found := pattern.search(raw))), None)
    if unknown is not None:
        return ModelError(f"{name} needs {_all_missing(path, unknown[1])}")
    if absent := _NO_KERNEL.search(raw):
        return ModelError(
            f"{name} needs the operator '{absent[1]}' with numbers that ONNX Runtime cannot compute on the CPU"
            f"{_computes(absent[1])}; export the model with float32, or quantize it with QuantizeLinear and "
            "DequantizeLinear around each operator (the QDQ format)"
        )
    if wrong := _WRONG_TYPE.search(raw):
        return ModelError(
            f"{name} is no valid model: it has the operator '{wrong[2]}' with {wrong[1]}, for which ONNX does not "
            "define it; export the model with float32, or quantize it with QuantizeLinear and DequantizeLinear around "
            "each operator (the QDQ format)"
        )
    if new := _TOO_NEW.search(raw):
        return ModelError(
            f"{name} is too new for this ONNX Runtime ({new[1] or new[2]}); "
            "update onnxruntime, or export the model with an older opset"
        )
    if weights := _WEIGHTS.search(raw):
        return ModelError(
            f"{name} keeps its weights in a file of their own, which is not there: {weights[1]}; "
            "copy it beside the model, or export the model into one file"
        )
    if "INVALID_PROTOBUF" in raw or "No graph was found" in raw:
        return ModelError(f"{name} is no ONNX model, or truncated or damaged; copy or export it again")
    return ModelError(f"{name} cannot be loaded (ONNX Runtime: {raw}); copy or export it again")


_ABSENT = (_NOT_REGISTERED, _NO_SUCH, _NO_OPSET, _WITHDRAWN)


def _all_missing(path: Path, first: str) -> str:
    """Name every operator that is missing, not just the first, on which ONNX Runtime stops."""
    try:
        with open_onnx(path) as model:
            missing = missing_operators(model, runtime_operators())
    except VisiondError:  # it says less than the runtime, which has read the file
        missing = ()
    if missing:
        return f"operators that ONNX Runtime does not have: {missing_in_words(missing)}"
    return f"the operator '{first}', which ONNX Runtime does not have; export the model with standard operators only"


def _computes(name: str) -> str:
    """Say with which types it is computed, where ONNX Runtime tells."""
    types = runtime_operators().kernels.get(OperatorKind(STANDARD, name), ())
    named = ", ".join(each.removeprefix("tensor(").removesuffix(")") for each in types)
    return f" (it computes it with {named})" if named else ""
