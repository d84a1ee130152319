"""Lane: one camera's way through the parent, from a result of its engine to what is published."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from visiond.config import Camera
from visiond.detection import Result
from visiond.publish import wire
from visiond.tracking import Tracker
from visiond.zones import zones_of


class Lane:
    """Numbers the results (`seq`), tracks and zones their objects, and knows when the last one came.

    `seq` goes on for as long as the daemon lives. `epoch` rises when the camera's worker or the engine has changed:
    what was tracked before may be something else now.
    """

    def __init__(self, name: str, settings: Camera) -> None:
        self.name = name
        self.settings = settings
        self.seq = 0
        self.epoch = 1
        self.trouble: str | None = None  # why the last frame gave no result, until one gives one
        self._tracker = Tracker()
        self._captured_ns: int | None = None

    def expired(self, result: Result, now_ns: int) -> bool:
        """Whether the result is too old to be published as fresh. Frames that wait for the model (fps: 0) never are."""
        return self.settings.fps != 0 and now_ns - result.captured_ns > self.settings.max_age_ms * 1e6

    def overtaken(self, result: Result) -> bool:
        """Whether a newer frame's result was published before this one: several engines may share a camera."""
        return self._captured_ns is not None and result.captured_ns <= self._captured_ns

    def advance(self, result: Result, degraded: bool) -> wire.Detections:
        """Turn the engine's result into the next message of this camera."""
        if result.objects is not None:
            if self.settings.track:
                result = self._tracker.update(result)
            if self.settings.zones:
                result = self._in_zones(result)
        self.seq += 1
        self.trouble = None
        self._captured_ns = result.captured_ns
        return wire.detections(
            result, seq=self.seq, epoch=self.epoch, published_ns=time.monotonic_ns(), degraded=degraded
        )

    def new_epoch(self) -> None:
        """The camera or the engine behind the results is another one."""
        self.epoch += 1
        self._tracker.reset()

    @property
    def captured_ns(self) -> int:
        """When the frame that was published last was captured (CLOCK_MONOTONIC), 0 before the first."""
        return self._captured_ns or 0

    def result_age_ms(self, now_ns: int) -> float | None:
        """Age of the frame that was published last, None before the first."""
        return None if self._captured_ns is None else (now_ns - self._captured_ns) / 1e6

    def _in_zones(self, result: Result) -> Result:
        zones: Any = self.settings.zones
        objects = tuple(replace(found, zones=zones_of(found.box, zones)) for found in result.objects or ())
        return result.with_objects(objects)
