"""The daemon: build its parts, start them, pass each result on, stop. The only file that knows every part."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from visiond import __version__, systemd
from visiond.board import read_board
from visiond.bulletin import HEARTBEAT_S, Bulletin
from visiond.cameras.address import SourceAddress
from visiond.cameras.remote import RemoteCamera
from visiond.config import Camera, Config, load_config
from visiond.control import ControlServer, control_path
from visiond.detection import Result
from visiond.edgetpu.sticks import Stick, find_sticks
from visiond.engine.fleet import Fleet, Staffing
from visiond.engine.remote import RemoteEngine
from visiond.errors import UsageError, VisiondError
from visiond.health import is_blind
from visiond.lane import Lane
from visiond.lookout import Lookout
from visiond.messages import FrameDropped, OpenCamera
from visiond.modelkit.package import Package
from visiond.packages import load_packages
from visiond.places import default_socket_path
from visiond.plans import edgetpu_settings, plan_models
from visiond.publish.unix_socket import UnixSocketServer
from visiond.reload import Report, compare
from visiond.staff import Staff

log = logging.getLogger(__name__)

CHECK_S: Final = 0.25
STICKS_S: Final = 0.5
BOARD_S: Final = 5.0
REASON_S: Final = 5.0  # between two log lines of the same state with another reason
SWITCH_INTERVAL_S: Final = 0.0005  # CPython's 5 ms would let a result wait that long for a lookout


class Service:
    """Every part of one running daemon."""

    def __init__(
        self,
        config: Config,
        packages: dict[str, Package],
        read: Callable[[], tuple[Config, dict[str, Package]]],
        life: systemd.SystemdLife,
        listening: socket.socket | None = None,
    ) -> None:
        """`read` reads the configuration and its packages again; it raises VisiondError."""
        self._config = config
        self._packages = packages
        self._read = read
        self._life = life
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._last_state = ("", "")
        self._told_s = 0.0
        self._staff = Staff()
        self._lanes: dict[str, Lane] = {}
        self._cameras: dict[str, RemoteCamera] = {}
        self._fleet = Fleet(
            Staffing(
                come=lambda engine: self._staff.start(engine, engine.worker.run),
                gone=self._staff.dismiss,
            ),
            ring=lambda camera: self._cameras[camera].ring if camera in self._cameras else None,
            on_outcome=self._outcome,
            on_lost=self._engine_lost,
            on_new_epoch=lambda camera: self._lanes[camera].new_epoch(),
            on_change=self._changed.set,
        )
        self._bulletin = Bulletin(self._lanes, self._cameras, self._fleet, packages)
        self._apply(config, packages)
        self._lookouts: list[Lookout[Any]] = [
            Lookout("board", BOARD_S, read_board, self._bulletin.note_board),
            Lookout("sticks", STICKS_S, self._find_sticks, self._fleet.look),
        ]
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
        self._control = ControlServer(control_path(config.socket.path), self._answer_control)

    async def serve(self) -> None:
        """Listen, start the workers, and go on until SIGTERM or SIGINT; then say bye and end all of them."""
        signals = systemd.Signals(on_stop=self._stop.set, on_reload=self._on_hangup)
        signals.listen()
        await self._server.start()
        await self._control.start()
        log.info("visiond %s listens on %s", __version__, self._config.socket.path, extra={"event": "start"})
        self._life.ready(self._in_words())
        self._staff.start("heartbeat", self._heartbeat)
        self._staff.start("watch", self._watch_over)
        failed = self._staff.begin()
        for lookout in self._lookouts:
            lookout.start()
        gc.freeze()  # what lives as long as the daemon is not looked through again at every collection
        stopping: asyncio.Future[Any] = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({stopping, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()  # raises what ended it
        finally:
            signals.ignore()
            self._life.stopping()
            for lookout in self._lookouts:
                lookout.stop()
            await self._control.close()
            await self._server.close("visiond stops")
            stopping.cancel()
            await self._staff.close()
            await self._fleet.close()
            for camera in self._cameras.values():
                camera.close()
            log.info("visiond has stopped", extra={"event": "stop"})
            self._life.close()
            signals.close()

    # another configuration

    async def reload(self) -> Report:
        """Read the configuration again and take over what has changed; a bad one is refused, and the old goes on."""
        async with self._reloading:
            self._life.reloading()
            try:
                config, packages = await asyncio.to_thread(self._read)
            except VisiondError as error:
                log.error("reload refused, the old configuration goes on: %s", error, extra={"event": "reload_refused"})  # noqa: TRY400 - a user's mistake
                self._note_reload("refused", str(error))
                return Report(refused=tuple(str(error).splitlines()))
            except Exception as error:
                log.exception("reload refused, the old configuration goes on", extra={"event": "reload_refused"})
                self._note_reload("refused", repr(error))
                return Report(refused=(f"the configuration could not be read: {error!r}; see the log",))
            report = compare(self._config, config, self._packages, packages)
            config = config.model_copy(update={"socket": self._config.socket})
            before, seeing = (self._config, dict(self._packages)), self._seeing()
            self._apply(config, packages)
            for text in (*report.applied, *report.restarted, *report.refused):
                log.info("reload: %s", text, extra={"event": "reload_applied"})
            self._note_reload("applied", "; ".join(report.refused) or None)
            self._staff.dismiss("trial")
            since_ns, watched = time.monotonic_ns(), seeing & config.cameras.keys()
            self._staff.start("trial", lambda: self._try_out(before, watched, since_ns))
            return report

    def _note_reload(self, result: str, reason: str | None) -> None:
        self._bulletin.note_reload(result, reason)
        self._life.ready(self._in_words())
        self._changed.set()

    def _on_hangup(self) -> None:
        if not self._stop.is_set():
            self._staff.dismiss("reload")
            self._staff.start("reload", self._reload_for_signal)

    async def _reload_for_signal(self) -> None:
        await self.reload()
        await asyncio.Event().wait()  # a task of the staff does not end by itself

    async def _answer_control(self, request: dict[str, Any]) -> dict[str, Any]:
        if request != {"type": "reload"}:
            raise UsageError('the control socket takes {"type":"reload"}')
        return {"type": "reloaded", **(await self.reload()).to_json()}

    async def _try_out(self, before: tuple[Config, dict[str, Package]], cameras: set[str], since_ns: int) -> None:
        """Go back to the configuration before where a camera that had results has none within reload_trial_s."""
        give_up_s = time.monotonic() + self._config.reload_trial_s
        while dark := {name for name in cameras if self._lanes[name].captured_ns <= since_ns}:
            if time.monotonic() > give_up_s:
                names = ", ".join(sorted(dark))
                why = f"no result of camera {names} within {self._config.reload_trial_s:.0f} s"
                text = "reload undone: %s; the last configuration that gave results is back"
                log.error(text, why, extra={"event": "reload_reverted"})
                self._apply(*before)
                self._note_reload("undone", why)
                break
            await asyncio.sleep(CHECK_S)
        await asyncio.Event().wait()  # a task of the staff does not end by itself

    def _seeing(self) -> set[str]:
        """Cameras whose last result is young enough."""
        cameras = self._status()["cameras"]
        return {name for name, status in cameras.items() if not is_blind(status, self._cameras[name].period_s)}

    def _apply(self, config: Config, packages: dict[str, Package]) -> None:
        """Bring cameras and engines to this configuration. What it leaves as it was is not disturbed."""
        for name in [name for name in self._cameras if name not in config.cameras]:
            self._end_camera(name)
        moved = [
            name
            for name, lane in self._lanes.items()
            if config.cameras[name].model != lane.settings.model and name in self._cameras
        ]
        for name in moved:
            self._fleet.models[self._lanes[name].settings.model].forget_ring(name)
            self._lanes[name].new_epoch()
        self._config = config
        fresh = dict(packages)
        self._packages.clear()
        self._packages.update(fresh)
        added = [name for name in config.cameras if name not in self._cameras]
        for name, settings in config.cameras.items():
            if name in added:
                self._lanes[name] = Lane(name, settings)
                self._cameras[name] = self._camera(name)
            else:
                self._adjust_camera(name, settings)
        self._fleet.apply(plan_models(config, self._packages), edgetpu_settings(config), config.edgetpu.max_backoff_s)
        for name in added:
            self._staff.start(self._cameras[name], self._cameras[name].worker.run)
        self._changed.set()

    def _adjust_camera(self, name: str, settings: Camera) -> None:
        lane, camera = self._lanes[name], self._cameras[name]
        same_age = _max_age_ms(lane.settings) == _max_age_ms(settings)
        same_model = lane.settings.model == settings.model
        lane.settings = settings
        address = SourceAddress.parse(settings.source)
        restarts = camera.reconfigure(
            _open_camera(name, settings), _max_age_ms(settings), address.redacted, address.redact_in
        )
        if not restarts and not same_age and same_model:
            self._fleet.models[settings.model].reoffer(name)

    def _end_camera(self, name: str) -> None:
        camera, lane = self._cameras.pop(name), self._lanes.pop(name)
        self._fleet.models[lane.settings.model].forget_ring(name)
        self._staff.dismiss(camera)
        camera.close()

    # the way of a frame's result

    def _outcome(self, engine: RemoteEngine, outcome: Result | FrameDropped) -> None:
        camera, lane = self._cameras.get(outcome.camera), self._lanes.get(outcome.camera)
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
            self._life.progress([*(camera.worker for camera in self._cameras.values()), *self._fleet.workers()])
            self._note_state()

    def _note_state(self) -> None:
        status = self._status()
        state = (status["state"], status["reason"])
        now_s = time.monotonic()
        if state[0] != self._last_state[0] or (state != self._last_state and now_s - self._told_s > REASON_S):
            self._told_s = now_s
            log.log(logging.INFO if state[0] == "ok" else logging.WARNING, "state: %s%s", state[0], _because(state[1]))
        if state != self._last_state:
            self._life.status(f"{state[0]}{_because(state[1])}")
            self._last_state = state
            self._changed.set()

    def _in_words(self) -> str:
        status = self._status()
        return f"{status['state']}{_because(status['reason'])}"

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
            _open_camera(name, settings),
            _max_age_ms(settings),
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
        if camera not in self._lanes:
            return
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


def run(config_path: Path, socket_path: Path | None) -> int:
    """Serve this configuration until told to stop; return the exit code. Raises VisiondError before it starts."""

    def read() -> tuple[Config, dict[str, Package]]:
        config = load_config(config_path)
        if socket_path is not None:
            config = config.with_socket(socket_path)
        packages = load_packages(config)
        for package in packages.values():
            package.identity  # noqa: B018 - read now, where the loop does not wait for the disk
        return config, packages

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the loop takes it: by default it would end the process
    config, packages = read()
    listening = systemd.listening_socket(config.socket.path)
    life = systemd.SystemdLife(systemd.Notifier.from_environment(), CHECK_S)
    sys.setswitchinterval(SWITCH_INTERVAL_S)

    async def serve() -> None:  # the parts need the running loop
        await Service(config, packages, read, life, listening).serve()

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


def _open_camera(name: str, settings: Camera) -> OpenCamera:
    return OpenCamera(name, settings.source, settings.size, settings.fps, settings.rotate)


def _max_age_ms(settings: Camera) -> float | None:
    """Frames that wait for the model, with fps: 0, are never too old."""
    return None if settings.fps == 0 else settings.max_age_ms
