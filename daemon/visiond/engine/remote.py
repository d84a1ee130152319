"""RemoteEngine: what the parent knows of one model's engine, and how it keeps its worker at work."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from visiond.detection import Result
from visiond.messages import DropRing, EngineReady, FrameDropped, LoadModel, Message, RingOffer
from visiond.supervisor import Exit, Worker

log = logging.getLogger(__name__)

START_DEADLINE_S: Final = 30.0  # a TPU that re-enumerates takes seconds; apart from the deadline of an invoke
LEAST_INVOKE_DEADLINE_S: Final = 2.0
MOST_INVOKE_DEADLINE_S: Final = 30.0
NO_EDGETPU: Final = "accelerator: required, but this version does not drive an Edge TPU; give prefer or never"
ON_CPU: Final = "runs on the CPU: this version does not drive an Edge TPU; accelerator: never makes that the intention"
NO_EDGETPU_FILE: Final = "runs on the CPU: its package has no files.edgetpu"
_WINDOW: Final = 300  # results whose invoke times are kept


@dataclass(frozen=True, slots=True)
class Latency:
    """Of the last invokes, in milliseconds."""

    p50: float
    p99: float


class RemoteEngine:
    """One engine worker seen from the parent: its state, what it has said, and its deadlines."""

    def __init__(
        self,
        load: LoadModel,
        accelerator: str,
        has_edgetpu_file: bool,
        on_outcome: Callable[[Result | FrameDropped], None],
        on_ready: Callable[[], None],
        on_exit: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        """`on_outcome` gets every frame's end, `on_exit` is called when the worker died with what it held."""
        self.name = load.name
        self.load = load
        self.accelerator = accelerator
        self.degraded = accelerator == "prefer" and has_edgetpu_file
        self.can_run = accelerator != "required"
        self.state = "starting" if self.can_run else "unavailable"
        self.reason: str | None = None if self.can_run else NO_EDGETPU
        self.retry_in_s: float | None = None
        self.ready: EngineReady | None = None
        self.results = 0
        if self.reason is not None:
            log.warning("engine %s: %s: %s", load.name, self.state, self.reason)
        self._on_outcome = on_outcome
        self._on_ready = on_ready
        self._on_lost = on_exit
        self._on_change = on_change
        self._invokes_ms: deque[float] = deque(maxlen=_WINDOW)
        self._silent_since_s: float | None = None
        self.worker = Worker(
            f"engine {load.name}",
            "visiond.engine.worker",
            self._first,
            self._on_message,
            self._on_exit,
        )

    @property
    def latency(self) -> Latency | None:
        """Median and 99th percentile of the last invokes."""
        if not self._invokes_ms:
            return None
        ordered = sorted(self._invokes_ms)
        return Latency(ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)])

    def status(self) -> dict[str, Any]:
        """The engine's part of `status`."""
        ready, latency = self.ready, self.latency
        return {
            "state": self.state,
            "reason": self.reason,
            "retry_in_s": self.retry_in_s,
            "engine": None if ready is None else ready.engine,
            "accelerator": self.accelerator,
            "degraded": self.degraded,
            "runtime": None if ready is None else ready.runtime,
            "threads": self.load.threads,
            "invoke_ms": None if latency is None else {"p50": round(latency.p50, 2), "p99": round(latency.p99, 2)},
            "results": self.results,
            "restarts": self.worker.restarts,
            "pid": self.worker.pid,
            "golden": None if ready is None else asdict(ready.golden),
        }

    def attach(self, offer: RingOffer, fds: tuple[int, int, int]) -> None:
        """Give the worker a camera's ring."""
        self.worker.send(offer, fds)

    def detach(self, camera: str) -> None:
        """Take a camera's ring from the worker."""
        self.worker.send(DropRing(camera))

    def check(self, pending: int) -> None:
        """Kill the worker when frames are pending (waiting for it, or taken) and it is silent beyond the deadline."""
        if self.state != "ready" or pending == 0:
            self._silent_since_s = None
            return
        now_s = time.monotonic()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        if now_s - self._silent_since_s > self._invoke_deadline_s():
            self.worker.kill(f"the engine hangs: no answer for {self._invoke_deadline_s():.1f} s")

    def _why_cpu(self) -> str | None:
        if self.accelerator != "prefer":
            return None
        return ON_CPU if self.degraded else NO_EDGETPU_FILE

    def _invoke_deadline_s(self) -> float:
        slowest_ms = max(self._invokes_ms, default=0.0 if self.ready is None else self.ready.invoke_ms)
        return min(max(10 * slowest_ms / 1e3, LEAST_INVOKE_DEADLINE_S), MOST_INVOKE_DEADLINE_S)

    def _first(self) -> Message:
        self._set_state("starting", None)
        self.worker.expect_within(START_DEADLINE_S, f"the model did not start within {START_DEADLINE_S:.0f} s")
        return self.load

    def _on_message(self, message: Message, fds: list[int]) -> None:  # noqa: ARG002 - an engine sends no descriptors
        self._silent_since_s = None
        if isinstance(message, EngineReady):
            self.worker.expect_within(None)
            self.ready = message
            log.info(
                "engine %s: %s, %s, %.1f ms per invoke", self.name, message.engine, message.runtime, message.invoke_ms
            )
            for failure in message.golden.failures:
                log.warning("engine %s: golden example failed: %s", self.name, failure)
            self._set_state("ready", self._why_cpu())
            self._on_ready()
        elif isinstance(message, Result):
            self.results += 1
            self._invokes_ms.append(message.stages_ms.invoke)
            self._on_outcome(message)
        elif isinstance(message, FrameDropped):
            self._on_outcome(message)

    def _on_exit(self, ended: Exit) -> None:
        self._on_lost()
        self.retry_in_s = ended.retry_in_s
        self._invokes_ms.clear()
        self._set_state("failed", ended.reason)

    def _set_state(self, state: str, reason: str | None) -> None:
        if state != "failed":
            self.retry_in_s = None
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._on_change()
