"""ServedModel: one model of the configuration, and which of its engines sees the cameras' frames at this moment.

The Edge TPUs come first. When none of them is ready the CPU twin takes over; when one has come back and has reproduced
the golden examples, it takes the cameras back at the border of a frame: the twin answers what it had taken, then the
other one begins, and `epoch` rises.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from visiond.engine.remote import NOT_LOOKED_FOR, Descriptors, RemoteEngine
from visiond.messages import RingOffer

log = logging.getLogger(__name__)

# At the daemon's start the CPU waits so long for an Edge TPU that is being opened, so that a robot does not see two
# engines within a second; one that re-enumerates takes longer, and the CPU serves meanwhile.
PATIENCE_S: Final = 2.0
NO_EDGETPU_FILE: Final = "runs on the CPU: its package has no files.edgetpu"

Ring = Callable[[str], tuple[RingOffer, Descriptors] | None]


class ServedModel:
    """Chooses among the engines of one model, and moves the cameras' rings to the chosen ones."""

    def __init__(
        self,
        name: str,
        accelerator: str,
        tpus: Sequence[RemoteEngine],
        cpu: RemoteEngine | None,
        warm: bool,
        cameras: Sequence[str],
        ring: Ring,
        on_new_epoch: Callable[[str], None],
        outgoing: Sequence[RemoteEngine] = (),
        begun: Collection[str] = (),
    ) -> None:
        """`accelerator`: required, prefer or never; `warm`: whether the CPU twin is started before it is needed.

        `ring` gives a camera's ring while it has one; `on_new_epoch` is told each camera whose results begin anew.
        `outgoing` are engines of the model's last settings: they go on until one of the new ones is ready.
        `begun` names cameras that had results before.
        """
        self.name = name
        self.accelerator = accelerator
        self.tpus = tuple(tpus)
        self.cpu = cpu
        self.cameras = tuple(cameras)
        self.outgoing = tuple(outgoing)
        self.threads = next(engine.models[name].threads for engine in (*tpus, cpu) if engine is not None)
        self._warm = warm
        self._ring = ring
        self._on_new_epoch = on_new_epoch
        self._began_s = time.monotonic()
        self._kind: str | None = None  # of the engines that serve
        self._attached = set(begun)  # cameras that have been served before
        self._why_not_warm: str | None = None
        if cpu is not None and tpus and not warm:
            cpu.hold("standby: cold; it is started when the Edge TPU fails")
        elif cpu is not None:
            cpu.release()

    @property
    def begun(self) -> frozenset[str]:
        """Cameras that have had results."""
        return frozenset(self._attached)

    @property
    def engines(self) -> tuple[RemoteEngine, ...]:
        """Every engine that may serve it."""
        return self.tpus if self.cpu is None else (*self.tpus, self.cpu)

    @property
    def serving(self) -> tuple[RemoteEngine, ...]:
        """The engines that serve it now: some Edge TPUs, or the CPU, or none."""
        ready = tuple(tpu for tpu in self.tpus if self.is_trusted(tpu))
        if ready:
            return ready
        if self.cpu is None or not self.cpu.is_ready or self._waits_for_tpu():
            return tuple(engine for engine in self.outgoing if engine.is_ready)[:1]
        return (self.cpu,)

    @property
    def is_changing(self) -> bool:
        """Whether an engine of the model's last settings has still to be taken over from: its results may yet come."""
        return bool(self.outgoing)

    @property
    def readers(self) -> tuple[RemoteEngine, ...]:
        """Every engine that may hold one of its cameras' rings."""
        return (*self.engines, *(engine for engine in self.outgoing if engine not in self.engines))

    @property
    def wants_edgetpu(self) -> bool:
        """Whether it should run on an Edge TPU: its policy says so, and its package has the file."""
        return bool(self.tpus)

    @property
    def degraded(self) -> bool:
        """Whether it runs on the CPU, or not at all, although an Edge TPU is wanted."""
        on_tpu = any(engine.engine_of(self.name) == "edgetpu" for engine in self.serving)
        return self.wants_edgetpu and not on_tpu

    def is_trusted(self, tpu: RemoteEngine) -> bool:
        """Whether this Edge TPU is ready, and reproduces the golden examples where another engine does."""
        if not tpu.is_ready:
            return False
        if tpu.ready[self.name].golden.failed == 0 or self.accelerator == "required" or self.cpu is None:
            return True
        twin = self.cpu.ready.get(self.name)
        return twin is not None and twin.golden.failed > 0

    def stay_cold(self, why: str) -> None:
        """There is no memory for a twin that waits: start it only when it is needed."""
        if self._warm and self.cpu is not None and self.tpus:
            self._warm = False
            self._why_not_warm = why
            self.cpu.hold(why)

    def settle(self) -> None:
        """Bring the rings to the engines that serve; call at every change, and now and then."""
        serving = self.serving
        self._start_or_end_twin(serving)
        kind = serving[0].kind if serving else None
        if kind != self._kind and kind is not None:
            self._tell_change(kind)
            self._kind = kind
        for camera in self.cameras:
            self._settle_camera(camera, serving)

    def forget_ring(self, camera: str) -> None:
        """The camera's ring is gone, or another one has come: nobody reads the old one any more."""
        for engine in self.readers:
            engine.detach(camera)

    def reoffer(self, camera: str) -> None:
        """The camera's ring is the same, and what is said of it has changed, such as how old a frame may be."""
        ring = self._ring(camera)
        for engine in self.readers:
            if ring is not None and camera in engine.attached:
                self._give(engine, camera, ring)

    def take_over(self, engine: RemoteEngine) -> bool:
        """Whether this outgoing engine is needed no more: another one serves, and it has answered all that it took."""
        return engine not in self.serving and not engine.attached and not engine.dropping

    def reason(self) -> str | None:
        """Why it does not run as it should, None when it does."""
        serving = self.serving
        if self.degraded:
            return f"runs on the CPU: {self._why_no_tpu()}" if serving else self._why_no_tpu()
        if not serving:
            return None if self.cpu is None else self.cpu.reason
        for engine in serving:
            if (remark := engine.ready[self.name].remark) or (remark := engine.slowness(self.name)):
                return remark
        return NO_EDGETPU_FILE if self.accelerator == "prefer" and not self.tpus else None

    def slowness(self) -> str | None:
        """Say which serving engine has become slow."""
        return next((text for engine in self.serving if (text := engine.slowness(self.name))), None)

    def status(self) -> dict[str, Any]:
        """The model's part of `status`: what serves it first, then each of its workers."""
        serving = self.serving
        shown = serving[0] if serving else (self.tpus or self.engines)[0]
        front = shown.status(self.name)
        state = "ready" if serving else front["state"]
        return {
            "state": "unavailable" if state == "held" else state,
            "reason": self.reason(),
            "retry_in_s": None if serving else front["retry_in_s"],
            "engine": shown.engine_of(self.name),
            "accelerator": self.accelerator,
            "degraded": self.degraded,
            "slow": self.slowness(),
            "runtime": front["runtime"],
            "threads": self.threads,
            "invoke_ms": front["invoke_ms"],
            "results": sum(engine.results[self.name] for engine in self.engines),
            "restarts": sum(engine.worker.restarts for engine in self.engines),
            "pid": front["pid"],
            "golden": front["golden"],
            "standby": self._standby(),
            "workers": [engine.status(self.name) for engine in self.engines],
        }

    def _standby(self) -> str | None:
        """warm, cold, or with the reason why it is not warm; None where there is no twin."""
        if self.cpu is None or not self.tpus:
            return None
        return self._why_not_warm or ("warm" if self._warm else "cold")

    def _why_no_tpu(self) -> str:
        for tpu in self.tpus:
            if tpu.is_ready and not self.is_trusted(tpu):
                return f"{tpu.name} does not reproduce the golden examples: {tpu.ready[self.name].golden.failures[0]}"
        first = self.tpus[0]
        if first.is_ready:  # it serves, and computes on the CPU
            return first.ready[self.name].remark or "the delegate has taken nothing"
        if first.reason is None and first.last_failure is not None:
            return f"{first.name} is tried again after: {first.last_failure}"
        return f"{first.name}: {first.reason or first.state}"

    def _waits_for_tpu(self) -> bool:
        """Whether the first engine since the daemon's start is about to be an Edge TPU."""
        opening = any(tpu.state == "starting" or tpu.reason == NOT_LOOKED_FOR for tpu in self.tpus)
        return self._kind is None and not self._attached and opening and time.monotonic() - self._began_s < PATIENCE_S

    def _start_or_end_twin(self, serving: Sequence[RemoteEngine]) -> None:
        if self.cpu is None or not self.tpus or self._warm:
            return
        if any(engine.kind == "edgetpu" for engine in serving):
            if not self.cpu.attached and not self.cpu.dropping:
                self.cpu.worker.end("ended: the Edge TPU is back, and standby is cold")
                self.cpu.hold(self._why_not_warm or "standby: cold; it is started when the Edge TPU fails")
        elif not self._waits_for_tpu():
            self.cpu.release()

    def _tell_change(self, kind: str) -> None:
        """Log that another kind of engine serves, also where the first one is not the one that is wanted."""
        extra = {"model": self.name, "event": "return" if kind == "edgetpu" else "fallback"}
        if self._kind is not None:
            log.warning("model %s: from %s to %s", self.name, self._kind, kind, extra=extra)
        elif self.wants_edgetpu and kind != "edgetpu":
            log.warning("model %s: on the CPU from the start: %s", self.name, self._why_no_tpu(), extra=extra)

    def _settle_camera(self, camera: str, serving: Sequence[RemoteEngine]) -> None:
        ring = self._ring(camera)
        for engine in self.readers:
            if camera in engine.attached and (engine not in serving or ring is None):
                engine.detach(camera)
        if ring is None or any(camera in engine.dropping for engine in self.readers):
            return
        newcomers = [engine for engine in serving if camera not in engine.attached]
        if newcomers and len(newcomers) == len(serving):  # nobody has gone on with it
            if camera in self._attached:
                self._on_new_epoch(camera)
            self._attached.add(camera)
        for engine in newcomers:
            self._give(engine, camera, ring)

    def _give(self, engine: RemoteEngine, camera: str, ring: tuple[RingOffer, Descriptors]) -> None:
        offer, fds = ring
        engine.attach(RingOffer(camera, self.name, engine.reader, offer.max_age_ms), fds)
