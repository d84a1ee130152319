"""What is to be said of a package's ONNX file, beside its twin for TFLite where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from visiond.modelkit.remark import Remark
from visiond.modelkit.tflite_model import TensorFacts

_CHANNEL_RANK: Final = 4  # from so many axes on, NCHW and NHWC differ

Sides = tuple[Sequence[TensorFacts], Sequence[TensorFacts]]  # inputs, outputs


def external_remarks(files: Sequence[str]) -> Iterator[Remark]:
    """Yield that weights lie in `files` of their own."""
    if files:
        yield Remark(
            ("files", "onnx", "path"),
            f"keeps its weights in {', '.join(files)}: neither sha256 nor a reload sees whether that has changed; "
            "export the model into one file, in PyTorch with external_data=False",
        )


def twin_remarks(onnx: Sides, tflite: Sides) -> Iterator[Remark]:
    """Types may differ, for a float model and its quantized twin are one package; pictures and answers may not."""
    texts: list[str] = []
    for side, ours, theirs in zip(("input", "output"), onnx, tflite, strict=True):
        if len(ours) != len(theirs):
            texts.append(f"{len(ours)} {side}s, its twin for TFLite {len(theirs)}")
            continue
        for position, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            comparable = side == "input" or len(one.shape) < _CHANNEL_RANK  # a converter turns the axes of pictures
            if comparable and one.shape and other.shape and not _may_be_same(one, other):
                texts.append(f"{side} {position} is {list(one.shape)}, of its twin for TFLite {list(other.shape)}")
    if texts:
        remedy = "convert files.cpu from files.onnx, or give each a package of its own"
        yield Remark(("files", "onnx", "path"), f"is another model than its twin: {', '.join(texts)}; {remedy}")


def _may_be_same(one: TensorFacts, other: TensorFacts) -> bool:
    """Whether the shapes are alike but for axes that are open."""
    theirs = other.open_shape or other.shape
    return len(one.shape) == len(theirs) and all(
        a == b or a < 0 or b < 0 for a, b in zip(one.shape, theirs, strict=True)
    )
