"""ServedModel: which engine sees the frames, from its start through every failure and back, with small fakes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from visiond.engine import served
from visiond.engine.remote import Descriptors, RemoteEngine
from visiond.engine.served import NO_EDGETPU_FILE, PATIENCE_S, ServedModel
from visiond.messages import GoldenReport, LoadModel, ModelReady, RingOffer

MODEL = "objects"
FDS: Descriptors = (3, 4, 5)


@dataclass
class FakeEngine:
    """As much of RemoteEngine as ServedModel uses; `drops_at_once` is how fast it answers what it has taken."""

    name: str
    kind: str
    reader: int
    state: str = "starting"
    reason: str | None = None
    drops_at_once: bool = True
    attached: set[str] = field(default_factory=set)
    dropping: set[str] = field(default_factory=set)
    ready: dict[str, ModelReady] = field(default_factory=dict)
    offers: list[RingOffer] = field(default_factory=list)
    slow: str | None = None
    last_failure: str | None = None
    ended: list[str] = field(default_factory=list)
    held: bool = False

    def __post_init__(self) -> None:
        self.models = {MODEL: LoadModel(MODEL, "/p", self.kind, 2, 0.5, 100)}
        self.results = {MODEL: 10}
        self.worker = SimpleNamespace(restarts=1, end=self.end)

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    def start(self, failures: int = 0, engine: str | None = None, remark: str | None = None) -> None:
        """It has loaded its model, and this is how that went."""
        golden = GoldenReport(2, failures, ("cat.jpg: no cat",) * failures)
        self.state, self.reason, self.held = "ready", None, False
        runtime = ("LiteRT 2.3.0", "auto: the first choice for this model")
        self.ready = {MODEL: ModelReady(MODEL, engine or self.kind, *runtime, None, (4, 4), 7.0, golden, remark)}

    def fail(self, reason: str = "the process died of SIGABRT") -> None:
        self.state, self.reason, self.last_failure, self.ready = "failed", reason, reason, {}
        self.attached.clear()
        self.dropping.clear()

    def end(self, reason: str) -> None:
        if self.is_ready:
            self.ended.append(reason)
            self.state, self.ready = "starting", {}

    def engine_of(self, model: str) -> str | None:
        return self.ready[model].engine if model in self.ready else None

    def slowness(self, model: str) -> str | None:
        assert model == MODEL
        return self.slow

    def status(self, model: str) -> dict[str, Any]:
        shown = {"name": self.name, "state": self.state, "runtime": None, "invoke_ms": None, "pid": 1, "golden": None}
        return {**shown, "retry_in_s": 1.5, "results": self.results[model]}

    def attach(self, offer: RingOffer, fds: Descriptors) -> None:
        assert self.is_ready
        assert fds == FDS
        self.attached.add(offer.camera)
        self.offers.append(offer)

    def detach(self, camera: str) -> None:
        if camera in self.attached:
            self.attached.discard(camera)
            if not self.drops_at_once:
                self.dropping.add(camera)

    def hold(self, reason: str) -> None:
        self.held = True
        if not self.is_ready:
            self.state, self.reason = "held", reason

    def release(self) -> None:
        self.held = False
        if self.state == "held":
            self.state, self.reason = "starting", None


class Model:
    """A served model with its engines and the epochs that its cameras have begun."""

    def __init__(
        self,
        accelerator: str = "prefer",
        tpus: int = 1,
        cpu: bool = True,
        warm: bool = True,
        cameras: tuple[str, ...] = ("front",),
    ) -> None:
        self.tpus = [FakeEngine(f"usb:{number}", "edgetpu", number + 1) for number in range(tpus)]
        self.cpu = FakeEngine("objects on the CPU", "cpu", 0)
        self.rings = {name: RingOffer(name, max_age_ms=500) for name in cameras}
        self.epochs: list[str] = []
        self.served = ServedModel(
            MODEL,
            accelerator,
            cast("list[RemoteEngine]", self.tpus),
            cast(RemoteEngine, self.cpu) if cpu else None,
            warm,
            cameras,
            lambda camera: (self.rings[camera], FDS) if camera in self.rings else None,
            self.epochs.append,
        )

    @property
    def tpu(self) -> FakeEngine:
        return self.tpus[0]

    def readers(self, camera: str = "front") -> list[str]:
        """Who reads this camera, after what has changed was settled."""
        self.served.settle()
        return [engine.name for engine in (*self.tpus, self.cpu) if camera in engine.attached]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    made = SimpleNamespace(now_s=1000.0)
    monkeypatch.setattr(served, "time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


# what the log says


@pytest.mark.parametrize(
    ("tpus", "lines"),
    [
        (1, [("fallback", "model objects: on the CPU from the start: usb:0: the process died of SIGABRT")]),
        (0, []),
    ],
)
def test_who_wants_an_edge_tpu_and_begins_without_is_told(
    tpus: int, lines: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    model = Model(tpus=tpus)
    for tpu in model.tpus:
        tpu.fail()
    model.cpu.start()
    model.readers()
    model.readers()
    told = [(str(getattr(record, "event", None)), record.getMessage()) for record in caplog.records]
    assert told == lines


# never, and no accelerator at all


def test_never_runs_on_the_cpu_and_nothing_is_wrong_with_that() -> None:
    model = Model("never", tpus=0)
    assert model.readers() == []
    assert model.served.reason() is None
    model.cpu.start()
    assert model.readers() == ["objects on the CPU"]
    assert model.cpu.offers == [RingOffer("front", MODEL, 0, 500)]
    assert (model.served.degraded, model.served.reason(), model.served.status()["standby"]) == (False, None, None)
    assert model.epochs == [], "the first engine begins no new epoch"


def test_a_package_without_the_edge_tpus_file_says_so_and_is_not_degraded() -> None:
    model = Model("prefer", tpus=0)
    model.cpu.start()
    model.served.settle()
    assert (model.served.degraded, model.served.reason()) == (False, NO_EDGETPU_FILE)


# required


def test_required_gives_no_results_without_the_edge_tpu() -> None:
    model = Model("required", cpu=False)
    model.tpu.hold("no Coral Edge TPU is plugged in as usb:0")
    assert model.readers() == []
    assert model.served.degraded
    assert model.served.reason() == "usb:0: no Coral Edge TPU is plugged in as usb:0"
    assert model.served.status()["state"] == "unavailable"
    assert model.served.status()["retry_in_s"] == 1.5
    model.tpu.start()
    assert model.readers() == ["usb:0"]
    assert (model.served.degraded, model.served.reason()) == (False, None)


def test_required_takes_the_edge_tpu_though_it_fails_its_examples() -> None:
    model = Model("required", cpu=False)
    model.tpu.start(failures=1)
    assert model.readers() == ["usb:0"]


# prefer, with a warm twin


def test_fault_16_the_twin_takes_over_and_the_edge_tpu_takes_back(clock: SimpleNamespace) -> None:
    model = Model()
    model.cpu.start()
    model.tpu.start()
    assert model.readers() == ["usb:0"]
    model.tpu.fail()
    assert model.readers() == ["objects on the CPU"]
    assert model.epochs == ["front"]
    assert model.served.degraded
    assert model.served.reason() == "runs on the CPU: usb:0: the process died of SIGABRT"
    assert model.served.status()["engine"] == "cpu"
    clock.now_s += 60
    model.tpu.state = "starting"
    model.tpu.reason = None
    assert model.readers() == ["objects on the CPU"], "while the stick opens, the twin goes on"
    assert model.served.reason() == "runs on the CPU: usb:0 is tried again after: the process died of SIGABRT"
    model.tpu.start()
    assert model.readers() == ["usb:0"]
    assert model.epochs == ["front", "front"]
    assert (model.served.degraded, model.served.reason()) == (False, None)


def test_it_comes_back_at_the_border_of_a_frame() -> None:
    model = Model()
    model.cpu.start()
    model.cpu.drops_at_once = False
    model.tpu.hold("no Coral Edge TPU is plugged in as usb:0")
    assert model.readers() == ["objects on the CPU"]
    model.tpu.start()
    assert model.readers() == [], "the twin still answers what it has taken"
    assert model.cpu.dropping == {"front"}
    before = list(model.epochs)
    assert model.readers() == []
    model.cpu.dropping.clear()
    assert model.readers() == ["usb:0"]
    assert model.epochs == [*before, "front"], "the epoch rises once, when the other one begins"


def test_a_camera_without_a_ring_waits_and_the_others_go_on() -> None:
    model = Model(cameras=("front", "rear"))
    ring = model.rings.pop("rear")
    model.tpu.start()
    assert (model.readers("front"), model.readers("rear")) == (["usb:0"], [])
    model.rings["rear"] = ring
    assert model.readers("rear") == ["usb:0"]
    assert model.epochs == []
    del model.rings["front"]
    assert model.readers("front") == []
    assert model.readers("rear") == ["usb:0"]


def test_a_new_ring_replaces_the_old_one_at_every_engine() -> None:
    model = Model(tpus=2)
    for tpu in model.tpus:
        tpu.start()
    model.served.settle()
    model.rings["front"] = RingOffer("front", max_age_ms=100)
    model.served.forget_ring("front")
    assert model.readers() == ["usb:0", "usb:1"]
    assert [[offer.max_age_ms for offer in tpu.offers] for tpu in model.tpus] == [[500, 100], [500, 100]]


# the trial


def test_an_edge_tpu_that_fails_its_trial_does_not_take_over() -> None:
    model = Model()
    model.cpu.start()
    model.tpu.start(failures=1)
    assert model.readers() == ["objects on the CPU"]
    assert model.served.degraded
    assert model.served.reason() == "runs on the CPU: usb:0 does not reproduce the golden examples: cat.jpg: no cat"
    model.tpu.start(failures=0)
    assert model.readers() == ["usb:0"]


def test_a_trial_that_the_twin_fails_too_is_the_models_fault() -> None:
    model = Model()
    model.tpu.start(failures=1)
    assert model.readers() == [], "the twin may do better, and is not there yet"
    model.cpu.start(failures=1)
    assert model.readers() == ["usb:0"]


# at the start


def test_the_twin_waits_a_moment_for_an_edge_tpu_that_is_being_opened(clock: SimpleNamespace) -> None:
    model = Model()
    model.cpu.start()
    assert model.readers() == []
    clock.now_s += PATIENCE_S
    assert model.readers() == ["objects on the CPU"], "one that re-enumerates takes longer"


def test_the_twin_does_not_wait_for_an_edge_tpu_that_is_not_there(clock: SimpleNamespace) -> None:
    assert clock.now_s == 1000
    model = Model()
    model.cpu.start()
    model.tpu.hold("no Coral Edge TPU is plugged in as usb:0")
    assert model.readers() == ["objects on the CPU"]
    assert model.served.reason() == "runs on the CPU: usb:0: no Coral Edge TPU is plugged in as usb:0"


# a cold twin


def test_a_cold_twin_is_started_when_it_is_needed_and_ended_when_it_is_not() -> None:
    model = Model(warm=False)
    assert model.cpu.held
    model.tpu.start()
    assert model.readers() == ["usb:0"]
    assert model.cpu.held
    model.tpu.fail()
    assert model.readers() == []
    assert not model.cpu.held, "it is being started"
    assert model.served.reason() == "usb:0: the process died of SIGABRT"
    model.cpu.start()
    assert model.readers() == ["objects on the CPU"]
    model.cpu.drops_at_once = False
    model.tpu.start()
    assert model.readers() == []
    assert not model.cpu.held, "not before it has answered what it took"
    assert not model.cpu.ended
    model.cpu.dropping.clear()
    assert model.readers() == ["usb:0"]
    assert model.cpu.held
    assert model.cpu.ended == ["ended: the Edge TPU is back, and standby is cold"]
    assert model.served.status()["standby"] == "cold"


def test_a_cold_twin_is_not_started_while_the_first_opening_goes_on(clock: SimpleNamespace) -> None:
    model = Model(warm=False)
    model.served.settle()
    assert model.cpu.held
    clock.now_s += PATIENCE_S
    model.served.settle()
    assert not model.cpu.held


def test_where_memory_is_short_a_warm_twin_stays_cold_and_says_why() -> None:
    model = Model()
    assert model.served.status()["standby"] == "warm"
    model.served.stay_cold("cold: 120 MB of memory are free, and a warm twin needs 200")
    assert model.cpu.held
    assert model.served.status()["standby"] == "cold: 120 MB of memory are free, and a warm twin needs 200"
    alone = Model("never", tpus=0)
    alone.served.stay_cold("cold: no memory")
    assert not alone.cpu.held, "it is no twin: it serves"


# two Edge TPUs


def test_two_edge_tpus_share_a_camera_and_each_reads_under_its_own_number() -> None:
    model = Model(tpus=2)
    model.cpu.start()
    model.tpus[0].start()
    assert model.readers() == ["usb:0"]
    model.tpus[1].start()
    assert model.readers() == ["usb:0", "usb:1"]
    assert [tpu.offers[0].reader for tpu in model.tpus] == [1, 2]
    assert model.epochs == [], "what the first one follows goes on"


def test_one_of_two_edge_tpus_goes_on_alone() -> None:
    model = Model(tpus=2)
    model.cpu.start()
    for tpu in model.tpus:
        tpu.start()
    model.served.settle()
    model.tpus[0].fail()
    assert model.readers() == ["usb:1"]
    assert (model.epochs, model.served.degraded, model.served.reason()) == ([], False, None)
    model.tpus[1].fail("it hangs")
    assert model.readers() == ["objects on the CPU"]
    assert model.epochs == ["front"]
    assert model.served.status()["results"] == 30
    assert model.served.status()["restarts"] == 3


# what is told


def test_a_ready_edge_tpu_that_computes_on_the_cpu_is_degraded_with_the_reason() -> None:
    model = Model("required", cpu=False)
    model.tpu.start(engine="cpu", remark="the delegate has taken no operator: files.edgetpu is not compiled")
    assert model.readers() == ["usb:0"]
    assert model.served.degraded
    assert model.served.reason() == (
        "runs on the CPU: the delegate has taken no operator: files.edgetpu is not compiled"
    )


def test_fault_23_an_engine_that_has_become_slow_is_told() -> None:
    model = Model()
    model.tpu.start()
    model.tpu.slow = "an invoke on usb:0 takes 30 ms, 4.0 times as long as at first"
    model.served.settle()
    assert model.served.status()["slow"] == model.tpu.slow
    assert model.served.reason() == model.tpu.slow
    assert not model.served.degraded


def test_status_shows_the_engine_that_serves_and_every_worker() -> None:
    model = Model(tpus=2)
    model.cpu.start()
    model.tpus[1].start()
    model.served.settle()
    status = model.served.status()
    assert (status["state"], status["engine"], status["retry_in_s"], status["threads"]) == ("ready", "edgetpu", None, 2)
    assert [worker["name"] for worker in status["workers"]] == ["usb:0", "usb:1", "objects on the CPU"]
