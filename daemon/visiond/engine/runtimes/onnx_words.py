"""What ONNX Runtime's messages mean to someone who has the file and not the program."""

from __future__ import annotations

import re

from visiond.errors import ModelError

_NOT_REGISTERED = re.compile(r"(\S+)\(-?\d+\) is not a registered function/op")
_NO_SUCH = re.compile(r"No Op registered for (\S+)")
_NO_KERNEL = re.compile(r"Could not find an implementation for (\w+)\(")
_TOO_NEW = re.compile(r"(Opset \d+) is under development|Unsupported model (IR version: \d+)")
_WEIGHTS = re.compile(r'External data path .*?"([^"]+)"')


def onnx_error(name: str, raw: str) -> ModelError:
    """Return the error of a file that ONNX Runtime refuses, from its message."""
    raw = " ".join(raw.split())
    if unknown := _NOT_REGISTERED.search(raw) or _NO_SUCH.search(raw):
        return ModelError(
            f"{name} needs the operator '{unknown[1]}', which ONNX Runtime does not have; "
            "export the model with standard operators only"
        )
    if missing := _NO_KERNEL.search(raw):
        return ModelError(
            f"{name} needs the operator '{missing[1]}' with numbers that ONNX Runtime cannot compute on the CPU; "
            "export the model with float32"
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
