"""Tables of a FlatBuffer, read from a file that may be damaged: no offset is followed that leads out of it.

The package `flatbuffers` is not used: it follows any offset, and it draws in NumPy (22 MB and half a second), which the
daemon's own process must not load. The format: https://flatbuffers.dev/internals
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from visiond.modelkit.file_bytes import STRUCTS, Damaged, Region


class Table:
    """One table; `slot` is the position of a field in its schema, from 0. A field that is not there has its default."""

    __slots__ = ("_fields", "_position", "_region")

    def __init__(self, region: Region, position: int) -> None:
        """Raises Damaged where no table can be at `position`."""
        self._region = region
        self._position = position
        vtable = position - region.number("i", position)
        length = region.number("H", vtable)
        if length < 4 or length % 2:
            raise Damaged(f"the table at {position} has no list of fields")
        self._fields = struct.unpack(f"<{length // 2 - 2}H", region.read(vtable + 4, length - 4))

    def has(self, slot: int) -> bool:
        """Whether the field is there."""
        return self._at(slot) is not None

    def number(self, slot: int, code: str, default: int = 0) -> int:
        """Return a whole number; `code` is that of `struct`."""
        at = self._at(slot)
        return default if at is None else self._region.number(code, at)

    def text(self, slot: int) -> str:
        """Return a string, empty where there is none; what is not UTF-8 is replaced."""
        at = self._follow(slot)
        return "" if at is None else self._text(at)

    def table(self, slot: int) -> Table | None:
        """Return a table, or the value of a union."""
        at = self._follow(slot)
        return None if at is None else Table(self._region, at)

    def count(self, slot: int) -> int:
        """Return the length of a vector, 0 where there is none."""
        at = self._follow(slot)
        return 0 if at is None else self._region.number("I", at)

    def tables(self, slot: int) -> Iterator[Table]:
        """Yield the tables of a vector."""
        return (Table(self._region, at) for at in self._elements(slot))

    def texts(self, slot: int) -> Iterator[str]:
        """Yield the strings of a vector."""
        return (self._text(at) for at in self._elements(slot))

    def regions(self, slot: int) -> Iterator[Region]:
        """Yield the strings of a vector as what they hold, which may be another FlatBuffer."""
        return (self._bytes(at) for at in self._elements(slot))

    def numbers(self, slot: int, code: str) -> tuple[Any, ...]:
        """Return a vector of numbers."""
        at = self._follow(slot)
        if at is None:
            return ()
        count = self._region.number("I", at)
        raw = self._region.read(at + 4, count * STRUCTS[code].size)
        return struct.unpack(f"<{count}{code}", raw)

    def region(self, slot: int) -> Region | None:
        """Return a vector of bytes; nothing of it is read."""
        at = self._follow(slot)
        return None if at is None else self._bytes(at)

    def _at(self, slot: int) -> int | None:
        offset = self._fields[slot] if slot < len(self._fields) else 0
        return self._position + offset if offset else None

    def _follow(self, slot: int) -> int | None:
        at = self._at(slot)
        return None if at is None else at + self._region.number("I", at)

    def _elements(self, slot: int) -> Iterator[int]:
        """Yield where the elements of a vector of offsets are."""
        at = self._follow(slot)
        if at is None:
            return
        count = self._region.number("I", at)
        self._region.part(at + 4, 4 * count)  # raises before a single one is followed
        for place in range(at + 4, at + 4 + 4 * count, 4):
            yield place + self._region.number("I", place)

    def _bytes(self, at: int) -> Region:
        return self._region.part(at + 4, self._region.number("I", at))

    def _text(self, at: int) -> str:
        return self._region.read(at + 4, self._region.number("I", at)).decode("utf-8", "replace")


def root(region: Region, identifier: bytes) -> Table:
    """Return the outermost table; raises Damaged for a buffer of another kind."""
    if region.size < 8 or region.read(4, 4) != identifier:
        raise Damaged(f"it does not carry the mark {identifier.decode('ascii')}")
    return Table(region, region.number("I", 0))
