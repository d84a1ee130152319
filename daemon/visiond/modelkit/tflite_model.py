"""TfliteModel: what stands in a .tflite file, as values; `tflite_file.open_model` reads it."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Final

from visiond.modelkit.file_bytes import STRUCTS, Region
from visiond.modelkit.flatbuffer import Table

EDGETPU_OPERATOR: Final = "edgetpu-custom-op"
_MAX_NAME: Final = 200
_MAX_CONSTANTS: Final = 4096  # values of a constant that is looked into: axes, paddings, slices
_INTEGER_CODES: Final = {"int8": "b", "uint8": "B", "int16": "h", "int32": "i", "int64": "q"}
_LIMITS: Final = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767)}


def printable(text: str) -> str:
    """Return a text from a file for a terminal: on one line, without control characters, not too long."""
    text = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[: _MAX_NAME + 1])
    return text if len(text) <= _MAX_NAME else f"{text[:_MAX_NAME]}…"


@dataclass(frozen=True, slots=True)
class TensorFacts:
    """One tensor. `scale` and `zero_point` are None where there is none, or one for each channel: `scales` counts them.

    `open_shape` is the shape with -1 for an axis that is open until the model runs, where the file gives it.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None
    scales: int = 0
    axis: int = 0
    open_shape: tuple[int, ...] = ()
    constant_bytes: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether the file holds its values."""
        return self.constant_bytes > 0

    @property
    def is_dynamic(self) -> bool:
        """Whether its shape is open until the model runs."""
        return any(side < 0 for side in (*self.shape, *self.open_shape))

    @property
    def levels(self) -> tuple[int, int] | None:
        """The least and the greatest value that its type holds, None for what is not quantized."""
        return _LIMITS.get(self.dtype)

    @property
    def real_range(self) -> tuple[float, float] | None:
        """The least and the greatest real value that it can stand for, None without scale."""
        if self.levels is None or self.scale is None or self.zero_point is None:
            return None
        low, high = self.levels
        return (low - self.zero_point) * self.scale, (high - self.zero_point) * self.scale


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """One operator. `name` is that of the schema, or a custom operator's own; tensors by index, -1 where left out."""

    index: int
    name: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    is_custom: bool = False
    options: Table | None = field(default=None, compare=False, repr=False)
    custom_options: Region | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TfliteModel:
    """The first subgraph of a model, which is the one that runs; `subgraphs` counts them all.

    Valid within `open_model`: what has not been read yet is read from the open file.
    """

    size: int
    description: str
    subgraphs: int
    tensors: tuple[TensorFacts, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operators: tuple[OperatorFacts, ...]
    _buffers: tuple[Region | None, ...] = field(repr=False, compare=False)
    _buffer_of: tuple[int, ...] = field(repr=False, compare=False)

    @property
    def input_tensors(self) -> tuple[TensorFacts, ...]:
        """What goes in."""
        return tuple(self.tensors[index] for index in self.inputs)

    @property
    def output_tensors(self) -> tuple[TensorFacts, ...]:
        """What comes out, in order."""
        return tuple(self.tensors[index] for index in self.outputs)

    @property
    def is_compiled(self) -> bool:
        """Whether edgetpu_compiler made it."""
        return any(operator.is_custom and operator.name == EDGETPU_OPERATOR for operator in self.operators)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of all constants, each buffer once."""
        used = {self._buffer_of[tensor.index] for tensor in self.tensors if tensor.is_constant}
        return sum(region.size for index in used if (region := self._buffers[index]) is not None)

    def tensors_of(self, indices: tuple[int, ...]) -> tuple[TensorFacts, ...]:
        """Return the tensors of an operator's inputs or outputs; what is left out is not among them."""
        return tuple(self.tensors[index] for index in indices if index >= 0)

    def values(self, tensor: TensorFacts) -> tuple[int, ...] | None:
        """Return a small integer constant's values; None for anything else."""
        code = _INTEGER_CODES.get(tensor.dtype)
        region = self._buffers[self._buffer_of[tensor.index]] if tensor.is_constant else None
        if code is None or region is None:
            return None
        count = region.size // STRUCTS[code].size
        if count > _MAX_CONSTANTS:
            return None
        return struct.unpack(f"<{count}{code}", region.read(0, count * STRUCTS[code].size))
