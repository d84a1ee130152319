"""Which of a V4L2 camera's pixel formats are used, and which one for a size and a rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from visiond.cameras.v4l2_ioctl import FrameFormat

RAW: Final = ("YUYV", "UYVY", "NV12", "YU12", "GREY")  # what OpenCV turns into BGR rightly, best first
COMPRESSED: Final = ("MJPG", "JPEG")
USED: Final = RAW + COMPRESSED
UNASKED_FPS: Final = 15.0  # where no rate is asked, raw pictures that come slower than this give way to compressed ones
ENOUGH: Final = 0.9  # of the rate that is asked


def choose_format(formats: Sequence[FrameFormat], size: tuple[int, int], fps: float | None) -> str | None:
    """Return the format to ask for: raw where it is offered in this size and fast enough, else compressed.

    None where the camera gives nothing that OpenCV can turn into a picture.
    """
    known = {offer.fourcc: offer for offer in formats if offer.fourcc in USED}
    ranked = sorted(known, key=USED.index)
    needed_fps = ENOUGH * (UNASKED_FPS if fps is None else fps)
    in_size = [name for name in ranked if any(entry.offers(size) for entry in known[name].sizes)]
    for name in in_size:
        if _fastest(known[name], size) >= needed_fps:
            return name
    if in_size:
        return max(in_size, key=lambda name: _fastest(known[name], size))
    return ranked[0] if ranked else None  # the driver takes the nearest size


def _fastest(offer: FrameFormat, size: tuple[int, int]) -> float:
    """Highest rate at this size; a driver that tells none is believed to be fast."""
    return max((max(entry.fps, default=float("inf")) for entry in offer.sizes if entry.offers(size)), default=0.0)
