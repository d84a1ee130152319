"""The daemon: build its parts, start them, pass each result on, stop. The only file that knows every part."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from visiond import __version__, systemd
from visiond.board import read_board
from visiond.bulletin import HEARTBEAT_S, Bulletin
from visiond.cameras.address import SourceAddress
from visiond.cameras.remote import RemoteCamera
from visiond.config import Config, Model, load_config
from visiond.detection import Result
from visiond.edgetpu.sticks import Stick, find_sticks
from visiond.engine.accelerator import EdgeTpuSettings
from visiond.engine.fleet import Fleet, ModelPlan, parse_devices
from visiond.engine.remote import RemoteEngine
from visiond.lane import Lane
from visiond.lookout import Lookout
from visiond.messages import FrameDropped, LoadModel, OpenCamera
from visiond.modelkit.package import Package
from visiond.packages import load_packages
from visiond.places import default_socket_path
from visiond.publish.unix_socket import UnixSocketServer

log = logging.getLogger(__name__)

CHECK_S: Final = 0.25
STICKS_S: Final = 0.5
BOARD_S: Final = 5.0
SWITCH_INTERVAL_S: Final = 0.0005  # CPython's 5 ms would let a result wait that long for a lookout


class Service:
    """Every part of one running daemon."""

    def __init__(self, config: Config, packages: dict[str, Package], listening: socket.socket | None = None) -> None:
        self._config = config
        self._packages = packages
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._last_state = ("", "")
        self._lanes = {name: Lane(name, settings) for name, settings in config.cameras.items()}
        self._cameras = {name: self._camera(name) for name in config.cameras}
        self._fleet = Fleet(
            plan_models(config, packages),
            edgetpu_settings(config),
            config.edgetpu.max_backoff_s,
            ring=lambda camera: self._cameras[camera].ring,
            on_outcome=self._outcome,
            on_lost=self._engine_lost,
            on_new_epoch=lambda camera: self._lanes[camera].new_epoch(),
            on_change=self._changed.set,
        )
        self._bulletin = Bulletin(self._lanes, self._cameras, self._fleet, packages)
        self._lookouts: list[Lookout[Any]] = [Lookout("board", BOARD_S, read_board, self._bulletin.note_board)]
        if self._fleet.accelerators:
            self._lookouts.append(Lookout("sticks", STICKS_S, self._find_sticks, self._fleet.look))
        self._server = UnixSocketServer(
            config.socket.path,
            group=config.socket.group,
            mode=config.socket.mode,
            max_clients=config.socket.max_clients,
            hello=self._bulletin.hello,
            status=self._status,
            listening=listening,
            create_folder=config.socket.path == default_socket_path(),
        )

    async def serve(self) -> None:
        """Listen, start the workers, and go on until SIGTERM or SIGINT; then say bye and end all of them."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, log.warning, "SIGHUP: a changed configuration needs a restart")
        await self._server.start()
        log.info("visiond %s listens on %s", __version__, self._config.socket.path)
        workers = [camera.worker for camera in self._cameras.values()]
        workers += [engine.worker for engine in self._fleet.engines]
        works = [*(worker.run() for worker in workers), self._heartbeat(), self._watch_over()]
        tasks = [asyncio.create_task(work) for work in works]
        for lookout in self._lookouts:
            lookout.start()
        gc.freeze()  # what lives as long as the daemon is not looked through again at every collection
        stopping = asyncio.create_task(self._stop.wait())
        try:
            done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # none of them ends by itself: this raises what ended it
        finally:
            for lookout in self._lookouts:
                lookout.stop()
            await self._server.close("visiond stops")
            for task in (stopping, *tasks):
                task.cancel()
            await asyncio.gather(stopping, *tasks, return_exceptions=True)
            await self._fleet.close()
            for camera in self._cameras.values():
                camera.close()
            log.info("visiond has stopped")

    # the way of a frame's result

    def _outcome(self, engine: RemoteEngine, outcome: Result | FrameDropped) -> None:
        camera, lane = self._cameras[outcome.camera], self._lanes[outcome.camera]
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
            degraded = self._fleet.models[lane.settings.model].wants_edgetpu and outcome.engine != "edgetpu"
            self._server.publish(lane.advance(outcome, degraded))

    # keeping watch

    async def _heartbeat(self) -> None:
        """Push `status` every second, and at each change."""
        while True:
            with suppress(TimeoutError):  # wait_for of Python 3.11 loses a cancellation that comes with the event
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._changed.wait()
            self._changed.clear()
            self._server.publish_status()

    async def _watch_over(self) -> None:
        """Look at every worker's progress, and at the state that follows from it."""
        while True:
            await asyncio.sleep(CHECK_S)
            for camera in self._cameras.values():
                camera.check()
            self._fleet.check(self._pending)
            self._note_state()

    def _note_state(self) -> None:
        status = self._status()
        state = (status["state"], status["reason"])
        if state[0] != self._last_state[0]:
            log.log(logging.INFO if state[0] == "ok" else logging.WARNING, "state: %s%s", state[0], _because(state[1]))
        if state != self._last_state:
            self._last_state = state
            self._changed.set()

    def _status(self) -> dict[str, Any]:
        return self._bulletin.status(self._server.counters())

    def _find_sticks(self) -> tuple[Stick, ...]:
        edgetpu = self._config.edgetpu
        return find_sticks(edgetpu.sysfs, edgetpu.dev, ours=self._fleet.pids())

    # building the parts

    def _camera(self, name: str) -> RemoteCamera:
        settings = self._config.cameras[name]
        address = SourceAddress.parse(settings.source)
        return RemoteCamera(
            OpenCamera(name, settings.source, settings.size, settings.fps, settings.rotate),
            None if settings.fps == 0 else settings.max_age_ms,
            address.redacted,
            address.redact_in,
            on_ring=lambda: self._hand_over_ring(name),
            on_change=self._changed.set,
        )

    def _pending(self, engine: RemoteEngine) -> int:
        """Frames that this engine has taken, or that wait for it."""
        pending = 0
        for name, lane in self._lanes.items():
            if lane.settings.model in engine.models:
                accounts = self._cameras[name].accounts
                with suppress(BlockingIOError):  # the camera's worker keeps the ring locked: its own check sees to that
                    pending += accounts.outstanding(engine.reader)
                    pending += accounts.waiting() if name in engine.attached else 0
        return pending

    def _hand_over_ring(self, camera: str) -> None:
        """A camera has a new ring, or none any more: its engines must know."""
        self._fleet.models[self._lanes[camera].settings.model].forget_ring(camera)
        if self._cameras[camera].ring is None:
            self._lanes[camera].new_epoch()
        self._fleet.settle()

    def _engine_lost(self, engine: RemoteEngine) -> None:
        for name, lane in self._lanes.items():
            if lane.settings.model in engine.models:
                try:
                    self._cameras[name].accounts.engine_lost(engine.reader)
                except BlockingIOError:
                    self._cameras[name].worker.kill("it keeps the frame ring locked and does not go on")


def plan_models(config: Config, packages: Mapping[str, Package]) -> list[ModelPlan]:
    """How each model is to run, from what its package has and its policy allows."""
    plans = []
    for name, package in packages.items():
        settings = config.models[name]

        def load(file: str, name: str = name, settings: Model = settings) -> LoadModel:
            folder = str(packages[name].folder)
            scores = settings.min_score, settings.max_objects
            return LoadModel(name, folder, file, settings.threads, *scores, runtime=settings.runtime)

        on_tpu = settings.accelerator != "never" and package.files.edgetpu is not None
        cpu_file = package.cpu_file(settings.runtime)
        on_cpu = settings.accelerator != "required" and cpu_file is not None
        plans.append(
            ModelPlan(
                name=name,
                accelerator=settings.accelerator,
                edgetpu=load("edgetpu") if on_tpu else None,
                cpu=load(cpu_file) if on_cpu and cpu_file is not None else None,
                devices=parse_devices(settings.device),
                warm=settings.standby == "warm",
                max_rss_mb=settings.max_rss_mb,
                cameras=tuple(camera for camera, its in config.cameras.items() if its.model == name),
            )
        )
    return plans


def edgetpu_settings(config: Config) -> EdgeTpuSettings:
    """The configuration's section as the plain values that the engines take."""
    given = config.edgetpu
    return EdgeTpuSettings(given.library, given.performance, given.usb.given, given.reset, given.sysfs, given.dev)


def run(config_path: Path, socket_path: Path | None) -> int:
    """Serve this configuration until told to stop; return the exit code. Raises VisiondError before it starts."""
    config = load_config(config_path)
    if socket_path is not None:
        config = config.with_socket(socket_path)
    packages = load_packages(config)
    listening = systemd.listening_socket()
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def serve() -> None:  # the parts need the running loop
        await Service(config, packages, listening).serve()

    asyncio.run(serve())
    return 0


def check(config_path: Path) -> list[str]:
    """Validate the configuration and the packages that it names; return what is no reason not to start.

    Raises VisiondError with every problem.
    """
    packages = load_packages(load_config(config_path))
    return [problem for package in packages.values() for problem in package.golden_problems()]


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
