"""RemoteEngine: what the parent knows of one engine worker, and how it keeps it at work."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from visiond.detection import Result
from visiond.engine.latency import SLOWER, Latency
from visiond.messages import (
    DropRing,
    EngineReady,
    EngineStage,
    FrameDropped,
    LoadModel,
    Message,
    ModelReady,
    RingDropped,
    RingOffer,
    StartEngine,
)
from visiond.supervisor import MAX_BACKOFF_S, Exit, Worker

log = logging.getLogger(__name__)

START_DEADLINE_S: Final = 30.0  # a TPU that re-enumerates takes seconds; apart from the deadline of an invoke
# Of an engine on the CPU that was ended at its deadline: it does not hang at a stick, the board is slow or busy
MOST_START_DEADLINE_S: Final = 240.0
# Of an invoke: ten times the slowest, within these bounds. An Edge TPU takes milliseconds and may hang; a CPU only
# seems to, when others keep it busy.
LEAST_INVOKE_DEADLINE_S: Final = {"edgetpu": 0.5, "cpu": 2.0}
MOST_INVOKE_DEADLINE_S: Final = 30.0

NOT_LOOKED_FOR: Final = "its stick was not looked for yet"

Descriptors = tuple[int, int, int]


class RemoteEngine:
    """One engine worker seen from the parent: its state, what it has said, and its deadlines.

    `state`: held (`reason` says why no process is started), starting, ready, recycling (it has grown too large), failed
    (and dated to be tried again).
    """

    def __init__(
        self,
        name: str,
        kind: str,
        reader: int,
        models: Mapping[str, LoadModel],
        order: Callable[[], StartEngine],
        on_outcome: Callable[[RemoteEngine, Result | FrameDropped], None],
        on_exit: Callable[[RemoteEngine, Exit, bool], None],
        on_change: Callable[[RemoteEngine], None],
        max_backoff_s: float = MAX_BACKOFF_S,
        max_rss_mb: float | None = None,
    ) -> None:
        """`kind`: cpu or edgetpu; `reader`: its number at the rings; `order` gives the worker's first message.

        `on_outcome` gets every frame's end, `on_exit` is called when the worker ended with what it held, and told
        whether it had been ready; `on_change` when the state has changed or a camera's ring was dropped. Past
        `max_rss_mb` it is recycled.
        """
        self.name = name
        self.kind = kind
        self.reader = reader
        self.models = models
        self.state = "starting"
        self.reason: str | None = None
        self.stage: EngineStage | None = None
        self.ready: dict[str, ModelReady] = {}
        self.last_failure: str | None = None
        self.failures = 0
        self.results = dict.fromkeys(models, 0)
        self.attached: set[str] = set()  # cameras whose frames it takes
        self.dropping: set[str] = set()  # cameras whose last frame it still has to answer
        self.started_s: float | None = None
        self._latency: dict[str, Latency] = {}
        self._model_of: dict[str, str] = {}
        self._order = order
        self._on_outcome = on_outcome
        self._on_ended = on_exit
        self._on_change = on_change
        self._max_rss_mb = max_rss_mb
        self._silent_since_s: float | None = None
        self._start_deadline_s = START_DEADLINE_S
        self.worker = Worker(
            f"engine {name}", "visiond.engine.worker", self._first, self._on_message, self._on_exit, str, max_backoff_s
        )

    @property
    def is_ready(self) -> bool:
        """Whether it can be given frames."""
        return self.state == "ready"

    def engine_of(self, model: str) -> str | None:
        """What really computes this model, cpu or edgetpu; None until it is ready."""
        ready = self.ready.get(model)
        return None if ready is None else ready.engine

    def latency(self, model: str) -> Latency | None:
        """What this model's invokes take, None until it is ready."""
        return self._latency.get(model)

    def slowness(self, model: str) -> str | None:
        """Say that this model's invokes have become slower, and what to do; None while they have not."""
        latency = self._latency.get(model)
        if latency is None or latency.times_slower <= SLOWER or (spread := latency.spread) is None:
            return None
        text = (
            f"an invoke on {self.name} takes {spread.p50:.0f} ms, {latency.times_slower:.1f} times as long as at first"
        )
        if self.kind == "edgetpu":
            return f"{text}: the stick may be hot, or its USB link slow; give it air, a USB 3 port, performance: medium"
        return f"{text}: the processor may be hot, or busy with something else; see `visiond doctor`"

    def status(self, model: str) -> dict[str, Any]:
        """What `status` says of this worker, as far as one of its models goes."""
        ready, latency = self.ready.get(model), self._latency.get(model)
        spread = None if latency is None else latency.spread
        swap_ms = None if latency is None else latency.swap_ms
        rss_mb, retry_in_s = self.worker.rss_mb, self.worker.next_try_in_s
        return {
            "name": self.name,
            "engine": self.kind,
            "state": self.state,
            "reason": self.reason,
            "retry_in_s": None if retry_in_s is None else round(retry_in_s, 1),
            "runtime": None if ready is None else ready.runtime,
            "runtime_why": None if ready is None else ready.why,
            "library": None if ready is None else ready.library,
            "invoke_ms": None if spread is None else {"p50": round(spread.p50, 2), "p99": round(spread.p99, 2)},
            "swaps": 0 if latency is None else latency.swaps,
            "swap_ms": None if swap_ms is None else round(swap_ms, 2),
            "results": self.results[model],
            "restarts": self.worker.restarts,
            "failures": self.failures,
            "last_failure": self.last_failure,
            "pid": self.worker.pid,
            "left_behind": sorted(self.worker.left_behind),
            "rss_mb": None if rss_mb is None else round(rss_mb, 1),
            "golden": None if ready is None else asdict(ready.golden),
        }

    def attach(self, offer: RingOffer, fds: Descriptors) -> None:
        """Give the worker a camera's ring."""
        self.attached.add(offer.camera)
        self._model_of[offer.camera] = offer.model
        self.worker.send(offer, fds)

    def detach(self, camera: str) -> None:
        """Take a camera's ring from the worker, at the border of a frame: `dropping` tells when that has come."""
        if camera in self.attached:
            self.attached.discard(camera)
            self.dropping.add(camera)
            self.worker.send(DropRing(camera))

    def hold(self, reason: str) -> None:
        """Start no process until `release`, for this reason."""
        self.worker.hold()
        if self.worker.pid is None:
            self._set_state("held", reason)

    def release(self) -> None:
        """Start a process when its next try is due."""
        self.worker.release()
        if self.state == "held":
            self._set_state("starting", None)

    def check(self, pending: int) -> None:
        """Kill the worker when frames are pending (waiting for it, or taken) and it is silent beyond the deadline."""
        if not self.ready or (pending == 0 and not self.dropping):
            self._silent_since_s = None
            return
        now_s = time.monotonic()
        if self._silent_since_s is None:
            self._silent_since_s = now_s
        deadline_s = self.invoke_deadline_s
        if now_s - self._silent_since_s > deadline_s:
            self.worker.kill(f"the engine hangs: no answer for {deadline_s:.1f} s")

    def retire(self, why: str) -> None:
        """Let it answer what it has taken and take no more; whoever owns it ends its process then."""
        self._set_state("recycling", why)

    def is_bloated(self) -> str | None:
        """Say that the worker's memory is past its ceiling, None while it is not."""
        rss_mb = self.worker.rss_mb
        if self._max_rss_mb is None or rss_mb is None or rss_mb <= self._max_rss_mb:
            return None
        return f"recycled: it has grown to {rss_mb:.0f} MB, past max_rss_mb: {self._max_rss_mb:.0f}"

    @property
    def invoke_deadline_s(self) -> float:
        """How long the worker may be silent when it has frames to work on."""
        deadline_ms = max((latency.deadline_ms for latency in self._latency.values()), default=0.0)
        return min(max(deadline_ms / 1e3, LEAST_INVOKE_DEADLINE_S[self.kind]), MOST_INVOKE_DEADLINE_S)

    def _first(self) -> Message:
        self.started_s = time.monotonic()
        self.stage = None
        self._set_state("starting", None)
        deadline_s = self._start_deadline_s
        self.worker.expect_within(deadline_s, f"it did not start within {deadline_s:g} s")
        return self._order()

    def _on_message(self, message: Message, fds: list[int]) -> None:  # noqa: ARG002 - an engine sends no descriptors
        self._silent_since_s = None
        if isinstance(message, Result):
            self._count(message)
            self._on_outcome(self, message)
        elif isinstance(message, FrameDropped):
            self._on_outcome(self, message)
        elif isinstance(message, RingDropped):
            self.dropping.discard(message.camera)
            self._on_change(self)
        elif isinstance(message, EngineStage):
            before = self.stage or message
            self.stage = replace(
                message, runtime=message.runtime or before.runtime, versions=message.versions or before.versions
            )
        elif isinstance(message, EngineReady):
            self._got_ready(message)

    def _got_ready(self, message: EngineReady) -> None:
        self.worker.expect_within(None)
        self.ready = {model.name: model for model in message.models}
        self._latency = {model.name: Latency(model.invoke_ms) for model in message.models}
        for model in message.models:
            what = f"{model.engine}, {model.runtime}, {model.invoke_ms:.1f} ms per invoke"
            log.info("engine %s: model %s: %s", self.name, model.name, what)
            for failure in model.golden.failures:
                log.warning("engine %s: model %s: golden example failed: %s", self.name, model.name, failure)
            if model.remark is not None:
                log.warning("engine %s: model %s: %s", self.name, model.name, model.remark)
        self._set_state("ready", None)

    def _count(self, result: Result) -> None:
        model = self._model_of[result.camera]
        self.results[model] += 1
        self._latency[model].count(result.stages_ms.invoke, result.swapped)

    def _on_exit(self, ended: Exit) -> None:
        self.attached.clear()
        self.dropping.clear()
        was_ready = self.is_ready
        self._start_deadline_s = self._next_start_deadline_s(was_ready)
        self.ready = {}
        self._latency = {}
        self._silent_since_s = None
        if not ended.planned:
            self.failures += 1
            self.last_failure = self._in_words(ended, was_ready)
            ended = replace(ended, reason=self.last_failure)
        self._on_ended(self, ended, was_ready)
        self.stage = None  # the next one may not even start
        self._set_state("starting" if ended.planned else "failed", ended.reason)

    def _next_start_deadline_s(self, was_ready: bool) -> float:
        """Twice the last one where that has ended a start on the CPU: else a slow board would never come to its end."""
        late_s = 0.0 if self.started_s is None else time.monotonic() - self.started_s - self._start_deadline_s
        if self.kind != "cpu" or was_ready or late_s < 0:
            return START_DEADLINE_S
        return min(2 * self._start_deadline_s, MOST_START_DEADLINE_S)

    def _in_words(self, ended: Exit, was_ready: bool) -> str:
        """The reason, with what the worker was about to do where only that tells the cause."""
        if was_ready or self.stage is None or ended.signal is None:
            return ended.reason
        versions = f" ({self.stage.versions})" if self.stage.versions else ""
        return f"{ended.reason} while it was at {self.stage.stage}{versions}"

    def _set_state(self, state: str, reason: str | None) -> None:
        if (state, reason) != (self.state, self.reason):
            self.state, self.reason = state, reason
            self._on_change(self)
