"""The outermost map of a FlexBuffer, in which TFLite's custom operators keep their options; see `flatbuffer.py`.

The format: https://flatbuffers.dev/flexbuffers
"""

from __future__ import annotations

from typing import Final

from visiond.modelkit.file_bytes import Damaged, Region

Value = int | float | Region

_INT, _UINT, _FLOAT, _STRING, _MAP, _BLOB, _BOOL = 1, 2, 3, 5, 9, 25, 26
_UNSIGNED: Final = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIGNED: Final = {1: "b", 2: "h", 4: "i", 8: "q"}
_REAL: Final = {4: "f", 8: "d"}
_MAX_KEYS: Final = 256
_MAX_KEY_BYTES: Final = 64


def read_map(region: Region) -> dict[str, Value]:
    """Return the numbers of the map, and its strings and blobs as regions; values of other kinds are left out.

    Raises Damaged where there is no map.
    """
    if region.size < 3:
        raise Damaged("options that are too short")
    packed, width = region.read(region.size - 2, 2)
    if packed >> 2 != _MAP or width not in _UNSIGNED:
        raise Damaged("options that are no map")
    root = region.size - 2 - width
    at = root - region.number(_UNSIGNED[width], root)
    width = 1 << (packed & 3)
    count = region.number(_UNSIGNED[width], at - width)
    if count > _MAX_KEYS:
        raise Damaged(f"options with {count} keys")
    keys = at - 3 * width - region.number(_UNSIGNED[width], at - 3 * width)
    key_width = region.number(_UNSIGNED[width], at - 2 * width)
    if key_width not in _UNSIGNED:
        raise Damaged("options without keys")
    values: dict[str, Value] = {}
    for index in range(count):
        name = _key(region, keys + index * key_width, key_width)
        value = _value(region, at + index * width, width, region.number("B", at + count * width + index))
        if value is not None:
            values[name] = value
    return values


def _key(region: Region, at: int, width: int) -> str:
    start = at - region.number(_UNSIGNED[width], at)
    if not 0 <= start < region.size:
        raise Damaged(f"a key at {start}")
    name, end, _ = region.read(start, min(_MAX_KEY_BYTES, region.size - start)).partition(b"\0")
    if not end:
        raise Damaged("a key without an end")
    return name.decode("utf-8", "replace")


def _value(region: Region, at: int, width: int, packed: int) -> Value | None:
    kind = packed >> 2
    if kind == _INT:
        return region.number(_SIGNED[width], at)
    if kind in (_UINT, _BOOL):
        return region.number(_UNSIGNED[width], at)
    if kind == _FLOAT and width in _REAL:
        return region.real(_REAL[width], at)
    if kind in (_STRING, _BLOB):
        start = at - region.number(_UNSIGNED[width], at)
        length_width = 1 << (packed & 3)
        return region.part(start, region.number(_UNSIGNED[length_width], start - length_width))
    return None
