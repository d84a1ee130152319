"""How a frame is brought to the size that was asked for."""

from __future__ import annotations

import cv2

from visiond.cameras.source import Pixels


def resized(frame: Pixels, size: tuple[int, int] | None, destination: Pixels | None = None) -> Pixels:
    """Stretch `frame` to `size` (width, height), into `destination` where that fits; None leaves it as it is."""
    height, width = frame.shape[:2]
    if size is None or size == (width, height):
        return frame
    shrinks = size[0] < width and size[1] < height
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(frame, size, dst=destination, interpolation=interpolation)  # type: ignore[return-value]
