"""What every runtime asks of a model's file and of its tensors, and says in the same words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from numpy.typing import NDArray

from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

PictureSize = tuple[int, int]  # width, height
Axes = tuple[int, int]  # of the height and of the width in a shape
CHANNELS_LAST: Final[Axes] = (1, 2)
CHANNELS_FIRST: Final[Axes] = (2, 3)


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


def picture_shape(what: str, shape: Sequence[object], axes: Axes, size: PictureSize | None) -> tuple[int, ...]:
    """Return `shape` with each open axis settled: height and width by `size`, the package's input.size.

    `axes` says which axes of `shape` are (height, width); an axis is open where it is no number, or below 0. Raises
    ModelError where it stays open, and where the file says another size.
    """
    settled = [side if isinstance(side, int) and side >= 0 else None for side in shape]
    for axis, side in zip(axes, () if size is None else (size[1], size[0]), strict=size is not None):
        if settled[axis] not in (None, side):
            fixed = " x ".join(str(shape[each]) for each in reversed(axes))
            raise ModelError(
                f"{what} is fixed at {fixed} (width x height), and input.size in model.yaml says "
                f"{' x '.join(map(str, size or ()))}; remove input.size, or convert the model with that size"
            )
        settled[axis] = side
    found = tuple(side for side in settled if side is not None)
    if len(found) == len(settled) and 0 not in found:
        return found
    if {axis for axis, side in enumerate(settled) if side is None} <= set(axes) and size is None and 0 not in found:
        raise ModelError(
            f"{what} has no fixed shape: {list(shape)}; say in model.yaml at which size it is served, such as "
            "input: {size: [224, 224]} (width, height), or convert the model with fixed shapes"
        )
    raise no_fixed_shape(what, shape)


def size_refused(name: str, size: PictureSize | None, raw: str) -> ModelError:
    """Return the error of a model that leaves its size open, and cannot compute with the one that it is given."""
    said = " ".join(raw.split()).removeprefix(f"{name}: ")
    if size is None:
        return ModelError(f"{name} cannot be computed (the runtime: {said}); convert the model with fixed shapes")
    return ModelError(
        f"{name} cannot be computed at input.size: [{size[0]}, {size[1]}] (the runtime: {said}); give the size that it "
        "was made for in model.yaml, or convert the model with fixed shapes"
    )


def too_large(name: str) -> ModelError:
    """Return the error of a model for which there is no memory."""
    return ModelError(f"{name} does not fit into the memory; use a smaller model, or copy it again")
