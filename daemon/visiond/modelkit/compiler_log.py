"""The log of edgetpu_compiler: what it has mapped, and why not the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visiond.errors import DataError, NoInputError
from visiond.modelkit.tflite_model import printable

MAPPED: Final = "Mapped to Edge TPU"

_MAX_BYTES: Final = 1 << 20
_VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
_ROW = re.compile(r"([A-Za-z_][A-Za-z0-9_:-]*)\s+(\d{1,9})\s+(\S.*)")
_SIZE = re.compile(
    r"(On-chip memory used|On-chip memory remaining|Off-chip memory used) for [^:]+:\s*([\d.]+)\s*([KMGT]?i?B)"
)
_UNITS: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
# Its words, and what to do.
_REMEDIES: Final = {
    "More than one subgraph is not supported": (
        "mend what stays on the CPU before it, or compile with edgetpu_compiler -a, which makes several parts"
    ),
    "Operation is otherwise supported, but not mapped due to some unspecified limitation": (
        "its tensors are too large, or in an order that the chip cannot make: try a smaller input, or end the model "
        "before it"
    ),
    "Operation is working on an unsupported data type": "quantize the whole model, its inputs and outputs too, to int8",
    "Operation version not supported": (
        "the operator is in a newer form than the compiler knows: convert with an older TensorFlow"
    ),
    "Operation not supported": "inspect the model from before it was compiled: it tells what to use in its place",
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)": "convert with batch size 1",
    "Intermediate tensor has to be quantized": "quantize the whole model to int8",
}


@dataclass(frozen=True, slots=True)
class LogRow:
    """So many operators of one kind with one status, in the compiler's words."""

    operator: str
    count: int
    status: str

    @property
    def is_mapped(self) -> bool:
        """Whether they run on the Edge TPU."""
        return self.status == MAPPED

    @property
    def remedy(self) -> str | None:
        """What to do; None where they are mapped, or the words are not known."""
        return _REMEDIES.get(self.status)


@dataclass(frozen=True, slots=True)
class CompilerLog:
    """A log, or what the compiler has printed; sizes in bytes, None where it does not say."""

    compiler: str
    rows: tuple[LogRow, ...]
    cached_bytes: int | None = None
    free_bytes: int | None = None
    streamed_bytes: int | None = None

    @property
    def mapped(self) -> int:
        """How many operators run on the Edge TPU."""
        return sum(row.count for row in self.rows if row.is_mapped)

    @property
    def unmapped(self) -> int:
        """How many stay on the CPU."""
        return sum(row.count for row in self.rows if not row.is_mapped)


def read_log(path: Path) -> CompilerLog:
    """Read a log file; raises NoInputError or DataError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise NoInputError(f"{path} cannot be read: {error.strerror}; give the compiler's log") from error
    if len(content) > _MAX_BYTES:
        raise DataError(
            f"{path} is larger than {_MAX_BYTES} bytes: no log of edgetpu_compiler; give the compiler's log"
        )
    try:
        return parse_log(content.decode("utf-8", "replace"))
    except ValueError as error:
        raise DataError(f"{path} {error}; give the file …_edgetpu.log that the compiler wrote") from error


def parse_log(text: str) -> CompilerLog:
    """Parse a log; raises ValueError where it is none. Of several models in one log the last one counts."""
    version = _VERSION.findall(text)
    if not version:
        raise ValueError("is no log of edgetpu_compiler")
    part = text[text.rindex("Edge TPU Compiler version") :]
    rows = tuple(_rows(part.splitlines()))
    if not rows:
        raise ValueError("holds no table of operators")
    sizes = {name: int(float(number) * _UNITS.get(unit, 1)) for name, number, unit in _SIZE.findall(part)}
    return CompilerLog(
        compiler=printable(version[-1]),
        rows=rows,
        cached_bytes=sizes.get("On-chip memory used"),
        free_bytes=sizes.get("On-chip memory remaining"),
        streamed_bytes=sizes.get("Off-chip memory used"),
    )


def find_log(model: Path) -> Path | None:
    """Return the log beside a model, compiled or not: edgetpu_compiler names both after the model."""
    stem = model.stem.removesuffix("_edgetpu")
    path = model.with_name(f"{stem}_edgetpu.log")
    return path if path.is_file() else None


def _rows(lines: Iterable[str]) -> Iterable[LogRow]:
    """Yield the rows below the table's heading."""
    in_table = False
    for line in lines:
        if line.split() == ["Operator", "Count", "Status"]:
            in_table = True
        elif in_table and (match := _ROW.fullmatch(line.strip())):
            yield LogRow(match[1], int(match[2]), printable(match[3].strip()))
