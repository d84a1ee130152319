"""Inspection: what the pictures of a camera tell of the camera: that it has frozen, or that there is little to see."""

from __future__ import annotations

import time
from typing import Final

import numpy as np

from visiond.cameras.source import Pixels
from visiond.errors import CameraError

FROZEN_S: Final = 1.5  # without a new picture; with what the rest takes, the state is told within 2 s
LEARNING: Final = 30  # pictures that all differ from the one before: this camera's noise lets no two be equal
PERIOD_S: Final = 1.0  # between two looks at the quality
_LINES: Final = 60  # of the picture are looked at, and about as many columns: every 8th of 640x480
_FLAT: Final = 4.0  # standard deviation, of 255: less is a wall, or a lens that is covered
_DIM: Final = 12.0  # with this and a mean near an end of the range: black or white with some noise in it
_DARK: Final = 24.0
_BRIGHT: Final = 231.0
WORDS: Final = {
    "dark": "the picture is almost black: is there light, is the lens covered?",
    "bright": "the picture is almost white: does the camera look into a lamp or the sun?",
    "flat": "the picture is of one colour: is the lens covered?",
}


class Inspection:
    """Looks at each frame of one camera, across its re-openings.

    `quality` is dark, bright, flat or None, of about the last second; detections go on whatever it is.
    """

    def __init__(self) -> None:
        self.quality: str | None = None
        self._has_sensor = False
        self._last: Pixels | None = None
        self._different = 0  # in a row; from LEARNING on, noise is expected until the process ends
        self._new_s = 0.0
        self._due_s = 0.0

    def opened(self, has_sensor: bool) -> None:
        """Another life of the camera begins; a picture that is still the frozen one is known again."""
        self._has_sensor = has_sensor
        self._due_s = 0.0

    def is_new(self, frame: Pixels) -> bool:
        """Whether this picture differs from the one before, as each of a sensor's pictures does.

        Raises CameraError (frozen) when none has for FROZEN_S. One of a single colour may well be equal to the last.
        """
        now_s = time.monotonic()
        if not self._has_sensor and now_s < self._due_s:
            return True
        sample = _sample(frame)
        if now_s >= self._due_s:
            self._due_s = now_s + PERIOD_S
            self.quality = quality_of(sample)
        if self._has_sensor and self._is_repeated(sample):
            if now_s - self._new_s > FROZEN_S:
                raise CameraError(
                    f"no pixel of its picture has changed for {now_s - self._new_s:.1f} s, although it had noise "
                    "before; unplug it and plug it in again",
                    "frozen",
                )
            return False
        self._new_s = now_s
        return True

    def _is_repeated(self, sample: Pixels) -> bool:
        equal = self._last is not None and np.array_equal(sample, self._last)
        self._last = sample
        expects_noise = self._different >= LEARNING
        if not equal:
            self._different += 1
        elif not expects_noise:
            self._different = 0
        return equal and expects_noise and quality_of(sample) is None


def quality_of(sample: Pixels) -> str | None:
    """Return dark, bright or flat, or None for a picture with something in it."""
    channels = sample.reshape(-1, sample.shape[-1])
    mean, deviation = float(channels.mean()), float(channels.std(axis=0).max())
    if deviation < _DIM and mean < _DARK:
        return "dark"
    if deviation < _DIM and mean > _BRIGHT:
        return "bright"
    return "flat" if deviation < _FLAT else None


def _sample(frame: Pixels) -> Pixels:
    """Return a grid of the frame's pixels, as a copy: the frame's memory is given away."""
    step = max(1, min(frame.shape[:2]) // _LINES)
    return np.ascontiguousarray(frame[::step, ::step]) if step > 1 else frame.copy()
