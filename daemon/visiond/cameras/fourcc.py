"""Formats of pixels and codecs are named by four letters, which V4L2, FFmpeg and OpenCV pass on as one number."""

from __future__ import annotations


def text(code: float) -> str:
    """Return the letters: 1196444237 → MJPG. OpenCV gives the number as a float; what is none gives no letters."""
    if not 0 <= code < 1 << 32:
        return ""
    return int(code).to_bytes(4, "little").decode("ascii", "replace").rstrip("\0 ")
