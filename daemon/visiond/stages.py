"""Stages: what a configuration asks for, built, and brought to another one: cameras, lanes, engines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from visiond.cameras.address import SourceAddress
from visiond.cameras.remote import RemoteCamera
from visiond.config import Camera, Config
from visiond.detection import Result
from visiond.edgetpu.sticks import Stick, find_sticks
from visiond.engine.fleet import Fleet, Staffing
from visiond.engine.remote import RemoteEngine
from visiond.lane import Lane
from visiond.messages import FrameDropped, OpenCamera
from visiond.modelkit.package import Package
from visiond.plans import edgetpu_settings, plan_models
from visiond.publish import wire
from visiond.staff import Staff
from visiond.supervisor import Worker

log = logging.getLogger(__name__)


class Stages:
    """Frames go from the cameras' workers to the engines', and their results through the lanes to `on_detections`."""

    def __init__(
        self,
        config: Config,
        staff: Staff,
        on_detections: Callable[[wire.Detections], None],
        on_change: Callable[[], None],
    ) -> None:
        """Build nothing yet: `apply` does. `on_change`: what `status` tells has become something else."""
        self.config = config
        self.cameras: dict[str, RemoteCamera] = {}
        self.lanes: dict[str, Lane] = {}
        self.packages: dict[str, Package] = {}
        self._staff = staff
        self._on_detections = on_detections
        self._on_change = on_change
        self.fleet = Fleet(
            Staffing(come=lambda engine: staff.start(engine, engine.worker.run), gone=staff.dismiss),
            ring=lambda camera: self.cameras[camera].ring if camera in self.cameras else None,
            on_outcome=self._outcome,
            on_lost=self._engine_lost,
            on_new_epoch=lambda camera: self.lanes[camera].new_epoch(),
            on_change=on_change,
        )

    def workers(self) -> list[Worker]:
        """Return the worker of each camera and each engine."""
        return [*(camera.worker for camera in self.cameras.values()), *self.fleet.workers()]

    def check(self) -> None:
        """Look whether every worker makes progress; one that does not is ended."""
        for camera in self.cameras.values():
            camera.check()
        self.fleet.check(self._pending)

    def find_sticks(self) -> tuple[Stick, ...]:
        """Look for Edge TPUs where the configuration says. May be called in another thread."""
        edgetpu = self.config.edgetpu
        return find_sticks(edgetpu.sysfs, edgetpu.dev, ours=self.fleet.pids())

    async def close(self) -> None:
        """End the engines and give the cameras' memory back; their tasks have ended."""
        await self.fleet.close()
        for camera in self.cameras.values():
            camera.close()

    # a configuration, and another one

    def has_room(self, config: Config, packages: dict[str, Package]) -> bool:
        """Whether `apply` may be called: so many engines of earlier configurations may be about to end, and no more."""
        return self.fleet.has_room(plan_models(config, packages))

    def apply(self, config: Config, packages: dict[str, Package]) -> None:
        """Bring cameras and engines to this configuration. What it leaves as it was is not disturbed."""
        for name in [name for name in self.cameras if name not in config.cameras]:
            self._end_camera(name)
        moved = [
            name
            for name, lane in self.lanes.items()
            if config.cameras[name].model != lane.settings.model and name in self.cameras
        ]
        for name in moved:
            self.fleet.models[self.lanes[name].settings.model].forget_ring(name)
            self.lanes[name].new_epoch()
        self.config = config
        self.packages = packages
        added = [name for name in config.cameras if name not in self.cameras]
        for name, settings in config.cameras.items():
            if name in added:
                self.lanes[name] = Lane(name, settings)
                self.cameras[name] = self._camera(name)
            else:
                self._adjust_camera(name, settings)
        self.fleet.apply(plan_models(config, self.packages), edgetpu_settings(config), config.edgetpu.max_backoff_s)
        for name in added:
            self._staff.start(self.cameras[name], self.cameras[name].worker.run)
        self._on_change()

    def is_changing(self, camera: str) -> bool:
        """Whether its results may still be those of an engine of the configuration before."""
        return self.fleet.models[self.lanes[camera].settings.model].is_changing

    def _adjust_camera(self, name: str, settings: Camera) -> None:
        lane, camera = self.lanes[name], self.cameras[name]
        same_age = _max_age_ms(lane.settings) == _max_age_ms(settings)
        same_model = lane.settings.model == settings.model
        lane.settings = settings
        address = SourceAddress.parse(settings.source)
        restarts = camera.reconfigure(
            _open_camera(name, settings), _max_age_ms(settings), address.redacted, address.redact_in
        )
        if not restarts and not same_age and same_model:
            self.fleet.models[settings.model].reoffer(name)

    def _end_camera(self, name: str) -> None:
        camera, lane = self.cameras.pop(name), self.lanes.pop(name)
        self.fleet.models[lane.settings.model].forget_ring(name)
        self._staff.dismiss(camera)
        camera.close()

    def _camera(self, name: str) -> RemoteCamera:
        settings = self.config.cameras[name]
        address = SourceAddress.parse(settings.source)
        return RemoteCamera(
            _open_camera(name, settings),
            _max_age_ms(settings),
            address.redacted,
            address.redact_in,
            on_ring=lambda: self._hand_over_ring(name),
            on_change=self._on_change,
        )

    # the way of a frame and of its result

    def _hand_over_ring(self, camera: str) -> None:
        """A camera has a new ring, or none any more: its engines must know."""
        if camera not in self.lanes:
            return
        self.fleet.models[self.lanes[camera].settings.model].forget_ring(camera)
        if self.cameras[camera].ring is None:
            self.lanes[camera].new_epoch()
        self.fleet.settle()

    def _outcome(self, engine: RemoteEngine, outcome: Result | FrameDropped) -> None:
        camera, lane = self.cameras.get(outcome.camera), self.lanes.get(outcome.camera)
        if camera is None or lane is None:
            return  # the camera has left with a reload
        if isinstance(outcome, FrameDropped):
            camera.accounts.dropped(engine.reader, outcome.reason)
            if outcome.text is not None and lane.trouble is None:  # told once, not for each frame of a broken model
                log.warning("camera %s: frame %d dropped: %s", outcome.camera, outcome.frame, outcome.text)
            lane.trouble = outcome.text or lane.trouble
        elif lane.expired(outcome, time.monotonic_ns()):
            camera.accounts.dropped(engine.reader, "expired")
        elif lane.overtaken(outcome):
            camera.accounts.dropped(engine.reader, "overtaken")
        else:
            camera.accounts.inferred(engine.reader)
            degraded = self.fleet.models[lane.settings.model].wants_edgetpu and outcome.engine != "edgetpu"
            self._on_detections(lane.advance(outcome, degraded))

    def _engine_lost(self, engine: RemoteEngine) -> None:
        for name, lane in self.lanes.items():
            if lane.settings.model in engine.models:
                try:
                    self.cameras[name].accounts.engine_lost(engine.reader)
                except BlockingIOError:
                    self.cameras[name].worker.kill("it keeps the frame ring locked and does not go on")

    def _pending(self, engine: RemoteEngine) -> int:
        """Frames that this engine has taken, or that wait for it."""
        pending = 0
        for name, lane in self.lanes.items():
            if lane.settings.model in engine.models:
                accounts = self.cameras[name].accounts
                with suppress(BlockingIOError):  # the camera's worker keeps the ring locked: its own check sees to that
                    pending += accounts.outstanding(engine.reader)
                    pending += accounts.waiting() if name in engine.attached else 0
        return pending


def _open_camera(name: str, settings: Camera) -> OpenCamera:
    return OpenCamera(name, settings.source, settings.size, settings.fps, settings.rotate)


def _max_age_ms(settings: Camera) -> float | None:
    """Frames that wait for the model, with fps: 0, are never too old."""
    return None if settings.fps == 0 else settings.max_age_ms
