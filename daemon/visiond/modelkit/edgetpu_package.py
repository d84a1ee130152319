"""What edgetpu_compiler has put into a model: the executables for the chip, and how their parameters get there.

An `edgetpu-custom-op` carries a FlexBuffer map (libedgetpu, tflite/custom_op_data.cc), its key "4" a FlatBuffer
`Package` (libedgetpu, executable/executable.fbs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from visiond.modelkit.file_bytes import Damaged, Region
from visiond.modelkit.flatbuffer import Table, root
from visiond.modelkit.flexbuffer import read_map

CHIP_BYTES: Final = (
    8 << 20
)  # the chip's memory, from which the executable and its scratch go off: about 7.8 MiB are left

_EXECUTABLE_KEY: Final = "4"
_IDENTIFIER: Final = b"DWN1"
_MIN_RUNTIME, _MULTI_EXECUTABLE = 0, 1
_EXECUTABLES: Final = 0  # of MultiExecutable
_PARAMETERS, _TYPE = 6, 13  # of Executable
_STAND_ALONE, _PARAMETER_CACHING = 0, 1


@dataclass(frozen=True, slots=True)
class CompiledPart:
    """One part of a model that runs on the chip; sizes in bytes.

    `cached_bytes` of parameters are loaded once and stay on the chip, `streamed_bytes` cross USB for each picture.
    """

    min_runtime_version: int
    cached_bytes: int
    streamed_bytes: int


def read_part(options: Region | None) -> CompiledPart:
    """Read the custom options of an edgetpu-custom-op; raises Damaged."""
    executable = None if options is None else read_map(options).get(_EXECUTABLE_KEY)
    if not isinstance(executable, Region):
        raise Damaged("its operator for the Edge TPU is empty")
    package = root(executable, _IDENTIFIER)
    cached = streamed = 0
    multi = package.region(_MULTI_EXECUTABLE)
    for each in () if multi is None else _root(multi).regions(_EXECUTABLES):
        table = _root(each)
        size = table.count(_PARAMETERS)
        if table.number(_TYPE, "h", _STAND_ALONE) == _PARAMETER_CACHING:
            cached += size
        else:
            streamed += size
    return CompiledPart(package.number(_MIN_RUNTIME, "i"), cached, streamed)


def _root(region: Region) -> Table:
    """These two carry no mark."""
    return Table(region, region.number("I", 0))
