"""Reloader: takes another configuration over while the daemon runs, and goes back from one that gives no results."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from visiond.config import Config
from visiond.errors import VisiondError
from visiond.modelkit.package import Package
from visiond.reload import Report, compare
from visiond.staff import Staff
from visiond.stages import Stages
from visiond.systemd import leave_to_main_thread

log = logging.getLogger(__name__)

CHECK_S: Final = 0.25
ROOM_S: Final = 20.0  # an engine that is told to end has ended, or was killed, long before

Settings = tuple[Config, dict[str, Package]]
Read = Callable[[], Settings]


@dataclass(frozen=True, slots=True)
class _Trial:
    """A configuration that has to prove itself: else `before` comes back, under which `cameras` had results."""

    before: Settings
    cameras: frozenset[str]


class Reloader:
    """One reload at a time; each is on trial until every camera that had results has one again, of its new engine.

    A reload while another one is on trial goes on with that one's: what comes back is what last gave results.
    """

    def __init__(
        self,
        stages: Stages,
        staff: Staff,
        read: Read,
        seeing: Callable[[], set[str]],
        on_begin: Callable[[], None],
        on_end: Callable[[str, str | None], None],
    ) -> None:
        """`read` reads the configuration and its packages again; it raises VisiondError. `seeing`: see Bulletin.

        `on_end` is told `applied`, `refused` or `undone`, and the reason.
        """
        self._stages = stages
        self._staff = staff
        self._read = read
        self._seeing = seeing
        self._on_begin = on_begin
        self._on_end = on_end
        self._at_work = asyncio.Lock()
        self._trial: _Trial | None = None

    async def reload(self) -> Report:
        """Read the configuration again and take over what has changed; a bad one is refused, and the old goes on."""
        async with self._at_work:
            self._on_begin()
            try:
                config, packages = await asyncio.to_thread(self._read_beside)
            except VisiondError as error:
                log.error("reload refused, the old configuration goes on: %s", error, extra={"event": "reload_refused"})  # noqa: TRY400 - a user's mistake
                self._on_end("refused", str(error))
                return Report(refused=tuple(str(error).splitlines()))
            except Exception as error:
                log.exception("reload refused, the old configuration goes on", extra={"event": "reload_refused"})
                self._on_end("refused", repr(error))
                return Report(refused=(f"the configuration could not be read: {error!r}; see the log",))
            if not await self._finds_room(config, packages):
                why = "engines of earlier reloads do not end, or there are too many sticks; restart the service"
                log.error("reload refused, the old configuration goes on: %s", why, extra={"event": "reload_refused"})
                self._on_end("refused", why)
                return Report(refused=(why,))
            return self._take_over(config, packages)

    def _read_beside(self) -> Settings:
        leave_to_main_thread()
        return self._read()

    def reload_for_signal(self) -> None:
        """Reload beside whatever goes on; what came of it is in the log."""
        self._staff.dismiss("reload")
        self._staff.start("reload", self._reload_and_rest)

    def _take_over(self, config: Config, packages: dict[str, Package]) -> Report:
        stages = self._stages
        report = compare(stages.config, config, stages.packages, packages)
        config = config.model_copy(update={"socket": stages.config.socket})
        before, seeing = (stages.config, stages.packages), self._seeing()
        if self._trial is not None:
            before, seeing = self._trial.before, seeing | self._trial.cameras
        stages.apply(config, packages)
        for text in (*report.applied, *report.restarted, *report.refused):
            log.info("reload: %s", text, extra={"event": "reload_applied"})
        self._on_end("applied", "; ".join(report.refused) or None)
        self._staff.dismiss("trial")
        self._trial = trial = _Trial(before, frozenset(seeing & config.cameras.keys()))
        self._staff.start("trial", lambda: self._try_out(trial))
        return report

    async def _finds_room(self, config: Config, packages: dict[str, Package]) -> bool:
        """Wait for engines of the reloads before, which end within seconds; False where they do not."""
        give_up_s = time.monotonic() + ROOM_S
        while not (room := self._stages.has_room(config, packages)) and time.monotonic() < give_up_s:
            await asyncio.sleep(CHECK_S)
        return room

    async def _reload_and_rest(self) -> None:
        await self.reload()
        await asyncio.Event().wait()  # a task of the staff does not end by itself

    async def _try_out(self, trial: _Trial) -> None:
        """Go back to the configuration before where a camera that had results has none within reload_trial_s.

        Of each camera, from when its new engine has begun: one that is slow to start leaves it not blind.
        """
        stages, trial_s = self._stages, self._stages.config.reload_trial_s
        since_ns: dict[str, int | None] = dict.fromkeys(trial.cameras)
        while dark := self._dark(since_ns):
            due_ns = time.monotonic_ns() - trial_s * 1e9
            if lost := [name for name in dark if (since := since_ns[name]) is not None and since < due_ns]:
                why = f"no result of camera {', '.join(lost)} within {trial_s:.0f} s"
                if troubles := dict.fromkeys(filter(None, (stages.lanes[name].trouble for name in lost))):
                    why += f": {'; '.join(troubles)}"
                text = "reload undone: %s; the last configuration that gave results is back"
                log.error(text, why, extra={"event": "reload_reverted"})
                if not await self._finds_room(*trial.before):
                    raise RuntimeError("engines of earlier reloads do not end: the last configuration cannot come back")
                stages.apply(*trial.before)
                self._on_end("undone", why)
                break
            await asyncio.sleep(CHECK_S)
        self._trial = None
        gc.collect()  # what the last configuration was made of, before the heap grows around it
        await asyncio.Event().wait()  # a task of the staff does not end by itself

    def _dark(self, since_ns: dict[str, int | None]) -> list[str]:
        """Return the cameras without a result of their new engine; `since_ns`: the first look at which it had begun.

        None before that: the old engine goes on meanwhile, and what it gives proves nothing.
        """
        dark = []
        for name, since in since_ns.items():
            if self._stages.is_changing(name):
                since_ns[name] = None
            elif since is None:
                since_ns[name] = time.monotonic_ns()
            elif self._stages.lanes[name].captured_ns > since:
                continue
            dark.append(name)
        return sorted(dark)
