"""Accelerator: when a worker may try the stick, and what is learnt from how it ended."""

from __future__ import annotations

import _ctypes
import asyncio
import shutil
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edgetpu.fake_usb import FakeUsb
from visiond.edgetpu.crash_memory import CrashMemory
from visiond.edgetpu.reset_plan import SETTLE_S, ResetPlan
from visiond.edgetpu.sticks import Stick, find_sticks, parse_device
from visiond.engine import accelerator as module
from visiond.engine.accelerator import ABSENT_S, FLAP_WINDOW_S, FLAPS, Accelerator, EdgeTpuSettings
from visiond.engine.remote import RemoteEngine
from visiond.messages import NO_RUNTIME, EngineStage, LoadModel, StickOrder
from visiond.supervisor import Exit

READY = Stick("2-1", 0, "ready", None, 5000.0, "A1", Path("/dev/bus/usb/002/003"), "18d1:9302", "Coral", None)
ABORT = Exit("the process died of SIGABRT", signal=signal.SIGABRT)
SEGV = Exit("the process died of SIGSEGV", signal=signal.SIGSEGV)
NO_DEVICE = Exit("libedgetpu.so.1 opens no Edge TPU")
LITERT = EngineStage("opening the Edge TPU usb:0 and loading objects", "litert", "LiteRT 2.3.0")
TFLITE = replace(LITERT, runtime="tflite-runtime", versions="tflite-runtime 2.14.0")


@dataclass
class FakeWorker:
    pid: int | None = None
    left_behind: set[int] = field(default_factory=set)
    retries: int = 0
    killed: list[str] = field(default_factory=list)

    def retry_now(self) -> None:
        self.retries += 1

    def kill(self, reason: str) -> None:
        self.killed.append(reason)


class FakeEngine:
    """As much of RemoteEngine as Accelerator uses: `begin`, `succeed` and `end` are the life of one worker."""

    def __init__(self, runtime: str = "auto") -> None:
        self.worker = FakeWorker()
        self.state = "held"
        self.why_held: str | None = "not looked for yet"
        self.stage: EngineStage | None = None
        self.last_failure: str | None = None
        self.models = {"objects": LoadModel("objects", "/p", "edgetpu", 2, 0.5, 100, runtime)}

    @property
    def is_ready(self) -> bool:
        return self.state == "ready"

    def hold(self, reason: str) -> None:
        self.why_held = reason

    def release(self) -> None:
        self.why_held = None


class Bench:
    """An accelerator with its engine, a clock, a library that is one, and what is plugged in."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        runtime: str = "auto",
        device: str = "usb:0",
        **settings: Any,
    ) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        self.library = folder / "libedgetpu.so.1"
        shutil.copy(_ctypes.__file__, self.library)
        self.crashes = CrashMemory()
        self.engine = FakeEngine(runtime)
        settings = {"library": str(self.library), **settings}
        self.accelerator = Accelerator(parse_device(device), EdgeTpuSettings(**settings), self.crashes)
        self.accelerator.engine = cast(RemoteEngine, self.engine)

    @property
    def state(self) -> str:
        return self.accelerator.state

    def look(self, *sticks: Stick, after_s: float = 0.5) -> None:
        self.now_s += after_s
        self.accelerator.look(self.accelerator.choose(sticks, ()))

    def begin(self, stage: EngineStage | None = LITERT) -> tuple[str, ...]:
        """A worker starts and gets as far as `stage`; return the runtimes that it was told to avoid."""
        assert self.engine.why_held is None, "it is held"
        order = self.accelerator.order(list(self.engine.models.values()))
        self.engine.worker.pid, self.engine.state, self.engine.stage = 77, "starting", stage
        return order.avoid

    def succeed(self) -> None:
        self.engine.state = "ready"
        self.accelerator.started()

    def end(self, ended: Exit) -> None:
        """As RemoteEngine tells it: the process is gone, the state follows."""
        was_ready = self.engine.is_ready
        self.engine.worker.pid, self.engine.state = None, "starting"
        self.engine.last_failure = None if ended.planned else ended.reason
        self.accelerator.ended(ended, was_ready)
        self.engine.state = "starting" if ended.planned else "failed"

    def crash(self, *stages: EngineStage | None, ended: Exit = SEGV) -> None:
        for stage in stages:
            self.begin(stage)
            self.end(ended)
            self.look(READY)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    return Bench(monkeypatch, tmp_path)


# what `look` sees


def test_fault_15_without_a_stick_no_worker_is_started_and_it_says_what_to_do(bench: Bench) -> None:
    bench.look()
    assert bench.state == "absent"
    assert bench.engine.why_held == ("no Coral Edge TPU is plugged in as usb:0; `visiond doctor` lists what is there")
    status = bench.accelerator.status(["objects"])
    assert status == {
        **dict.fromkeys(("port", "usb_id", "speed_mbps", "serial", "remark", "pid")),
        "device": "usb:0",
        "state": "absent",
        "reason": bench.engine.why_held,
        "models": ["objects"],
    }


def test_a_stick_that_is_plugged_in_is_tried_at_once(bench: Bench) -> None:
    bench.look()
    bench.look(READY)
    assert (bench.state, bench.engine.why_held, bench.engine.worker.retries) == ("ready", None, 1)
    order = bench.accelerator.order(list(bench.engine.models.values()))
    assert order.stick == StickOrder("usb:0", "2-1", str(bench.library), None, {}, "/sys")
    assert [load.name for load in order.models] == ["objects"]
    bench.look(READY)
    assert bench.engine.worker.retries == 1, "it has been there: the back-off holds"


def test_the_life_of_a_stick(bench: Bench) -> None:
    bench.look(READY)
    bench.begin()
    bench.look(READY)
    assert bench.state == "opening"
    bench.succeed()
    assert bench.state == "in_use"
    assert bench.accelerator.status(["objects"])["pid"] == 77
    assert bench.accelerator.status(["objects"])["serial"] == "A1"
    bench.end(ABORT)
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("failed", None)


@pytest.mark.parametrize(("state", "reason"), [("no_permission", "sudo cp 99-x.rules"), ("busy", "used by process 9")])
def test_fault_19_a_stick_that_may_not_be_used_holds_the_worker_back_with_its_remedy(
    bench: Bench, state: str, reason: str
) -> None:
    bench.look(replace(READY, state=state, reason=reason))
    assert (bench.state, bench.engine.why_held) == (state, reason)
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("ready", None)


def test_our_own_worker_does_not_make_it_busy(bench: Bench) -> None:
    bench.look(READY)
    bench.begin()
    bench.succeed()
    bench.look(replace(READY, state="busy", reason="used by process 77"))
    assert bench.state == "in_use"


def test_another_stick_than_the_named_one_is_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bench = Bench(monkeypatch, tmp_path, device="usb:2-4")
    bench.look(READY)
    assert bench.state == "absent"
    bench.look(READY, replace(READY, port="2-4", index=1))
    assert bench.state == "ready"


def test_fault_16_a_ready_worker_without_its_stick_is_killed_after_a_while(bench: Bench) -> None:
    bench.look(READY)
    bench.begin()
    bench.succeed()
    bench.look()
    assert not bench.engine.worker.killed, "it may be re-enumerating"
    bench.look(after_s=ABSENT_S)
    assert bench.engine.worker.killed == ["usb:0 is no longer on USB"]


def test_fault_17_a_stick_that_re_enumerates_is_neither_lost_nor_plugged_in_anew(bench: Bench) -> None:
    bench.look(replace(READY, state="bootloader", usb_id="1a6e:089a"))
    bench.begin()
    bench.look()
    assert (bench.state, bench.engine.worker.killed) == ("opening", [])
    bench.look(replace(READY, node=Path("/dev/bus/usb/002/004")), after_s=ABSENT_S - 0.5)
    bench.succeed()
    assert bench.state == "in_use"


@pytest.mark.parametrize("ended", [ABORT, Exit("recycled", planned=True)])
def test_fault_16_a_worker_that_ends_while_its_stick_is_away_is_not_started_before_the_next_look(
    bench: Bench, ended: Exit
) -> None:
    """The next try may be due before it: an order for a stick that is not there cannot be given."""
    bench.look(READY)
    bench.begin()
    bench.succeed()
    bench.look()
    bench.end(ended)
    assert bench.state == "absent"
    assert bench.engine.why_held is not None


def test_fault_22_a_worker_that_cannot_be_killed_keeps_others_from_the_stick(bench: Bench) -> None:
    bench.look(READY)
    bench.begin()
    bench.succeed()
    bench.engine.worker.left_behind = {77}
    bench.end(Exit("killed: the engine hangs; process 77 cannot be killed"))
    assert bench.state == "stuck"
    assert bench.engine.why_held == ("process 77 cannot be killed and may hold the stick: unplug the stick, or reboot")
    bench.look(READY)
    assert bench.state == "stuck"
    bench.engine.worker.left_behind.clear()  # the kernel has let it go
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("failed", None)


# the library, and what it crashes with


def test_fault_20_a_library_that_is_missing_is_told_and_taken_when_it_is_there(bench: Bench) -> None:
    bench.library.rename(bench.library.with_name("away"))
    bench.look(READY)
    assert bench.state == "no_library"
    assert str(bench.engine.why_held).startswith(f"{bench.library} does not exist: sudo apt install libedgetpu1-std")
    bench.library.with_name("away").rename(bench.library)
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("ready", None)


@pytest.mark.parametrize(("content", "problem"), [(b"", "is empty"), (b"\x7fELF" + b"\0" * 60, "libedgetpu.so.1 ")])
def test_fault_20_a_file_that_is_no_library_is_never_loaded(bench: Bench, content: bytes, problem: str) -> None:
    bench.library.write_bytes(content)
    bench.look(READY)
    assert bench.state == "no_library"
    assert problem in str(bench.engine.why_held)


def test_fault_20_a_pair_that_crashed_three_times_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bench = Bench(monkeypatch, tmp_path, runtime="litert")
    bench.look(READY)
    bench.crash(LITERT, LITERT)
    assert (bench.state, bench.engine.why_held) == ("failed", None)
    bench.crash(LITERT)
    assert bench.state == "unusable"
    assert bench.engine.why_held == (
        f"{bench.library} with LiteRT 2.3.0: died of SIGSEGV in opening the Edge TPU usb:0 and loading objects, 3 "
        "times in a row; most likely they do not fit each other: install a pair that does (libedgetpu 16.0 with TFLite "
        "up to 2.11.1, or 16.0TF2.17.x with tflite-runtime 2.11.1 to 2.17.1), then it is tried again by itself"
    )
    bench.look()
    bench.look(READY, after_s=60)
    assert bench.state == "unusable", "another plug does not make them fit"
    successor = bench.library.with_name("new")
    shutil.copy(_ctypes.__file__, successor)
    successor.replace(bench.library)
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("failed", None)
    assert bench.begin() == ()


def test_fault_20_auto_goes_on_to_the_next_runtime_and_gives_up_after_the_last(bench: Bench) -> None:
    bench.look(READY)
    bench.crash(TFLITE, TFLITE, TFLITE)
    assert bench.engine.why_held is None, "another runtime may fit"
    assert bench.begin() == ("tflite-runtime",)
    bench.end(SEGV)
    bench.crash(LITERT, LITERT)
    assert bench.begin(None) == ("tflite-runtime", "litert")
    bench.end(Exit("no runtime can run detect_edgetpu.tflite: both are set aside", kind=NO_RUNTIME))
    bench.look(READY)
    assert bench.state == "unusable"
    assert "with tflite-runtime 2.14.0: " in str(bench.engine.why_held)
    assert "with LiteRT 2.3.0: " in str(bench.engine.why_held)


def test_fault_20_crashes_before_a_success_are_forgiven(bench: Bench) -> None:
    bench.look(READY)
    for _ in range(3):
        bench.crash(LITERT, LITERT)
        bench.begin()
        bench.succeed()
        bench.end(ABORT)
        bench.look(READY)
        assert bench.engine.why_held is None


def test_fault_16_a_crash_after_it_was_ready_is_not_the_pairs(bench: Bench) -> None:
    bench.look(READY)
    for _ in range(5):
        bench.begin()
        bench.succeed()
        bench.end(SEGV)
        bench.look(READY)
        assert (bench.state, bench.engine.why_held) == ("failed", None)


# a stick that does not open


def test_fault_18_after_three_openings_that_failed_a_person_is_asked_for(bench: Bench) -> None:
    bench.look(READY)
    bench.crash(LITERT, LITERT, ended=NO_DEVICE)
    assert bench.state == "failed"
    bench.crash(LITERT, ended=NO_DEVICE)
    assert bench.state == "needs_replug"
    assert str(bench.accelerator.reason).startswith(
        "the stick at port 2-1 did not open 3 times in a row: unplug the Coral stick, wait 5 s, plug it in again"
    )
    assert str(bench.accelerator.reason).endswith("(last: libedgetpu.so.1 opens no Edge TPU)")
    assert bench.engine.why_held is None, "it is tried on, as the back-off says"
    bench.look(after_s=SETTLE_S)
    bench.look(replace(READY, node=Path("/dev/bus/usb/002/009")))
    assert bench.state == "failed"
    assert bench.accelerator.reason is None


def test_fault_18_a_planned_end_is_no_failed_opening(bench: Bench) -> None:
    bench.look(READY)
    bench.crash(*[LITERT] * 5, ended=Exit("recycled", planned=True))
    assert bench.state == "ready"


def test_a_stick_that_flaps_waits_out_its_back_off(bench: Bench) -> None:
    def replug() -> int:
        before = bench.engine.worker.retries
        bench.look()
        bench.look(READY)
        return bench.engine.worker.retries - before

    bench.look(READY)
    for loss in range(1, FLAPS + 1):
        bench.begin()
        bench.succeed()
        bench.end(ABORT)
        assert replug() == (1 if loss < FLAPS else 0)
    assert bench.engine.why_held is None, "it is tried, when the back-off says"
    bench.look(after_s=FLAP_WINDOW_S)
    bench.look(READY)
    assert replug() == 1, "that is long ago"


def test_fault_18_a_reset_is_made_in_a_process_of_its_own_and_holds_the_worker_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    usb = FakeUsb(tmp_path / "usb")
    usb.plug("2-1")
    (stick,) = find_sticks(usb.sysfs, usb.dev, usb.proc)
    bench = Bench(monkeypatch, tmp_path, reset=True, sysfs=usb.sysfs, dev=usb.dev)

    async def scenario() -> None:
        bench.look(stick)
        for _ in range(3):
            bench.begin()
            bench.end(NO_DEVICE)
        assert bench.state == "resetting"
        assert bench.engine.why_held == "the stick usb:0 is being reset"
        bench.look(stick)
        assert bench.state == "resetting"
        resetting = bench.accelerator._resetting
        assert resetting is not None
        await asyncio.wait_for(resetting, 30)
        bench.look(stick)
        assert (bench.state, bench.engine.why_held) == ("failed", None)
        await bench.accelerator.close()

    asyncio.run(scenario())
    said = [record.message for record in caplog.records if "Edge TPU usb:0: " in record.message]
    assert any("2-1" in message for message in said), said


def test_closing_ends_a_reset_that_is_under_way(monkeypatch: pytest.MonkeyPatch, bench: Bench) -> None:
    start = asyncio.create_subprocess_exec
    started: list[asyncio.subprocess.Process] = []
    monkeypatch.setattr(bench.accelerator, "_plan", ResetPlan(allowed=True))

    async def start_what_takes_long(*_: str, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start("sleep", "60", **options))
        running.set()
        return started[0]

    async def scenario() -> int:
        bench.look(READY)
        for _ in range(3):
            bench.begin()
            bench.end(NO_DEVICE)
        await asyncio.wait_for(running.wait(), 20)
        await bench.accelerator.close()
        return await asyncio.wait_for(started[0].wait(), 20)

    running = asyncio.Event()
    monkeypatch.setattr(asyncio, "create_subprocess_exec", start_what_takes_long)
    assert asyncio.run(scenario()) == -signal.SIGKILL
    assert bench.state == "resetting"
    bench.look(READY)
    assert bench.state == "failed"


def test_the_process_that_had_the_stick_before_is_waited_for_and_then_forgotten(
    bench: Bench,
) -> None:
    """Each reload makes a successor: a chain of them would be a leak of the daemon."""
    before = FakeEngine()
    before.worker.pid = 76
    bench.accelerator.predecessor = cast(RemoteEngine, before)
    bench.look(READY)
    assert (bench.state, bench.engine.why_held) == ("opening", "waits for the process that had usb:0 before")
    before.worker.pid = None
    bench.look(READY)
    assert bench.engine.why_held is None
    assert bench.accelerator.predecessor is None
