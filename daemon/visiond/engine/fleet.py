"""Fleet: every engine of the daemon. One on the CPU for each model that may run there, one for each Edge TPU."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from visiond.board import read_memory
from visiond.detection import Result
from visiond.edgetpu.crash_memory import CrashMemory
from visiond.edgetpu.device_name import DeviceName
from visiond.edgetpu.sticks import Stick
from visiond.engine.accelerator import Accelerator, EdgeTpuSettings
from visiond.engine.model_plan import ModelPlan
from visiond.engine.remote import NOT_LOOKED_FOR, RemoteEngine
from visiond.engine.served import Ring, ServedModel
from visiond.frames import MAX_READERS
from visiond.messages import FrameDropped, LoadModel, StartEngine
from visiond.supervisor import MAX_BACKOFF_S, Exit, Worker

log = logging.getLogger(__name__)

FIRST_STICK_READER: Final = 4  # numbers of readers below it are for engines on the CPU, which overlap at a reload
LEAST_FREE_MB: Final = 200  # a CPU engine with a model of some MB takes 70 to 110; the system needs room too


@dataclass(frozen=True, slots=True)
class Staffing:
    """What the fleet calls when an engine comes and when it has gone: its task is started, and ended."""

    come: Callable[[RemoteEngine], None]
    gone: Callable[[RemoteEngine], None]


class Fleet:
    """Builds the engines, keeps each at work, and settles who serves what at every change."""

    def __init__(
        self,
        staffing: Staffing,
        ring: Ring,
        on_outcome: Callable[[RemoteEngine, Result | FrameDropped], None],
        on_lost: Callable[[RemoteEngine], None],
        on_new_epoch: Callable[[str], None],
        on_change: Callable[[], None],
    ) -> None:
        """`on_lost` is called when an engine ended with what it held; the others as in RemoteEngine and ServedModel."""
        self._staffing = staffing
        self._ring = ring
        self._on_lost = on_lost
        self._on_new_epoch = on_new_epoch
        self._on_change = on_change
        self._make = _EngineMaker(on_outcome, self._exited, self._changed)
        self._settings: tuple[EdgeTpuSettings, float] | None = None
        self._crashes = CrashMemory()
        self._plans: dict[str, ModelPlan] = {}
        self._leaving: list[RemoteEngine] = []
        self._settling = False
        self.accelerators: tuple[Accelerator, ...] = ()
        self.models: dict[str, ServedModel] = {}

    def apply(self, plans: Sequence[ModelPlan], settings: EdgeTpuSettings, max_backoff_s: float) -> None:
        """Bring the engines to these plans. What has not changed goes on; what has goes on until the new is ready."""
        self._settling = True
        self._make.max_backoff_s = max_backoff_s
        before, former = self.models, self.accelerators
        self.accelerators = self._accelerators(plans, settings, (settings, max_backoff_s) == self._settings)
        self._settings = (settings, max_backoff_s)
        self.models = {plan.name: self._model(plan, before.get(plan.name)) for plan in plans}
        self._plans = {plan.name: plan for plan in plans}
        for accelerator in former:
            if accelerator not in self.accelerators:
                self._dismiss(self._engine_of(accelerator))
        for name, model in before.items():
            if name not in self.models:
                for engine in model.readers:
                    if engine.kind == "cpu":
                        self._dismiss(engine)
        self._keep_cold_where_memory_is_short()
        self._settling = False
        self.settle()

    def has_room(self, plans: Sequence[ModelPlan]) -> bool:
        """Whether every engine that these plans may need finds a number: those that leave keep theirs to the end."""
        readers = {plan.name: {engine.reader for engine in self._readers_of(plan.name)} for plan in plans}
        on_the_cpu = (sum(number < FIRST_STICK_READER for number in taken) for taken in readers.values())
        if FIRST_STICK_READER in on_the_cpu:
            return False
        on_sticks = set().union(*readers.values(), (self._engine_of(each).reader for each in self.accelerators))
        taken_on_sticks = sum(number >= FIRST_STICK_READER for number in on_sticks)
        devices = {device for plan in plans if plan.edgetpu for device in plan.devices}
        return taken_on_sticks + len(devices) <= MAX_READERS - FIRST_STICK_READER

    @property
    def engines(self) -> tuple[RemoteEngine, ...]:
        """All of them, each once."""
        return tuple({id(engine): engine for model in self.models.values() for engine in model.engines}.values())

    def workers(self) -> list[Worker]:
        """The processes of all engines, also of those that are about to leave."""
        outgoing = [engine for model in self.models.values() for engine in model.outgoing]
        engines = {id(engine): engine for engine in (*self.engines, *outgoing, *self._leaving)}
        return [engine.worker for engine in engines.values()]

    def look(self, sticks: Sequence[Stick]) -> None:
        """Take in which sticks are plugged in."""
        named = {each.device.port for each in self.accelerators if each.device.port is not None}
        for accelerator in self.accelerators:
            others = {each.port or _free_port(each) for each in self.accelerators if each is not accelerator}
            taken = {port for port in others | (named - {accelerator.device.port}) if port is not None}
            accelerator.look(accelerator.choose(sticks, taken))
        self.settle()

    def pids(self) -> frozenset[int]:
        """The workers, whose use of a stick is no obstacle to them."""
        return frozenset(worker.pid for worker in self.workers() if worker.pid is not None)

    def settle(self) -> None:
        """Bring each camera to the engines that serve its model."""
        if self._settling:
            return
        for model in self.models.values():
            model.settle()
            for engine in model.outgoing:
                if engine not in model.engines and model.take_over(engine):
                    model.outgoing = tuple(each for each in model.outgoing if each is not engine)
                    self._dismiss(engine)

    def check(self, pending: Callable[[RemoteEngine], int]) -> None:
        """Look after every engine: one that hangs, one that has grown, one that computes wrong. Four times a second."""
        outgoing = (each for model in self.models.values() for each in model.outgoing)
        for engine in (*self.engines, *outgoing, *self._leaving):
            engine.check(pending(engine))
        for engine in [each for each in self._leaving if each.worker.pid is None]:
            self._leaving.remove(engine)
            self._staffing.gone(engine)
        for engine in self.engines:
            if engine.is_ready and (why := engine.is_bloated()):
                engine.retire(why)
            if engine.is_ready and engine.kind == "edgetpu" and (why := self._failed_trial(engine)):
                self._distrust(engine, why)
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
        accelerator = self._accelerator_of(engine)
        if accelerator is not None and engine.is_ready:
            if why := self._failed_trial(engine):
                accelerator.distrust(why)
            else:
                accelerator.started()
        if engine.state == "recycling" and not engine.attached and not engine.dropping:
            engine.worker.end(engine.reason or "recycled")
        self.settle()
        self._on_change()

    def _exited(self, engine: RemoteEngine, ended: Exit, was_ready: bool) -> None:
        self._on_lost(engine)
        accelerator = self._accelerator_of(engine)
        if accelerator is not None:
            accelerator.ended(ended, was_ready)

    def _accelerator_of(self, engine: RemoteEngine) -> Accelerator | None:
        return next((each for each in self.accelerators if each.engine is engine), None)

    def _dismiss(self, engine: RemoteEngine) -> None:
        """End an engine for good, at the border of a frame."""
        if engine in self._leaving:
            return
        self._leaving.append(engine)
        engine.worker.hold()
        if engine.attached or engine.dropping:
            engine.retire("ended: the configuration has changed")
            for camera in list(engine.attached):
                engine.detach(camera)
        else:
            engine.worker.end("ended: the configuration has changed")

    def _distrust(self, engine: RemoteEngine, why: str) -> None:
        accelerator = self._accelerator_of(engine)
        if accelerator is not None:
            accelerator.distrust(why)

    def _failed_trial(self, tpu: RemoteEngine) -> str | None:
        """Say that the CPU does better for all models of this Edge TPU, so that it is tried again later."""
        served = [self.models[name] for name in tpu.models if name in self.models]
        if any(model.is_trusted(tpu) or model.cpu is None or not model.cpu.is_ready for model in served):
            return None
        return f"its trial has failed: {tpu.ready[served[0].name].golden.failures[0]}"

    # building

    def _accelerators(
        self, plans: Sequence[ModelPlan], settings: EdgeTpuSettings, same_settings: bool
    ) -> tuple[Accelerator, ...]:
        """One for each stick that a model names; one whose models and settings are the same stays."""
        found: list[Accelerator] = []
        for device in dict.fromkeys(device for plan in plans if plan.edgetpu for device in plan.devices):
            on_it = [plan for plan in plans if plan.edgetpu is not None and device in plan.devices]
            former = next((each for each in self.accelerators if each.device == device), None)
            before = [plan for plan in self._plans.values() if plan.edgetpu is not None and device in plan.devices]
            same = [plan.on_stick for plan in on_it] == [plan.on_stick for plan in before]
            if former is not None and same_settings and same:
                found.append(former)
            else:
                found.append(self._accelerator(device, on_it, settings, former, found))
        return tuple(found)

    def _accelerator(
        self,
        device: DeviceName,
        plans: Sequence[ModelPlan],
        settings: EdgeTpuSettings,
        former: Accelerator | None,
        siblings: Sequence[Accelerator],
    ) -> Accelerator:
        """Make one beside its `siblings`; those of one model read the same rings, each under a number of its own."""
        spare = all(plan.devices[0] != device for plan in plans)
        accelerator = Accelerator(device, settings, self._crashes, wanted=not spare)
        loads = [plan.edgetpu for plan in plans if plan.edgetpu is not None]
        taken = {engine.reader for plan in plans for engine in self._readers_of(plan.name)}
        taken |= {self._engine_of(each).reader for each in (*self.accelerators, *siblings)}
        reader = next(number for number in range(FIRST_STICK_READER, MAX_READERS) if number not in taken)
        ceiling_mb = max(plan.max_rss_mb for plan in plans)
        accelerator.engine = self._make(str(device), "edgetpu", reader, loads, accelerator.order, ceiling_mb)
        accelerator.engine.hold(NOT_LOOKED_FOR)
        if former is not None:
            accelerator.predecessor = former.engine
            accelerator.stick = former.stick
        self._staffing.come(accelerator.engine)
        return accelerator

    def _model(self, plan: ModelPlan, old: ServedModel | None) -> ServedModel:
        """The model as it is where nothing of it has changed, else a new one that takes over from it."""
        tpus = tuple(self._engine_of(each) for each in self.accelerators if plan.name in self._engine_of(each).models)
        before = self._plans.get(plan.name)
        if old is not None and before is not None and before.engines_like(plan) and old.tpus == tpus:
            old.cameras = plan.cameras
            return old
        cpu = None
        if plan.cpu is not None:
            reused = old is not None and before is not None and before.on_cpu == plan.on_cpu
            cpu = old.cpu if old is not None and reused else None
            cpu = cpu or self._cpu_engine(plan, plan.cpu, bool(tpus))
        outgoing = () if old is None else tuple(each for each in old.readers if each is not cpu and each not in tpus)
        begun = frozenset[str]() if old is None else old.begun
        return ServedModel(
            plan.name,
            plan.accelerator,
            tpus,
            cpu,
            plan.warm,
            plan.cameras,
            self._ring,
            self._on_new_epoch,
            outgoing,
            begun,
        )

    def _cpu_engine(self, plan: ModelPlan, load: LoadModel, is_twin: bool) -> RemoteEngine:
        taken = {engine.reader for engine in self._readers_of(plan.name)}
        reader = next(number for number in range(FIRST_STICK_READER) if number not in taken)
        name = f"{plan.name} on the CPU" if is_twin else plan.name
        engine = self._make(name, "cpu", reader, [load], lambda models: StartEngine(tuple(models)), plan.max_rss_mb)
        self._staffing.come(engine)
        return engine

    def _readers_of(self, model: str) -> tuple[RemoteEngine, ...]:
        served = self.models.get(model)
        leaving = tuple(engine for engine in self._leaving if model in engine.models)
        return leaving if served is None else (*served.readers, *leaving)

    def _engine_of(self, accelerator: Accelerator) -> RemoteEngine:
        assert accelerator.engine is not None
        return accelerator.engine

    def _keep_cold_where_memory_is_short(self) -> None:
        free_mb = read_memory().available_mb
        if free_mb is None or free_mb >= LEAST_FREE_MB:
            return
        why = f"cold: {free_mb:.0f} MB of memory are free, and a warm twin needs {LEAST_FREE_MB}"
        for model in self.models.values():
            model.stay_cold(why)


class _EngineMaker:
    """What all engines have in common."""

    def __init__(
        self,
        on_outcome: Callable[[RemoteEngine, Result | FrameDropped], None],
        on_exit: Callable[[RemoteEngine, Exit, bool], None],
        on_change: Callable[[RemoteEngine], None],
    ) -> None:
        self.max_backoff_s = MAX_BACKOFF_S
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
            self.max_backoff_s,
            max_rss_mb,
        )


def _free_port(accelerator: Accelerator) -> str | None:
    """The stick that an accelerator without a worker is about to have."""
    return None if accelerator.stick is None else accelerator.stick.port
