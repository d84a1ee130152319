"""Fields of a protocol buffer, read from a file that may be damaged: no length is followed that leads out of it.

The package `protobuf` is not used: it parses the whole file into memory, weights and all. Here a field that nobody asks
for is passed over by its length. The format: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from visiond.modelkit.file_bytes import Damaged, Region

Field = int | Region  # a varint as it is, 0 to 2**64 - 1; anything else as the part of the file that holds it

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT: Final = 10  # bytes
_SIGN: Final = 1 << 63


def fields(region: Region) -> Iterator[tuple[int, Field]]:
    """Yield (number, value) of each field of the message that fills `region`; raises Damaged."""
    position = 0
    while position < region.size:
        # One read for the tag and what follows it: a varint, or a length.
        head = region.read(position, min(2 * _MAX_VARINT, region.size - position))
        tag, used = _varint(head, 0)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise Damaged(f"a field at {position} has the number 0")
        if kind == _VARINT:
            value, used = _varint(head, used)
            yield number, value
            position += used
            continue
        if kind == _LENGTH:
            length, used = _varint(head, used)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise Damaged(f"a field at {position} is of kind {kind}")
        yield number, region.part(position + used, length)
        position += used + length


def message(value: Field) -> Region:
    """Return the message, string or bytes that a field holds; raises Damaged where it is a number."""
    if isinstance(value, int):
        raise Damaged("a number stands where a message should")
    return value


def text(value: Field, most: int = 1024) -> str:
    """Return a string, cut at so many bytes; what is not UTF-8 is replaced."""
    region = message(value)
    return region.read(0, min(region.size, most)).decode("utf-8", "replace")


def number(value: Field) -> int:
    """Return a signed whole number; raises Damaged where the field holds something else."""
    if not isinstance(value, int):
        raise Damaged("a message stands where a number should")
    return value - (1 << 64) if value >= _SIGN else value


def numbers(value: Field, most: int) -> list[int]:
    """Return the signed whole numbers of a repeated field, one or packed, `most` at the most; raises Damaged."""
    if isinstance(value, int):
        return [number(value)]
    raw = value.read(0, min(value.size, most * _MAX_VARINT))
    found: list[int] = []
    position = 0
    while position < len(raw) and len(found) < most:
        each, position = _varint(raw, position)
        found.append(number(each))
    return found


def _varint(raw: bytes, position: int) -> tuple[int, int]:
    """Return the number at `position`, and where it ends."""
    value = 0
    for index, byte in enumerate(raw[position : position + _MAX_VARINT]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise Damaged("a number has no end")
