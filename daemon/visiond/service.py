"""The daemon: build its parts, start them, keep watch, stop. The only file that knows every part."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
import time
from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from visiond import __version__, systemd
from visiond.board import read_board
from visiond.bulletin import HEARTBEAT_S, Bulletin
from visiond.config import Config, load_config
from visiond.control import ControlServer, control_path
from visiond.errors import UsageError
from visiond.lookout import Lookout
from visiond.modelkit.package import Package
from visiond.packages import load_packages
from visiond.places import default_socket_path
from visiond.publish.unix_socket import UnixSocketServer
from visiond.reloader import Read, Reloader
from visiond.staff import Staff
from visiond.stages import Stages

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
        read: Read,
        life: systemd.SystemdLife,
        listening: socket.socket | None = None,
    ) -> None:
        """`read` reads the configuration and its packages again; it raises VisiondError."""
        self._life = life
        self._stop = asyncio.Event()
        self._changed = asyncio.Event()
        self._last_state = ("", "")
        self._told_s = 0.0
        self._staff = Staff()
        self._stages = Stages(config, self._staff, lambda message: self._server.publish(message), self._changed.set)
        self._bulletin = Bulletin(self._stages)
        self._stages.apply(config, packages)
        self._reloader = Reloader(
            self._stages, self._staff, read, self._bulletin.seeing, life.reloading, self._note_reload
        )
        self._lookouts: list[Lookout[Any]] = [
            Lookout("board", BOARD_S, read_board, self._bulletin.note_board),
            Lookout("sticks", STICKS_S, self._stages.find_sticks, self._stages.fleet.look),
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
        log.info("visiond %s listens on %s", __version__, self._stages.config.socket.path, extra={"event": "start"})
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
            await self._stages.close()
            log.info("visiond has stopped", extra={"event": "stop"})
            self._life.close()
            signals.close()

    # another configuration

    def _on_hangup(self) -> None:
        if not self._stop.is_set():
            self._reloader.reload_for_signal()

    async def _answer_control(self, request: dict[str, Any]) -> dict[str, Any]:
        if request != {"type": "reload"}:
            raise UsageError('the control socket takes {"type":"reload"}')
        return {"type": "reloaded", **(await self._reloader.reload()).to_json()}

    def _note_reload(self, result: str, reason: str | None) -> None:
        self._bulletin.note_reload(result, reason)
        self._life.ready(self._in_words())
        self._changed.set()

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
            self._stages.check()
            self._life.progress(self._stages.workers())
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


def run(config_path: Path, socket_path: Path | None) -> int:
    """Serve this configuration until told to stop; return the exit code. Raises VisiondError before it starts."""

    told: set[str] = set()  # a reload does not repeat what the log holds already

    def read() -> tuple[Config, dict[str, Package]]:
        config = load_config(config_path)
        if socket_path is not None:
            config = config.with_socket(socket_path)
        packages = load_packages(config)
        for package in packages.values():
            package.identity  # noqa: B018 - read now, where the loop does not wait for the disk
        told.update(_tell_remarks(packages, told))
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
    config = load_config(config_path)
    found = []
    for name, package in load_packages(config).items():
        missing = package.missing_runtime(config.models[name].accelerator, config.models[name].runtime)
        found += [*package.golden_problems(), *package.remark_lines(), *([] if missing is None else [missing])]
    return found


def _tell_remarks(packages: Mapping[str, Package], told: Set[str]) -> list[str]:
    """Log what works and is probably not meant, each of it once; return it."""
    lines = [(name, line) for name, package in packages.items() for line in package.remark_lines() if line not in told]
    for name, line in lines:
        log.warning("model %s: %s", name, line, extra={"model": name, "event": "model_remark"})
    return [line for _, line in lines]


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
