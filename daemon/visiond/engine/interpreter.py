"""Interpreter: one model on one runtime, behind the few calls that the engine needs. Here: LiteRT on the CPU.

Another runtime or a delegate takes this class's place by offering the same members.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter as LiteRt
from numpy.typing import NDArray

from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError

IDENTIFIER: Final = b"TFL3"  # file identifier of the TFLite schema, at bytes 4 to 8
EDGETPU_OPERATOR: Final = "edgetpu-custom-op"

Details = Mapping[str, Any]  # what the runtime says of one tensor

_UNRESOLVED = re.compile(r"unresolved custom op: (\S+?)\.?\s")
_FLEX = re.compile(r"Select TensorFlow op.*\(Flex(\w+)\)")


class Interpreter:
    """A loaded model with its tensors allocated. Not thread-safe but for `invoke`, which releases the GIL.

    The parser checks a file's structure, yet a damaged file may still crash it or the kernels: load models only in a
    process that may die.
    """

    def __init__(self, path: Path, threads: int) -> None:
        """Raises ModelError in words, with the file's name, for whatever cannot be run."""
        self._name = path.name
        self.runtime = f"LiteRT {version('ai-edge-litert')}"
        self._litert, inputs, outputs = _load(path, threads)
        if len(inputs) != 1:
            names = ", ".join(repr(details["name"]) for details in inputs)
            raise ModelError(
                f"{self._name} has {len(inputs)} inputs ({names}); expected 1, a picture; convert it with one input"
            )
        if not outputs:
            raise ModelError(f"{self._name} has no output; convert it again and name its outputs")
        self.input: TensorInfo = self._describe(inputs[0], "input")
        self.outputs: tuple[TensorInfo, ...] = tuple(self._describe(details, "output") for details in outputs)

    def input_view(self) -> NDArray[Any]:
        """Return the input tensor's own memory, to be filled in place.

        LiteRT refuses to invoke while any view of its memory lives: pass this straight on, as in
        `preprocessor.write(frame, interpreter.input_view())`, or `del` it.
        """
        view: NDArray[Any] = self._litert.tensor(self.input.index)()
        return view

    def set_input(self, values: NDArray[Any]) -> None:
        """Copy `values`, of the input's shape and dtype, into the input tensor."""
        self._litert.set_tensor(self.input.index, values)

    def invoke(self) -> None:
        """Run the model once; raises RuntimeError when the runtime or an operator fails."""
        self._litert.invoke()

    def read_outputs(self) -> list[NDArray[Any]]:
        """Return a copy of each output, in the order of `outputs`, quantized as it is.

        Raises RuntimeError when an output has another shape than it was announced with, or none.
        """
        try:
            arrays: list[NDArray[Any]] = [self._litert.get_tensor(info.index) for info in self.outputs]
        except ValueError as error:
            raise RuntimeError(f"{self._name}: an output cannot be read: {error}") from error
        for info, array in zip(self.outputs, arrays, strict=True):
            if array.shape != info.shape:
                raise RuntimeError(
                    f"{self._name}: output '{info.name}' came as {list(array.shape)}, not {list(info.shape)}; "
                    "convert the model with fixed shapes"
                )
        return arrays

    def _describe(self, details: Details, side: str) -> TensorInfo:
        shape = tuple(int(length) for length in details["shape"])
        signature = [int(length) for length in details["shape_signature"]]
        what = f"{self._name}: {side} '{details['name']}'"
        # An open batch (the first axis) is usual and stays at 1; TFLite puts 1 for any other open axis too, and there
        # it means nothing. An output's axis may be open in the file and still be settled by the input's shape.
        if (side == "input" and -1 in signature[1:]) or 0 in shape:
            raise ModelError(
                f"{what} has no fixed shape: {signature or list(shape)}; convert the model with fixed shapes"
            )
        return TensorInfo(
            int(details["index"]), str(details["name"]), shape, np.dtype(details["dtype"]), _quantization(details, what)
        )


def _load(path: Path, threads: int) -> tuple[LiteRt, list[Details], list[Details]]:
    """Return the runtime, and what it says of inputs and outputs once allocated: before, shapes may be empty."""
    _check_identifier(path)
    try:
        litert = LiteRt(model_path=str(path), num_threads=threads)
        litert.allocate_tensors()
        return litert, litert.get_input_details(), litert.get_output_details()
    except MemoryError as error:
        raise ModelError(f"{path.name} does not fit into the memory; use a smaller model, or copy it again") from error
    except (ValueError, RuntimeError) as error:  # a damaged name is a ValueError too: it is no UTF-8
        raise ModelError(_in_words(path.name, " ".join(str(error).split()))) from error


def _check_identifier(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; check the package's files") from error
    if head[4:8] != IDENTIFIER:
        raise ModelError(
            f"{path.name} is not a TFLite model: bytes 4 to 8 are {head[4:8]!r}, not {IDENTIFIER!r}; "
            "copy or convert it again"
        )


def _in_words(name: str, raw: str) -> str:
    """Say what a message of LiteRT means to someone who has the file and not the program."""
    unresolved = _UNRESOLVED.search(f"{raw} ")
    if unresolved and unresolved[1] == EDGETPU_OPERATOR:
        return f"{name} is compiled for the Edge TPU; give files.cpu the model that it was compiled from"
    if unresolved:
        return (
            f"{name} needs the custom operator '{unresolved[1]}', which LiteRT does not have; "
            "convert the model with built-in operators only"
        )
    if flex := _FLEX.search(raw):
        return f"{name} needs TensorFlow's own operator '{flex[1]}'; convert the model without SELECT_TF_OPS"
    if "not a valid Flatbuffer" in raw or "mmap" in raw:
        return f"{name} is truncated or damaged; copy or convert it again (the runtime: {raw})"
    return (
        f"{name} cannot be loaded: it is damaged, or made for another version of the runtime; "
        f"copy or convert it again (the runtime: {raw})"
    )


def _quantization(details: Details, what: str) -> Quantization | None:
    parameters = details["quantization_parameters"]
    scales, zero_points = parameters["scales"], parameters["zero_points"]
    if len(scales) == 0 or np.dtype(details["dtype"]).kind == "f":
        return None
    if len(scales) > 1:
        raise ModelError(f"{what} has {len(scales)} scales, one per channel; convert the model with one per tensor")
    try:
        return Quantization(float(scales[0]), int(zero_points[0]))
    except ValueError as error:
        raise ModelError(f"{what}: {error}; convert the model again") from error
