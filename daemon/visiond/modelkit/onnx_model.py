"""OnnxModel: what stands in an .onnx file, as plain values; `onnx_file.open_onnx` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from visiond.modelkit.tflite_model import TensorFacts

STANDARD: Final = ""  # the domain of ONNX's own operators, which may also be written ai.onnx
_CHANNELS: Final = (1, 3)

Axis = int | str | None  # its length; the name of an open one, None where it has no name


@dataclass(frozen=True, slots=True, order=True)
class OperatorKind:
    """One kind of operator: two domains may have operators of one name."""

    domain: str
    name: str

    def __str__(self) -> str:
        return f"{self.domain}:{self.name}" if self.domain else self.name


@dataclass(frozen=True, slots=True)
class OnnxValue:
    """An input or output of the graph.

    `scale` and `zero_point` are those of the DequantizeLinear behind an integer input, or of the QuantizeLinear before
    an integer output: what such a tensor's numbers stand for. None where there is none, or one for each channel.
    """

    name: str
    dtype: str
    axes: tuple[Axis, ...]
    scale: float | None = None
    zero_point: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether an axis beside the batch, which is the first, is open until the model runs."""
        return any(not isinstance(axis, int) for axis in self.axes[1:])

    @property
    def is_channels_first(self) -> bool:
        """Whether it is a picture as NCHW."""
        return is_channels_first(self.axes)

    @property
    def facts(self) -> TensorFacts:
        """As an output: as it is, a batch of one, -1 for an open axis."""
        shape = tuple(axis if isinstance(axis, int) else -1 for axis in batch_of_one(self.axes))
        return TensorFacts(0, self.name, shape, self.dtype, self.scale, self.zero_point, int(self.scale is not None))

    @property
    def picture(self) -> TensorFacts:
        """As an input of the engine: NHWC, a batch of one, -1 for an open axis."""
        facts = self.facts
        if not self.is_channels_first:
            return facts
        batch, channels, height, width = facts.shape
        return replace(facts, shape=(batch, height, width, channels))


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """A file. `opsets`: the version of each domain. `external_files`: where weights lie that are not in it.

    `operators` counts those of the graph, of the graphs within its operators, and of the functions that it defines
    itself; a call of such a function is none.
    """

    size: int
    producer: str
    ir_version: int
    opsets: Mapping[str, int]
    inputs: tuple[OnnxValue, ...]
    outputs: tuple[OnnxValue, ...]
    operators: Mapping[OperatorKind, int]
    constant_bytes: int
    external_files: tuple[str, ...]


def is_channels_first(axes: tuple[Axis, ...]) -> bool:
    """A picture of one or three channels: they are on the axis that has that length; ONNX's own order is NCHW."""
    if len(axes) != 4 or axes[1] not in _CHANNELS:
        return False
    return axes[3] not in _CHANNELS or int(axes[1] or 0) >= int(axes[3] or 0)


def batch_of_one(axes: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """The first axis of a picture is the batch; an open one, whatever its name, is one picture here."""
    return (1, *axes[1:]) if axes and not isinstance(axes[0], int) else axes
