"""Fleet: every engine of the daemon. One on the CPU for each model that may run there, one for each Edge TPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.detection import Result
from visiond.edgetpu.crash_memory import CrashMemory
from visiond.edgetpu.sticks import DeviceName, Stick, parse_device
from visiond.engine.accelerator import Accelerator, EdgeTpuSettings
from visiond.engine.remote import RemoteEngine
from visiond.engine.served import Ring, ServedModel
from visiond.frames import MAX_READERS
from visiond.messages import FrameDropped, LoadModel, StartEngine
from visiond.supervisor import Exit

log = logging.getLogger(__name__)

ALL_STICKS: Final = 4  # that `device: all` looks for; one host controller's bandwidth does not feed more
LEAST_FREE_MB: Final = 200  # a CPU engine with a model of some MB takes 70 to 110; the system needs room too


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """How one model is to run: `edgetpu` and `cpu` are what its package has a file for and its policy allows."""

    name: str
    accelerator: str
    edgetpu: LoadModel | None
    cpu: LoadModel | None
    devices: tuple[DeviceName, ...]
    warm: bool
    max_rss_mb: float
    cameras: tuple[str, ...]


class Fleet:
    """Builds the engines, keeps each at work, and settles who serves what at every change."""

    def __init__(
        self,
        plans: Sequence[ModelPlan],
        settings: EdgeTpuSettings,
        max_backoff_s: float,
        ring: Ring,
        on_outcome: Callable[[RemoteEngine, Result | FrameDropped], None],
        on_lost: Callable[[RemoteEngine], None],
        on_new_epoch: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        """`on_lost` is called when an engine ended with what it held; the others as in RemoteEngine and ServedModel."""
        self._on_lost = on_lost
        self._on_change = on_change
        self._by_engine: dict[str, Accelerator] = {}
        self._built = False
        self._make = _EngineMaker(max_backoff_s, on_outcome, self._exited, self._changed)
        self.accelerators = self._build_accelerators(plans, settings)
        self.models = {plan.name: self._build_model(plan, ring, on_new_epoch) for plan in plans}
        self._keep_cold_where_memory_is_short()
        self._built = True

    @property
    def engines(self) -> tuple[RemoteEngine, ...]:
        """All of them, each once."""
        every = {engine.name: engine for model in self.models.values() for engine in model.engines}
        return tuple(every.values())

    def look(self, sticks: Sequence[Stick]) -> None:
        """Take in which sticks are plugged in."""
        for accelerator in self.accelerators:
            accelerator.look(sticks)
        self.settle()

    def pids(self) -> frozenset[int]:
        """The workers, whose use of a stick is no obstacle to them."""
        running = {engine.worker.pid for engine in self.engines} - {None}
        return frozenset(pid for pid in running if pid is not None)

    def settle(self) -> None:
        """Bring each camera to the engines that serve its model."""
        for model in self.models.values():
            model.settle()

    def check(self, pending: Callable[[RemoteEngine], int]) -> None:
        """Look after every engine: one that hangs, one that has grown, one that computes wrong. Four times a second."""
        for engine in self.engines:
            engine.check(pending(engine))
            if engine.is_ready and (why := engine.is_bloated()):
                engine.retire(why)
            if engine.is_ready and engine.kind == "edgetpu" and (why := self._failed_trial(engine)):
                engine.worker.kill(why)
        self.settle()

    def status(self) -> list[dict[str, Any]]:
        """The sticks' part of `status`."""
        shown = [a for a in self.accelerators if a.wanted or a.stick is not None]
        return [accelerator.status(sorted(self._engine_of(accelerator).models)) for accelerator in shown]

    async def close(self) -> None:
        """End what the accelerators have under way."""
        for accelerator in self.accelerators:
            await accelerator.close()

    def _changed(self, engine: RemoteEngine) -> None:
        if not self._built:
            return
        accelerator = self._by_engine.get(engine.name)
        if accelerator is not None and engine.is_ready:
            accelerator.started()
        if engine.state == "recycling" and not engine.attached and not engine.dropping:
            engine.worker.end(engine.reason or "recycled")
        self.settle()
        self._on_change()

    def _exited(self, engine: RemoteEngine, ended: Exit, was_ready: bool) -> None:
        self._on_lost(engine)
        accelerator = self._by_engine.get(engine.name)
        if accelerator is not None:
            accelerator.ended(ended, was_ready)

    def _failed_trial(self, tpu: RemoteEngine) -> str | None:
        """Say that the CPU does better for all models of this Edge TPU, so that it is tried again later."""
        served = [self.models[name] for name in tpu.models]
        if any(model.is_trusted(tpu) or model.cpu is None or not model.cpu.is_ready for model in served):
            return None
        return f"its trial has failed: {tpu.ready[served[0].name].golden.failures[0]}"

    # building

    def _build_accelerators(self, plans: Sequence[ModelPlan], settings: EdgeTpuSettings) -> tuple[Accelerator, ...]:
        crashes = CrashMemory()
        loads: dict[DeviceName, list[LoadModel]] = {}
        ceilings: dict[DeviceName, float] = {}
        for plan in plans:
            for device in plan.devices if plan.edgetpu is not None else ():
                assert plan.edgetpu is not None
                loads.setdefault(device, []).append(plan.edgetpu)
                ceilings[device] = max(plan.max_rss_mb, ceilings.get(device, 0))
        found = []
        for number, (device, models) in enumerate(loads.items()):
            spare = all(device in plan.devices[1:] for plan in plans if device in plan.devices)
            accelerator = Accelerator(device, settings, crashes, wanted=not spare)
            reader = 1 + number % (MAX_READERS - 1)
            engine = self._make(str(device), "edgetpu", reader, models, accelerator.order, ceilings[device])
            accelerator.engine = engine
            engine.hold("not looked for yet")
            self._by_engine[engine.name] = accelerator
            found.append(accelerator)
        return tuple(found)

    def _build_model(self, plan: ModelPlan, ring: Ring, on_new_epoch: Callable[[str], None]) -> ServedModel:
        tpus = [self._engine_of(a) for a in self.accelerators if plan.name in self._engine_of(a).models]
        cpu = None
        if plan.cpu is not None:
            name = f"{plan.name} on the CPU" if tpus else plan.name
            cpu = self._make(name, "cpu", 0, [plan.cpu], lambda models: StartEngine(tuple(models)), plan.max_rss_mb)
        return ServedModel(plan.name, plan.accelerator, tpus, cpu, plan.warm, plan.cameras, ring, on_new_epoch)

    def _engine_of(self, accelerator: Accelerator) -> RemoteEngine:
        assert accelerator.engine is not None
        return accelerator.engine

    def _keep_cold_where_memory_is_short(self) -> None:
        free_mb = available_mb()
        if free_mb is None or free_mb >= LEAST_FREE_MB:
            return
        why = f"cold: {free_mb:.0f} MB of memory are free, and a warm twin needs {LEAST_FREE_MB}"
        for model in self.models.values():
            model.stay_cold(why)


class _EngineMaker:
    """What all engines have in common."""

    def __init__(
        self,
        max_backoff_s: float,
        on_outcome: Callable[[RemoteEngine, Result | FrameDropped], None],
        on_exit: Callable[[RemoteEngine, Exit, bool], None],
        on_change: Callable[[RemoteEngine], None],
    ) -> None:
        self._max_backoff_s = max_backoff_s
        self._on_outcome = on_outcome
        self._on_exit = on_exit
        self._on_change = on_change

    def __call__(
        self,
        name: str,
        kind: str,
        reader: int,
        loads: Sequence[LoadModel],
        order: Callable[[Sequence[LoadModel]], StartEngine],
        max_rss_mb: float,
    ) -> RemoteEngine:
        return RemoteEngine(
            name,
            kind,
            reader,
            {load.name: load for load in loads},
            lambda: order(loads),
            self._on_outcome,
            self._on_exit,
            self._on_change,
            self._max_backoff_s,
            max_rss_mb,
        )


def parse_devices(text: str) -> tuple[DeviceName, ...]:
    """Return the sticks that a model's `device` names, each once; `usb` is the first one. Raises ValueError."""
    if text == "all":
        return tuple(DeviceName(index=number) for number in range(ALL_STICKS))
    named: Iterable[DeviceName] = (parse_device(each) for each in text.split(","))
    first = DeviceName(index=0)
    return tuple(dict.fromkeys(first if device == DeviceName() else device for device in named))


def available_mb(meminfo: Path = Path("/proc/meminfo")) -> float | None:
    """Return how much memory new processes may take, in MB, None where the kernel does not tell."""
    fields: Mapping[str, str] = dict(
        line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line
    )  # kB; proc(5)
    value = fields.get("MemAvailable")
    return None if value is None else int(value.split()[0]) / 1024
