"""What the messages of a TFLite runtime mean to someone who has the file and not the program."""

from __future__ import annotations

import re
from typing import Final

from visiond.edgetpu.crash_memory import FITTING_PAIRS
from visiond.engine.edgetpu import DelegateFailed
from visiond.errors import ModelError

EDGETPU_OPERATOR: Final = "edgetpu-custom-op"
POSENET_OPERATOR: Final = "PosenetDecoderOp"  # coral/posenet/posenet_decoder_op.h of libcoral
DELEGATE_OPERATOR: Final = "EdgeTpuDelegateForCustomOp"  # how libedgetpu names the nodes that it puts in their place

_UNRESOLVED = re.compile(r"unresolved custom op: (\S+?)\.?\s")
_FLEX = re.compile(r"Select TensorFlow op.*\(Flex(\w+)\)")
# libedgetpu's own: "Package requires runtime version (14), which is newer than this runtime version (13)."
_NEWER = re.compile(r"requires runtime version \((\d+)\), which is newer than this runtime version \((\d+)\)")
_TAIL = re.compile(r"\s*(Encountered unresolved|Node number \d+).*$")  # the runtime's, after what the library said


def model_error(name: str, raw: str) -> ModelError:
    """Return the error of a file that cannot be run without an accelerator, from the runtime's message."""
    raw = " ".join(raw.split())
    unresolved = _UNRESOLVED.search(f"{raw} ")
    if unresolved and unresolved[1] == EDGETPU_OPERATOR:
        return ModelError(f"{name} is compiled for the Edge TPU; give files.cpu the model that it was compiled from")
    if unresolved and unresolved[1] == POSENET_OPERATOR:
        return ModelError(
            f"{name} decodes poses with Coral's operator '{POSENET_OPERATOR}', which no runtime has without Coral's "
            "own plugin; give the package the model without it, whose outputs are the raw heads, and output.decoder: "
            "posenet"
        )
    if unresolved:
        return ModelError(
            f"{name} needs the custom operator '{unresolved[1]}', which the runtime does not have; "
            "convert the model with built-in operators only"
        )
    if flex := _FLEX.search(raw):
        return ModelError(
            f"{name} needs TensorFlow's own operator '{flex[1]}'; convert the model without SELECT_TF_OPS"
        )
    if "not a valid Flatbuffer" in raw or "mmap" in raw:
        return ModelError(f"{name} is truncated or damaged (the runtime: {raw}); copy or convert it again")
    return ModelError(
        f"{name} cannot be loaded: it is damaged, or made for another version of the runtime (the runtime: {raw}); "
        "copy or convert it again"
    )


def delegate_error(name: str, runtime: str, library: str | None, raw: str) -> DelegateFailed | ModelError:
    """Return whose fault it is that a model cannot be made ready with a delegate: the delegate's or the model's."""
    raw = " ".join(raw.split())
    unresolved = _UNRESOLVED.search(f"{raw} ")
    pair = f"{runtime} with {library or 'the delegate library'}"
    if (unresolved and unresolved[1] not in (EDGETPU_OPERATOR, DELEGATE_OPERATOR)) or _FLEX.search(raw):
        return model_error(name, raw)
    if newer := _NEWER.search(raw):
        return DelegateFailed(
            f"{name} needs runtime version {newer[1]} of libedgetpu, and the installed one has {newer[2]}; "
            f"update libedgetpu, or compile the model with edgetpu_compiler --min_runtime_version {newer[2]}"
        )
    said = _TAIL.sub("", raw) or "it gave no reason"
    if unresolved:
        return DelegateFailed(
            f"{pair} does not take {name} ({said}): they are probably not made for each other; install a pair that is: "
            f"{FITTING_PAIRS}"
        )
    return DelegateFailed(f"{pair} cannot make {name} ready ({said}); unplug the stick, plug it in, and try again")
