"""Whether a package says at which size its model is served, where the file leaves that open, and only there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from visiond.modelkit.remark import Remark
from visiond.modelkit.tflite_model import TensorFacts

_RANK = 4  # [1, height, width, channels]


def size_remarks(key: str, size: tuple[int, int] | None, inputs: Sequence[TensorFacts]) -> Iterator[Remark]:
    """Yield what an engine will refuse of `files.<key>`; `size` is input.size, (width, height)."""
    if len(inputs) != 1:
        return
    shape = inputs[0].open_shape or inputs[0].shape
    if len(shape) != _RANK:
        return
    height, width = shape[1:3]
    if size is None and min(height, width) < 0:
        yield Remark(
            ("input",),
            f"has no size, and files.{key} leaves it open ({list(shape)}): it will not be loaded; say at which size it "
            "is served, such as size: [224, 224] (width, height)",
        )
    elif size is not None and any(side not in (-1, given) for side, given in zip((width, height), size, strict=True)):
        fixed = " x ".join("any" if side < 0 else str(side) for side in (width, height))
        yield Remark(
            ("input", "size"),
            f"is {size[0]} x {size[1]}, and files.{key} is fixed at {fixed}: it will not be loaded; remove it, or "
            "convert the model with that size",
        )
