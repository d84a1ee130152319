"""COCO's annotation file: read, and checked before anything relies on it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visiond.errors import DataError, NoInputError

_KEYS: Final = {
    "images": ("id", "file_name"),
    "annotations": ("image_id", "category_id", "bbox"),
    "categories": ("id", "name"),
}


def read_coco(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Return `images`, `annotations` and `categories`, with what pycocotools needs filled in: id, area, iscrowd.

    Raises NoInputError where there is no file, and DataError, with the place in it, for what is not COCO's.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise NoInputError(f"{path} cannot be read: {error.strerror}; give a COCO json, or its folder") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is no JSON ({error}); give COCO's annotation file") from error
    if not isinstance(content, Mapping):
        raise DataError(
            f"{path} is not COCO's: it holds no object with images, annotations and categories; give COCO's annotation "
            "file of boxes"
        )
    found = {key: _entries(path, content, key) for key in _KEYS}
    if not found["images"]:
        raise DataError(f"{path} names no images; give an annotation file with pictures")
    known = {each["id"] for each in found["images"]}
    if len(known) != len(found["images"]):
        raise DataError(f"{path}: two images have the same id; give each its own")
    for number, each in enumerate(found["annotations"]):
        if each["image_id"] not in known:
            raise DataError(f"{path}: annotations[{number}] is of image {each['image_id']!r}, which is none of images")
        each.update(_filled(path, number, each))
    boxes = [each["bbox"] for each in found["annotations"]]
    if boxes and all(0 < x + width <= 1 and 0 < y + height <= 1 for x, y, width, height in boxes):
        raise DataError(
            f"{path}: every bbox lies within the first pixel, as annotations[0]'s {boxes[0]!r}: these look like "
            "fractions of the picture; give [x, y, width, height] in pixels"
        )
    return found


def _entries(path: Path, content: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = content.get(key)
    if not isinstance(entries, list):
        raise DataError(f"{path} is not COCO's: it has no list '{key}'; give COCO's annotation file of boxes")
    for number, each in enumerate(entries):
        missing = [name for name in _KEYS[key] if not isinstance(each, Mapping) or name not in each]
        if missing:
            raise DataError(f"{path}: {key}[{number}] has no {' and no '.join(missing)}; give COCO's annotation file")
        if any(not isinstance(each[name], int) for name in _KEYS[key] if name.endswith("id")):
            raise DataError(f"{path}: {key}[{number}] has an id that is no whole number; number them")
    return [dict(each) for each in entries]


def _filled(path: Path, number: int, annotation: Mapping[str, Any]) -> dict[str, Any]:
    box = annotation["bbox"]
    numbers = isinstance(box, list) and len(box) == 4 and all(isinstance(each, (int, float)) for each in box)
    if not numbers or not all(math.isfinite(each) for each in box) or min(box[2:]) < 0:
        raise DataError(f"{path}: annotations[{number}].bbox is {box!r}; give [x, y, width, height] in pixels")
    return {
        "id": number + 1,  # pycocotools takes 0 for "not matched"
        "area": annotation.get("area", box[2] * box[3]),
        "iscrowd": annotation.get("iscrowd", 0),
    }
