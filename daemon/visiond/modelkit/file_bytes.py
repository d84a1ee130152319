"""FileBytes and Region: a model's file that may be damaged, read piece by piece, each piece checked to lie within it.

Not mmap: a file that is cut short while it is mapped, as by a copy that overwrites it, ends the process with SIGBUS.
And not the whole file at once: the daemon's memory is counted in megabytes, and a model's weights are not looked at.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from visiond.errors import DataError, NoInputError

_BLOCK_BYTES: Final = 1 << 16
_MAX_BLOCKS: Final = 32
# What the largest real models need is a tenth of this. A file that is made so that its parts refer to each other over
# and over ends here, after seconds and some megabytes, and not in all of the memory.
_MAX_READS: Final = 2_000_000
MAX_READ_BYTES: Final = 8 << 20
_HEAD_BYTES: Final = 16

STRUCTS: Final = {code: struct.Struct(f"<{code}") for code in "bBhHiIqQfd?"}


class Damaged(ValueError):
    """The bytes are not what they claim to be; the text says in a few words what does not fit."""


WhatInstead = Callable[[bytes, Damaged], str]  # from the first bytes: what the file is instead, and what to do


@contextmanager
def open_region(path: Path, what_instead: WhatInstead, max_read_bytes: int = MAX_READ_BYTES) -> Iterator[Region]:
    """Open a model's file, for as long as the context lasts.

    Raises NoInputError where there is no file to be read; a Damaged from within becomes a DataError in words.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for its writer
    except OSError as error:
        raise NoInputError(_cannot_read(path, error)) from error
    head = b""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            info = "what a package is, `visiond models info` tells"
            raise NoInputError(f"{path} is a folder; give the path of a .tflite or .onnx file in it; {info}")
        if not stat.S_ISREG(mode):
            raise NoInputError(f"{path} is not a regular file; give the path of a .tflite or .onnx file")
        head = os.pread(descriptor, _HEAD_BYTES, 0)
        yield Region(FileBytes(descriptor, max_read_bytes))
    except Damaged as error:
        raise DataError(f"{path} {what_instead(head, error)}") from error
    except OSError as error:
        raise NoInputError(_cannot_read(path, error)) from error
    finally:
        os.close(descriptor)


def _cannot_read(path: Path, error: OSError) -> str:
    """Say that a model's file cannot be read, and what to do."""
    if isinstance(error, PermissionError):
        return f"{path} cannot be read by this user; give it read permission (chmod a+r), or use sudo"
    return f"{path} cannot be read: {error.strerror}; give the path of a .tflite or .onnx file"


class FileBytes:
    """An open file; the part that was read last is kept."""

    def __init__(self, descriptor: int, max_read_bytes: int = MAX_READ_BYTES) -> None:
        """The descriptor stays the caller's to close."""
        self._descriptor = descriptor
        self._blocks: dict[int, bytes] = {}
        self._reads_left = _MAX_READS
        self._bytes_left = max_read_bytes
        self.size = os.fstat(descriptor).st_size

    def read(self, position: int, length: int) -> bytes:
        """Return `length` bytes; raises Damaged where they do not lie in the file."""
        if length < 0 or position < 0 or position + length > self.size:
            raise Damaged(f"{length} bytes at {position} are beyond its end at {self.size}")
        self._reads_left -= 1
        self._bytes_left -= length
        if self._reads_left < 0 or self._bytes_left < 0:
            raise Damaged("it has more parts than can be read, or they refer to each other over and over")
        index, start = divmod(position, _BLOCK_BYTES)
        if start + length <= _BLOCK_BYTES:
            found = self._block(index)[start : start + length]
        else:
            found = os.pread(self._descriptor, length, position)
        if len(found) != length:  # it has been cut short since it was opened
            raise Damaged(f"it ends before {position + length}")
        return found

    def _block(self, index: int) -> bytes:
        block = self._blocks.get(index)
        if block is None:
            if len(self._blocks) == _MAX_BLOCKS:
                self._blocks.pop(next(iter(self._blocks)))
            block = self._blocks[index] = os.pread(self._descriptor, _BLOCK_BYTES, index * _BLOCK_BYTES)
        return block


class Region:
    """A part of a file with positions of its own, counted from its start."""

    __slots__ = ("_file", "_start", "size")

    def __init__(self, file: FileBytes, start: int = 0, size: int | None = None) -> None:
        """`size` None: up to the file's end."""
        self._file = file
        self._start = start
        self.size = file.size - start if size is None else size

    def read(self, position: int, length: int) -> bytes:
        """Return `length` bytes; raises Damaged where they do not lie in this part."""
        if position < 0 or length < 0 or position + length > self.size:
            raise Damaged(f"{length} bytes at {position} are beyond the end of a part of {self.size}")
        return self._file.read(self._start + position, length)

    def number(self, code: str, position: int) -> int:
        """Return the whole number at `position`; `code` is that of `struct`, always little-endian."""
        layout = STRUCTS[code]
        (value,) = layout.unpack(self.read(position, layout.size))
        return int(value)

    def real(self, code: str, position: int) -> float:
        """Return the number at `position`, which may have a fraction: f or d."""
        layout = STRUCTS[code]
        (value,) = layout.unpack(self.read(position, layout.size))
        return float(value)

    def part(self, position: int, length: int) -> Region:
        """Return a region within this one; raises Damaged where it is not within."""
        if position < 0 or length < 0 or position + length > self.size:
            raise Damaged(f"a part of {length} bytes at {position} is beyond the end of {self.size}")
        return Region(self._file, self._start + position, length)
