"""Items: the objects, classes and segments of a detections message, each encoded once for all clients.

Put together by hand: this is on every result's way, and json and asdict take three times as long.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from visiond.detection import Box, Classification, Detection, Keypoint, Mask, Result, Segment

_encoder: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_NO_MASK: Final = b"null"


@dataclass(frozen=True, slots=True)
class Item:
    """One object, class or segment, with what a client may filter by; a segment has no score."""

    label: str | None
    score: float | None
    rank: float  # those of the lowest rank go where not all fit
    encoded: bytes


def items_of(result: Result) -> tuple[bytes, tuple[Item, ...]]:
    """Return the key that they stand under, and the items. Raises ValueError for NaN and infinity."""
    if result.objects is not None:
        return b"objects", tuple(_object(found) for found in result.objects)
    if result.segments is not None:
        return b"segments", tuple(_segment(found) for found in result.segments)
    return b"classes", tuple(_class(found) for found in result.classes or ())


def that_fit(items: Sequence[Item], available_bytes: int) -> list[int]:
    """Return the indices of the items, without those of the lowest rank where all together take too many bytes."""
    excess = sum(len(item.encoded) + 1 for item in items) - available_bytes
    left_out: set[int] = set()
    for index in sorted(range(len(items)), key=lambda index: items[index].rank):
        if excess <= 0:
            break
        excess -= len(items[index].encoded) + 1
        left_out.add(index)
    return [index for index in range(len(items)) if index not in left_out]


def with_masks(items: Sequence[Item], masks: Sequence[Mask], available_bytes: int) -> tuple[Item, ...]:
    """Return segments with their masks; where all together take too many bytes, the longest become null."""
    encoded = [_mask(mask) for mask in masks]
    excess = sum(len(item.encoded) + len(mask) + 9 for item, mask in zip(items, encoded, strict=True)) - available_bytes
    for index in sorted(range(len(encoded)), key=lambda index: -len(encoded[index])):
        if excess <= 0:
            break
        excess -= len(encoded[index]) - len(_NO_MASK)
        encoded[index] = _NO_MASK
    return tuple(
        Item(item.label, item.score, item.rank, b'%b,"mask":%b}' % (item.encoded[:-1], mask))
        for item, mask in zip(items, encoded, strict=True)
    )


@lru_cache(maxsize=4096)
def name(text: str | None) -> str:
    """Return a name as JSON; there are few of them, and each is encoded thousands of times."""
    return _encoder.encode(text)


def check_finite(total: float) -> None:
    """Raise ValueError where a sum shows that one of its parts is NaN or infinite."""
    if not math.isfinite(total):
        raise ValueError("a score, a corner or a time is NaN or infinite")


def _object(found: Detection) -> Item:
    check_finite(found.score)
    track_id = "null" if found.track_id is None else found.track_id
    keypoints = ""
    if found.keypoints is not None:
        keypoints = f',"keypoints":[{",".join(map(_keypoint, found.keypoints))}]'
    encoded = (
        f'{{"label":{name(found.label)},"class_id":{found.class_id},"score":{found.score:.4f},"box":{_box(found.box)}'
        f',"track_id":{track_id},"zones":[{",".join(map(name, found.zones))}]{keypoints}}}'
    )
    score = round(found.score, 4)
    return Item(found.label, score, score, encoded.encode("utf-8", "replace"))


def _keypoint(point: Keypoint) -> str:
    check_finite(point.x + point.y + point.score)
    return f'{{"name":{name(point.name)},"x":{point.x:.5f},"y":{point.y:.5f},"score":{point.score:.4f}}}'


def _class(found: Classification) -> Item:
    check_finite(found.score)
    encoded = f'{{"label":{name(found.label)},"class_id":{found.class_id},"score":{found.score:.4f}}}'
    score = round(found.score, 4)
    return Item(found.label, score, score, encoded.encode("utf-8", "replace"))


def _segment(found: Segment) -> Item:
    check_finite(found.area)
    encoded = (
        f'{{"label":{name(found.label)},"class_id":{found.class_id},"area":{found.area:.5f},"box":{_box(found.box)}}}'
    )
    return Item(found.label, None, found.area, encoded.encode("utf-8", "replace"))


def _box(box: Box) -> str:
    check_finite(box.xmin + box.ymin + box.xmax + box.ymax)
    return f"[{box.xmin:.5f},{box.ymin:.5f},{box.xmax:.5f},{box.ymax:.5f}]"


def _mask(mask: Mask) -> bytes:
    return b'{"size":[%d,%d],"counts":[%b]}' % (mask.height, mask.width, ",".join(map(str, mask.counts)).encode())
