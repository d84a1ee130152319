"""A JPEG out of a stream, as one frame; one that is cut short gives none."""

from __future__ import annotations

from typing import Final

import cv2

from visiond.cameras.environment import MAX_PIXELS
from visiond.cameras.source import Pixels

_START_OF_IMAGE: Final = b"\xff\xd8"
_END_OF_IMAGE: Final = b"\xff\xd9"
_PADDING: Final = 64  # bytes of zeros or line ends that cameras leave behind the end


def decode(packet: Pixels) -> Pixels | None:
    """Return the frame of a whole JPEG (a flat array of its bytes), or None where it is broken or far too large.

    libjpeg fills the missing part of a truncated picture with grey and only warns, hence the look at its end.
    """
    flat = packet.reshape(-1)
    if flat[:2].tobytes() != _START_OF_IMAGE or _END_OF_IMAGE not in flat[-_PADDING:].tobytes():
        return None
    try:
        frame = cv2.imdecode(flat, cv2.IMREAD_COLOR)
    except cv2.error:  # it declares more pixels than OPENCV_IO_MAX_IMAGE_PIXELS
        return None
    if frame is None or frame.shape[0] * frame.shape[1] > MAX_PIXELS:
        return None
    return frame  # type: ignore[return-value]
