"""Accelerator: one Edge TPU of the configuration. Whether a worker may try it now, and what stands in the way.

The stick is looked at in sysfs, which touches nothing. A worker is started when the stick is there, permitted, free,
and its library has not crashed every runtime; what fails all the same is retried with back-off.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from visiond.edgetpu.crash_memory import CrashMemory
from visiond.edgetpu.library import Identity, find_library, identity, library_problem
from visiond.edgetpu.reset_plan import ResetPlan, Step
from visiond.edgetpu.sticks import DeviceName, Stick, select
from visiond.engine.pair_trials import PairTrials
from visiond.engine.remote import RemoteEngine
from visiond.messages import NO_LIBRARY, NO_RUNTIME, STICK_BUSY, LoadModel, StartEngine, StickOrder
from visiond.supervisor import Exit, worker_environment

log = logging.getLogger(__name__)

ABSENT_S: Final = 2.0  # longer than a re-enumeration shows no device; then a ready worker has lost its stick
RESET_DEADLINE_S: Final = 15.0
FLAPS: Final = 10  # losses within FLAP_WINDOW_S after which a re-plugged stick waits out its back-off
FLAP_WINDOW_S: Final = 60.0
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})


@dataclass(frozen=True, slots=True)
class EdgeTpuSettings:
    """How sticks are driven; the meaning of each is that of the configuration's `edgetpu` section."""

    library: str = "libedgetpu.so.1"
    performance: str | None = None
    usb: dict[str, bool | int] = field(default_factory=dict)
    reset: bool = False
    sysfs: Path = Path("/sys")
    dev: Path = Path("/dev")


class Accelerator:
    """Lets its engine's worker start, or holds it back with the reason; remembers what failed."""

    def __init__(
        self, device: DeviceName, settings: EdgeTpuSettings, crashes: CrashMemory, wanted: bool = True
    ) -> None:
        """`crashes` is shared by all; `wanted`: a missing stick is worth telling (not so for the 2nd of `all`)."""
        self.device = device
        self.wanted = wanted
        self.engine: RemoteEngine | None = None
        self.predecessor: RemoteEngine | None = None  # had the stick under other settings
        self.stick: Stick | None = None
        self.state = "absent"
        self.reason: str | None = None
        self._settings = settings
        self._plan = ResetPlan(settings.reset)
        self._losses: deque[float] = deque(maxlen=FLAPS)
        self._trials = PairTrials(settings.library, crashes)
        self._last_seen_s = time.monotonic()
        self._port: str | None = None  # of the last worker
        self._told: str | None = None  # the state that was logged last
        self._bad_library: tuple[Identity | None, str] | None = None  # one that cannot be loaded, and why
        self._distrusted: str | None = None  # why its worker was ended for what it computed
        self._hindrance: str | None = None  # why no worker may be started
        self._lasting: tuple[str, str] | None = None  # state and reason of a failure that is not the stick's opening
        self._resetting: asyncio.Task[None] | None = None

    def order(self, models: Sequence[LoadModel]) -> StartEngine:
        """Return the first message for a worker that is about to open the stick."""
        assert self.stick is not None, "a worker is started only for a stick that is there"
        self._plan.begin()
        self._port = self.stick.port
        settings = self._settings
        stick = StickOrder(
            str(self.device),
            self.stick.port,
            settings.library,
            settings.performance,
            settings.usb,
            str(settings.sysfs),
        )
        return StartEngine(tuple(models), stick, self._trials.avoid)

    @property
    def port(self) -> str | None:
        """Where the stick is that its worker has, or is opening; None while there is no worker."""
        return self._port if self._engine.worker.pid is not None else None

    def choose(self, sticks: Sequence[Stick], taken: Collection[str]) -> Stick | None:
        """Return the stick that is meant, given the ports that the siblings of this one have.

        A worker keeps to its port: numbers change when another stick comes or goes. Where a sibling has the stick of
        this number, one that is free takes its place.
        """
        if self.port is not None:
            return next((stick for stick in sticks if stick.port == self.port), None)
        meant = select(sticks, self.device)
        if meant is None or meant.port not in taken or self.device.port is not None:
            return meant
        return next((stick for stick in sticks if stick.port not in taken), None)

    def look(self, stick: Stick | None) -> None:
        """Take in what is plugged in for it now, and hold or release the worker. Call about twice a second."""
        now_s = time.monotonic()
        was_absent = self.stick is None
        self.wanted = self.wanted or stick is not None  # a spare one that has been here is missed
        engine = self._engine
        self._plan.look(None if stick is None else stick.node, now_s)
        if stick is not None:
            self._last_seen_s = now_s
        else:
            self._lasting = None
        if stick is None and engine.is_ready and now_s - self._last_seen_s > ABSENT_S:
            engine.worker.kill(f"{self.device} is no longer on USB")
        self.stick = stick
        self._note()
        if engine.worker.pid is None and not self._held_back():
            engine.release()
            if was_absent and stick is not None and not self._flaps(now_s):
                engine.worker.retry_now()

    def started(self) -> None:
        """Its worker is ready: the stick has opened."""
        self._plan.opened(time.monotonic())
        self._lasting = None
        stage = self._engine.stage
        if stage is not None:
            self._trials.worked(stage)
        self._note()

    def distrust(self, why: str) -> None:
        """Its worker computes wrong: told until another one does better."""
        self._engine.worker.kill(why)
        self._distrusted = why

    def ended(self, ended: Exit, was_ready: bool) -> None:
        """Its worker has ended: find out what that means for the next try."""
        now_s = time.monotonic()
        self._plan.reset_ended(now_s)  # whatever it was at, it touches the stick no more
        if not ended.planned:
            self._learn_from(ended, was_ready, now_s)
        if self._distrusted is not None:
            self._lasting, self._distrusted = ("failed", self._distrusted), None
        self._note()
        self._held_back()  # not only at the next look: the next try may be due before that

    def _learn_from(self, ended: Exit, was_ready: bool, now_s: float) -> None:
        """Lay the failure to the stick, to the pair of library and runtime, or to neither."""
        self._losses.append(now_s)
        self._lasting = None
        stage = self._engine.stage
        if was_ready:
            self._plan.opened(now_s)  # it did open; what failed came later
        elif ended.kind == NO_RUNTIME:
            self._trials.found_none()
            self._lasting = ("failed", ended.reason)
        elif ended.kind == NO_LIBRARY:
            self._bad_library = (self._library_identity(), ended.reason)
        elif ended.kind == STICK_BUSY:
            self._lasting = ("busy", ended.reason)
        elif stage is not None and ended.signal in _CRASHES:
            self._trials.crashed(stage, ended.signal)  # the pair's fault, not the stick's
        elif stage is not None:  # it came as far as the stick
            self._take_step(self._plan.failed(now_s))

    def status(self, models: Sequence[str]) -> dict[str, Any]:
        """The stick's part of `status`."""
        stick = self.stick
        return {
            "device": str(self.device),
            "state": self.state,
            "reason": self.reason,
            "port": None if stick is None else stick.port,
            "usb_id": None if stick is None else stick.usb_id,
            "speed_mbps": None if stick is None else stick.speed_mbps,
            "serial": None if stick is None else stick.serial,
            "remark": None if stick is None else stick.remark,
            "pid": self._engine.worker.pid,
            "models": list(models),
        }

    async def close(self) -> None:
        """End a reset that is under way."""
        if self._resetting is not None:
            self._resetting.cancel()
            with suppress(asyncio.CancelledError):
                await self._resetting

    @property
    def _engine(self) -> RemoteEngine:
        assert self.engine is not None, "the engine is given before the accelerator is used"
        return self.engine

    def _held_back(self) -> bool:
        """Let no worker start where one could not work; say whether that is so."""
        if self._hindrance is None:
            return False
        self._engine.hold(self._hindrance)
        return True

    def _note(self) -> None:
        """Set state and reason from what is known now."""
        obstacle = self._obstacle()
        self._hindrance = None if obstacle is None or obstacle[0] == "needs_replug" else obstacle[1]
        state, reason = obstacle or self._lasting or (self._working_state(), None)
        if state != self._told:
            self._told = state
            level = logging.WARNING if reason and self.wanted else logging.INFO
            log.log(level, "Edge TPU %s: %s%s", self.device, state, f": {reason}" if reason else "")
        self.state, self.reason = state, reason

    def _working_state(self) -> str:
        if self._engine.is_ready:
            return "in_use"
        if self._engine.state == "failed":
            return "failed"
        return "opening" if self._engine.worker.pid is not None else self.stick.state if self.stick else "absent"

    def _obstacle(self) -> tuple[str, str] | None:
        """What keeps a worker from being started: a state, and the reason with its remedy."""
        stick, worker = self.stick, self._engine.worker
        if self.predecessor is not None:
            if self.predecessor.worker.pid is not None:
                return "opening", f"waits for the process that had {self.device} before"
            self.predecessor = None  # and with it its own predecessors, which would be kept for ever
        if self._resetting is not None:
            return "resetting", f"the stick {self.device} is being reset"
        if worker.left_behind:
            pids = ", ".join(map(str, sorted(worker.left_behind)))
            return "stuck", f"process {pids} cannot be killed and may hold the stick: unplug the stick, or reboot"
        if stick is None:
            if worker.pid is not None and time.monotonic() - self._last_seen_s <= ABSENT_S:
                return None  # it is re-enumerating
            return "absent", f"no Coral Edge TPU is plugged in as {self.device}; `visiond doctor` lists what is there"
        if worker.pid is not None:
            return None
        if stick.state in ("no_permission", "busy"):
            return stick.state, stick.reason or stick.state
        library = find_library(self._settings.library)
        if problem := library_problem(library or Path(self._settings.library)):
            return "no_library", problem
        if self._bad_library is not None and self._bad_library[0] == self._library_identity():
            return "no_library", self._bad_library[1]
        if verdict := self._trials.verdict({load.runtime for load in self._engine.models.values()}):
            return "unusable", verdict
        if replug := self._plan.needs_replug(stick.port):
            return "needs_replug", f"{replug} (last: {self._engine.last_failure})"
        return None

    def _library_identity(self) -> Identity | None:
        library = find_library(self._settings.library)
        return None if library is None else identity(library)

    # a stick that does not open

    def _flaps(self, now_s: float) -> bool:
        return len(self._losses) == FLAPS and now_s - self._losses[0] < FLAP_WINDOW_S

    def _take_step(self, step: Step) -> None:
        if step in ("reset", "authorized") and self._resetting is None and self.stick is not None:
            self._resetting = asyncio.create_task(self._reset(self.stick.port, step))

    async def _reset(self, port: str, how: str) -> None:
        """Reset the stick in a child process, which may be stuck in the kernel for as long as it likes."""
        self._plan.begin()
        paths = ("--sysfs", str(self._settings.sysfs), "--dev", str(self._settings.dev))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "visiond.edgetpu.usb_reset", port, "--how", how, *paths,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=worker_environment(),
        )  # fmt: skip
        try:
            said, _ = await asyncio.wait_for(process.communicate(), RESET_DEADLINE_S)
            log.warning("Edge TPU %s: %s", self.device, said.decode(errors="replace").strip())
        except TimeoutError:
            log.warning("Edge TPU %s: its reset did not end within %.0f s", self.device, RESET_DEADLINE_S)
        finally:
            if process.returncode is None:  # it takes too long, or the daemon stops
                process.kill()
            self._plan.reset_ended(time.monotonic())
            self._resetting = None
