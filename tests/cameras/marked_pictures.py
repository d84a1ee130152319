"""Pictures that carry a number, so that a test can tell which one arrived, and when it was made.

Sixteen columns, white for a 1 and black for a 0, survive every codec.
"""

from __future__ import annotations

import time

import cv2
import numpy as np
from numpy.typing import NDArray

BITS = 16


def marked(number: int, size: tuple[int, int] = (320, 240)) -> NDArray[np.uint8]:
    """A picture (height, width, 3) that says the lowest 16 bits of `number`."""
    width, height = size
    bits = np.array([number >> bit & 1 for bit in range(BITS)], np.uint8) * 235
    row = np.repeat(bits, -(-width // BITS))[:width]
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def mark_of(picture: NDArray[np.uint8]) -> int:
    """Read the number."""
    height, width = picture.shape[:2]
    block = -(-width // BITS)
    columns = picture[height // 2, block // 2 :: block, 1]
    return sum(1 << bit for bit, value in enumerate(columns) if value > 117)


def now_ms() -> int:
    """CLOCK_MONOTONIC in milliseconds, as much of it as a mark can hold."""
    return time.monotonic_ns() // 1_000_000 & 0xFFFF


def age_ms(picture: NDArray[np.uint8], at_ns: int) -> int:
    """How long before `at_ns` the picture was made that is marked with its time."""
    age = (at_ns // 1_000_000 - mark_of(picture)) & 0xFFFF
    return age if age < 0x8000 else age - 0x10000


def jpeg_of(picture: NDArray[np.uint8]) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()
