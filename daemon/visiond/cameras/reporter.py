"""Reporter: what the camera worker tells its parent, on each change and once a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Final

from visiond.cameras.inspection import WORDS
from visiond.cameras.rate import Rate, RateAlarm
from visiond.channel import Channel
from visiond.messages import CameraReport, to_json

PERIOD_S: Final = 1.0


class Reporter:
    """Holds the camera's state and measures its rate; `asked_fps` is what that is held against, None for nothing."""

    def __init__(self, channel: Channel, asked_fps: float | None = None) -> None:
        self._channel = channel
        self._state = "opening"
        self._reason: str | None = None
        self._retry_at_s: float | None = None
        self._size: tuple[int, int] | None = None
        self._format: str | None = None
        self._past_skips: Counter[str] = Counter()
        self._skips: Mapping[str, int] = {}
        self._due_s = 0.0
        self._quality: str | None = None
        self._name_remark: str | None = None
        self._rate = Rate()
        self._alarm = RateAlarm(asked_fps)

    def opened(self, skips: Mapping[str, int], name_remark: str | None = None) -> None:
        """A camera begins; `skips` is its own count, read when a report is due; `name_remark` is of its name."""
        self._skips = skips
        self._name_remark = name_remark
        self._alarm.restart()

    def closed(self) -> None:
        """The camera is gone; what it skipped still counts."""
        self._past_skips.update(self._skips)
        self._skips = {}

    def change(self, state: str, reason: str | None = None, retry_in_s: float | None = None) -> None:
        """Report a state at once, and from now on."""
        self._state, self._reason = state, reason
        self._retry_at_s = None if retry_in_s is None else time.monotonic() + retry_in_s
        self._send()

    def skip(self, reason: str) -> None:
        """Count a frame that was seen here not to be one."""
        self._past_skips[reason] += 1

    def published(self, captured_ns: int, size: tuple[int, int], form: str, quality: str | None) -> None:
        """Count a frame. The first is reported at once; a new size waits for the next report: pictures may differ."""
        self._rate.count(captured_ns)
        self._alarm.count(captured_ns)
        self._size, self._format, self._quality = size, form, quality
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
            quality=self._quality if streaming else None,
            remark=self._remark() if streaming else None,
        )
        self._channel.send(to_json(report))

    def _remark(self) -> str | None:
        """Return what had better be changed although frames come."""
        quality = None if self._quality is None else WORDS[self._quality]
        return "; ".join(part for part in (self._alarm.text, quality, self._name_remark) if part) or None
