"""What every runtime asks of a model's file and of its tensors, and says in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError


def read_head(path: Path, length: int) -> bytes:
    """Return the first `length` bytes; raises ModelError where there is no file to be read."""
    try:
        with path.open("rb") as file:
            return file.read(length)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}; check the package's files") from error


def check_counts(name: str, inputs: Sequence[str], outputs: int) -> None:
    """Raise ModelError unless there is one input, the picture, and an output."""
    if len(inputs) != 1:
        names = ", ".join(repr(each) for each in inputs)
        raise ModelError(f"{name} has {len(inputs)} inputs ({names}); expected 1, a picture; convert it with one input")
    if not outputs:
        raise ModelError(f"{name} has no output; convert it again and name its outputs")


def check_output_shapes(name: str, outputs: Sequence[TensorInfo], arrays: Sequence[NDArray[Any]]) -> None:
    """Raise RuntimeError for an output of another shape than it was announced with."""
    for info, array in zip(outputs, arrays, strict=True):
        if array.shape != info.shape:
            raise RuntimeError(
                f"{name}: output '{info.name}' came as {list(array.shape)}, not {list(info.shape)}; "
                "convert the model with fixed shapes"
            )


def no_fixed_shape(what: str, shape: Sequence[object]) -> ModelError:
    """Return the error of a tensor with open axes; `what` names the file, the side and the tensor."""
    return ModelError(f"{what} has no fixed shape: {list(shape)}; convert the model with fixed shapes")


def too_large(name: str) -> ModelError:
    """Return the error of a model for which there is no memory."""
    return ModelError(f"{name} does not fit into the memory; use a smaller model, or copy it again")
