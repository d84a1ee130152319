"""Capture: the camera worker's loop, from an address to frames, and again when the camera comes back."""

from __future__ import annotations

import math
import random
import time
from typing import Final

from visiond.cameras.address import SourceAddress
from visiond.cameras.inspection import Inspection
from visiond.cameras.outlet import FrameOutlet
from visiond.cameras.pacing import Thinner
from visiond.cameras.reporter import PERIOD_S, Reporter
from visiond.cameras.source import Camera, open_camera
from visiond.channel import Channel
from visiond.errors import CameraError
from visiond.messages import OpenCamera

FIRST_RETRY_S: Final = 0.5
LAST_RETRY_S: Final = 1.5  # so that a camera that is back gives frames within 3 s
REFUSED_RETRY_S: Final = 30.0  # a person must mend it: a password, a file
STABLE_S: Final = 5.0  # a camera that has delivered this long is tried again at once when it is lost
MAX_BROKEN: Final = 30
JITTER: Final = 0.2  # cameras that went down together do not all come back at one moment


class Capture:
    """One camera's life. `run` ends only with the process: by ChannelClosed when the parent is gone."""

    def __init__(self, order: OpenCamera, channel: Channel) -> None:
        self._order = order
        self._outlet = FrameOutlet(order.name, order.rotate, channel)
        self._inspection = Inspection()
        # A live camera's frames do not wait: with fps 0 they come as it gives them. All others wait for the engine.
        live = SourceAddress.parse(order.source).is_live
        self._waits_for_engine = order.fps == 0 and not live
        self._reporter = Reporter(channel, order.fps if live else None)
        self._thinner = Thinner(order.fps if live else None)
        self._backoff_s = FIRST_RETRY_S
        self._opened_s: float | None = None  # None while it is not open
        self._retry_at_s = 0.0
        self._broken = 0  # frames in a row

    def run(self) -> None:
        """Open, play, and try again when it fails."""
        self._reporter.change("opening")
        while True:
            if self._plays_to_its_end():
                self._reporter.change("ended", "played to its end; ?loop=1 behind the source repeats it")
                self._retry_at_s = math.inf  # only the parent can end this process
            while (left_s := self._retry_at_s - time.monotonic()) > 0:
                time.sleep(min(left_s, PERIOD_S))
                self._reporter.tick()

    def _plays_to_its_end(self) -> bool:
        """Open the camera and publish its frames; False when it fails, which is reported then."""
        camera = None
        self._opened_s = None
        try:
            camera = open_camera(self._order.source, self._order.size, self._order.fps)
            self._opened_s = time.monotonic()
            self._reporter.opened(camera.skipped, camera.name_remark)
            self._inspection.opened(camera.has_sensor)
            self._play(camera)
        except CameraError as error:
            self._failed(error)  # before it is closed: that may wait for the network
            return False
        finally:
            if camera is not None:
                self._reporter.closed()
                camera.close()
        return True

    def _play(self, camera: Camera) -> None:
        while True:
            self._outlet.prefetch(camera)
            if self._waits_for_engine:
                self._outlet.wait_until_taken(self._reporter.tick)
            captured_ns = camera.grab()
            if captured_ns is None:
                return
            if self._thinner.keeps(captured_ns):
                self._publish(camera, captured_ns)
            self._reporter.tick()

    def _publish(self, camera: Camera, captured_ns: int) -> None:
        frame = self._outlet.retrieve(camera)
        if frame is None:
            self._count_broken()
            return
        self._broken = 0
        if self._inspection.is_new(frame):
            size = self._outlet.publish(frame, captured_ns)
            self._reporter.published(captured_ns, size, camera.format, self._inspection.quality)
        else:
            self._reporter.skip("repeated")

    def _count_broken(self) -> None:
        self._broken += 1
        if self._broken >= MAX_BROKEN:
            self._broken = 0
            raise CameraError(f"{MAX_BROKEN} frames in a row were broken; check cable, bandwidth and format", "lost")

    def _failed(self, error: CameraError) -> None:
        """Date the next try, and report it."""
        if self._opened_s is not None and time.monotonic() - self._opened_s > STABLE_S:
            self._backoff_s = FIRST_RETRY_S
        if error.state == "refused":
            wait_s = REFUSED_RETRY_S
        else:
            wait_s = self._backoff_s * random.uniform(1 - JITTER, 1 + JITTER)
            self._backoff_s = min(2 * self._backoff_s, LAST_RETRY_S)
        self._retry_at_s = time.monotonic() + wait_s
        self._reporter.change(error.state, str(error), wait_s)
