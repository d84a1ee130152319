"""Golden places: what keypoints and masks of a golden example miss, in words with the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection, Mask, Segment


def keypoints_off(found: Detection, expected: Mapping[str, Sequence[float]], within: float) -> Iterator[str]:
    """Yield a sentence for each keypoint (name → y, x as fractions) that is not there, or off by more than `within`."""
    points = {point.name: point for point in found.keypoints or ()}
    for name, (y, x) in expected.items():
        point = points.get(name)
        if point is None:
            known = ", ".join(each or "one without a name" for each in points) or "no keypoint"
            yield f"{found.label} has no keypoint {name}; it has {known}"
            continue
        off = max(abs(point.y - y), abs(point.x - x))
        if off > within:
            yield (
                f"expected {name} of {found.label} at {y:.2f}, {x:.2f} within {within:.2f}; "
                f"it is at {point.y:.2f}, {point.x:.2f}, off by {off:.2f}"
            )


def mask_overlap(found: Segment, picture: Path, least: float) -> Iterator[str]:
    """Yield a sentence when the segment's mask overlaps the picture's, which is black elsewhere, less than `least`."""
    drawn = cv2.imread(str(picture), cv2.IMREAD_GRAYSCALE)
    if drawn is None:
        yield f"{picture.name}: not there, or no picture that can be read; put it into {picture.parent}"
        return
    size = found.mask.width, found.mask.height
    expected = cv2.resize(drawn, size, interpolation=cv2.INTER_NEAREST) > 0
    overlap = mask_iou(mask_cells(found.mask), expected)
    if overlap < least:
        yield f"expected the mask of {found.label} with IoU ≥ {least:.2f}; it has {overlap:.2f}"


def mask_cells(mask: Mask) -> NDArray[np.bool_]:
    """Return the mask as (height, width) of bool."""
    inside = np.arange(len(mask.counts)) % 2 == 1
    return np.repeat(inside, mask.counts).reshape(mask.width, mask.height).T


def mask_iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Intersection over union, 0 to 1; two empty masks have 0."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0
