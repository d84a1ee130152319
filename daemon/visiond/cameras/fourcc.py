"""Formats of pixels and codecs are named by four letters, which V4L2, FFmpeg and OpenCV pass on as one number."""

from __future__ import annotations

from typing import Final

_BIG_ENDIAN: Final = 1 << 31


def text(code: float) -> str:
    """Return the letters: 1196444237 → MJPG. OpenCV gives the number as a float; what is none gives no letters.

    The highest bit marks V4L2's big-endian formats, which the kernel's manual writes as Y16-BE.
    """
    if not 0 <= code < 1 << 32:
        return ""
    number = int(code)
    letters = (number & ~_BIG_ENDIAN).to_bytes(4, "little").decode("ascii", "replace").rstrip("\0 ")
    return f"{letters}-BE" if number & _BIG_ENDIAN else letters
