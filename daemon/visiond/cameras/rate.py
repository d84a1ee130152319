"""The rate of a camera: measured from the stamps of its frames, and held against what was asked."""

from __future__ import annotations

import time
from typing import Final

WINDOW: Final = 100  # frames over which the rate is held against what was asked
ENOUGH: Final = 0.9  # of that; cameras round


class Rate:
    """Frames per second, from the stamps of the frames between two readings."""

    def __init__(self) -> None:
        self._frames = 0
        self._first_ns: int | None = None  # the last stamp before this reading's frames
        self._last_ns = 0
        self._fps: float | None = None

    def count(self, captured_ns: int) -> None:
        """Count a frame."""
        if self._first_ns is None:
            self._first_ns = captured_ns
        else:
            self._frames += 1
        self._last_ns = captured_ns

    def fps(self) -> float | None:
        """None until two frames have come; a camera that falls silent sinks towards 0."""
        if self._first_ns is None:
            return None
        if self._frames and self._last_ns > self._first_ns:
            self._fps = round(self._frames * 1e9 / (self._last_ns - self._first_ns), 2)
        elif self._fps is not None:
            silence_ns = time.monotonic_ns() - self._last_ns
            self._fps = round(min(self._fps, 1e9 / silence_ns), 2) if silence_ns > 0 else self._fps
        self._frames, self._first_ns = 0, self._last_ns
        return self._fps


class RateAlarm:
    """Whether a camera gives less than ENOUGH of the `asked_fps` over WINDOW frames; with None nothing was asked."""

    def __init__(self, asked_fps: float | None) -> None:
        self.text: str | None = None
        self._asked_fps = asked_fps
        self._frames = 0
        self._first_ns: int | None = None

    def restart(self) -> None:
        """The camera was opened anew: the pause before does not count."""
        self._frames, self._first_ns, self.text = 0, None, None

    def count(self, captured_ns: int) -> None:
        """Count a frame. It is judged at the window's end, or as soon as that can no longer come in time."""
        if not self._asked_fps:
            return
        if self._first_ns is None:
            self._first_ns = captured_ns
            return
        self._frames += 1
        span_s = (captured_ns - self._first_ns) / 1e9
        late = span_s > WINDOW / (ENOUGH * self._asked_fps)
        if self._frames < WINDOW and not late:
            return
        self.text = None
        if late:
            self.text = (
                f"gives {self._frames / span_s:.1f} of the {self._asked_fps:g} frames a second that are asked; more "
                "light, a smaller size or a faster port may help, or ask for fewer"
            )
        self._frames, self._first_ns = 0, captured_ns
