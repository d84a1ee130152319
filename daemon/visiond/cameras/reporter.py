"""Reporter: what the camera worker tells its parent, on each change and once a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from visiond.channel import Channel
from visiond.messages import CameraReport, to_json

PERIOD_S: Final = 1.0


class Reporter:
    """Holds the camera's state and measures its rate."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._state = "opening"
        self._reason: str | None = None
        self._retry_at_s: float | None = None
        self._size: tuple[int, int] | None = None
        self._format: str | None = None
        self._past_skips: Counter[str] = Counter()
        self._skips: Mapping[str, int] = {}
        self._due_s = 0.0
        self._rate = _Rate()

    def opened(self, skips: Mapping[str, int]) -> None:
        """A camera begins; `skips` is its own count, read when a report is due."""
        self._skips = skips

    def closed(self) -> None:
        """The camera is gone; what it skipped still counts."""
        self._past_skips.update(self._skips)
        self._skips = {}

    def change(self, state: str, reason: str | None = None, retry_in_s: float | None = None) -> None:
        """Report a state at once, and from now on."""
        self._state, self._reason = state, reason
        self._retry_at_s = None if retry_in_s is None else time.monotonic() + retry_in_s
        self._send()

    def published(self, captured_ns: int, size: tuple[int, int], form: str) -> None:
        """Count a frame. The first is reported at once; a new size waits for the next report: pictures may differ."""
        self._rate.count(captured_ns)
        self._size, self._format = size, form
        if self._state != "streaming":
            self.change("streaming")

    def tick(self) -> None:
        """Report when the last report is a second old."""
        if time.monotonic() >= self._due_s:
            self._send()

    def _send(self) -> None:
        now_s = time.monotonic()
        self._due_s = now_s + PERIOD_S
        streaming = self._state == "streaming"
        report = CameraReport(
            state=self._state,
            reason=self._reason,
            retry_in_s=None if self._retry_at_s is None else round(max(0.0, self._retry_at_s - now_s), 1),
            size=self._size,
            format=self._format,
            fps=self._rate.fps() if streaming else None,
            skipped=dict(self._past_skips + Counter(self._skips)),
        )
        self._channel.send(to_json(report))


class _Rate:
    """Frames per second, from the stamps of the frames between two readings."""

    def __init__(self) -> None:
        self._frames = 0
        self._first_ns: int | None = None  # the last stamp before this reading's frames
        self._last_ns = 0
        self._fps: float | None = None

    def count(self, captured_ns: int) -> None:
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
