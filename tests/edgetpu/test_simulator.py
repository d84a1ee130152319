"""The simulated Edge TPU under real runtimes, each fault in a process that really ends of it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Self

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgetpu_sim import layout
from edgetpu_sim.commands import main
from edgetpu_sim.simulator import HERE, Simulator, build_library
from edgetpu_sim.stick import Stick, float32, fnv1a
from tflite_runtimes import TFLITE_RUNTIMES
from tflite_writer import Graph, Operator, Tensor

pytestmark = pytest.mark.skipif(not TFLITE_RUNTIMES, reason="no TFLite runtime is installed")

PATIENCE_S = 30.0
CLASSIFIER = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
YOLO = "yolov8n_full_integer_quant_edgetpu.tflite"
COCO_SSD = "coco_ssd_mobilenet_v1_1.0_quant.tflite"

# Says "loaded", then answers each line: a number of invokes, or "close".
CHILD = """
import sys
library, runtime, *models = sys.argv[1:]
options = dict(option.split("=") for option in models.pop(0).split(","))
if runtime == "litert":
    from ai_edge_litert.interpreter import Interpreter, load_delegate
else:
    from tflite_runtime.interpreter import Interpreter, load_delegate

def load(model):
    delegates = [load_delegate(library, options)]
    interpreter = Interpreter(model_path=model, experimental_delegates=delegates, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter

try:
    interpreters = [load(model) for model in models]
    print("loaded", flush=True)
    for line in sys.stdin:
        if line.strip() == "close":
            del interpreters
            print("closed", flush=True)
            continue
        for _ in range(int(line)):
            for interpreter in interpreters:
                interpreter.invoke()
        print("done", flush=True)
except (ValueError, RuntimeError) as error:
    print(f"{type(error).__name__}: {error}".replace("\\n", " | "), flush=True)
"""


class Child:
    """A process that has the delegate and a model, or tells why not."""

    def __init__(
        self, simulator: Simulator, *models: Path, runtime: str = TFLITE_RUNTIMES[0], options: str = "device=usb:0"
    ) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(simulator.library), runtime, options, *map(str, models)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            env={**os.environ, **simulator.environment()},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def answer(self) -> str:
        """Its next line; empty where it has died."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def ask(self, line: str | int) -> str:
        """Its answer to "close", or to a number of invokes."""
        self.tell(line)
        return self.answer()

    def tell(self, line: str | int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")

    def end(self) -> tuple[int, str]:
        """The exit status, once it has ended by itself, and what it has left in stderr."""
        self.process.wait(PATIENCE_S)  # before its stdin is closed, which would end it
        _, errors = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, errors


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Simulator]:
    with Simulator(tmp_path / "sticks", sticks=2) as simulator:
        for number in range(2):
            simulator.stick(number).set_invoke_ms(0)
        simulator.stick(1).unplug()
        yield simulator


@pytest.fixture
def stick(simulator: Simulator) -> Stick:
    return simulator.stick()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """One operator, as compiled for the Edge TPU: 16 bytes in, 12 bytes and 5 floats out."""
    tensors = [
        Tensor("picture", [1, 2, 2, 4], "uint8", (1 / 128, 128)),
        Tensor("scores", [1, 12], "uint8", (1 / 256, 0)),
        Tensor("boxes", [1, 5], "float32"),
    ]
    return Graph(tensors, [0], [1, 2], [Operator("edgetpu-custom-op", [0], [1, 2])]).write(tmp_path / "one.tflite")


class Loaded:
    """The delegate and a model in this process."""

    def __init__(self, simulator: Simulator, path: Path, runtime: str) -> None:
        if runtime == "litert":
            from ai_edge_litert.interpreter import Interpreter, load_delegate
        else:
            from tflite_runtime.interpreter import Interpreter, load_delegate
        delegates = [load_delegate(str(simulator.library), {"device": "usb:0"})]
        self.interpreter = Interpreter(model_path=str(path), experimental_delegates=delegates, num_threads=1)
        self.interpreter.allocate_tensors()

    def run(self, data: bytes | None = None) -> dict[str, np.ndarray]:
        """Every output by name, for an input of those bytes."""
        if data is not None:
            source = self.interpreter.get_input_details()[0]
            values = np.frombuffer(data, source["dtype"]).reshape(source["shape"])
            self.interpreter.set_tensor(source["index"], values)
        self.interpreter.invoke()
        details = self.interpreter.get_output_details()
        return {output["name"]: self.interpreter.get_tensor(output["index"]) for output in details}

    def input_bytes(self, seed: int) -> bytes:
        size = int(np.prod(self.interpreter.get_input_details()[0]["shape"]))
        return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


@pytest.fixture(params=TFLITE_RUNTIMES)
def runtime(request: pytest.FixtureRequest, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each runtime that is installed; its library finds the simulator in this process too."""
    for name, value in simulator.environment().items():
        monkeypatch.setenv(name, value)
    return str(request.param)


# the library and its files


def test_library_and_python_agree_on_every_place(simulator: Simulator) -> None:
    tell = ctypes.CDLL(str(simulator.library)).edgetpu_sim_layout
    tell.restype = ctypes.c_char_p
    lines = [line.split() for line in tell().decode().splitlines()]
    assert {name: (int(offset), int(size)) for name, offset, size in lines} == layout.PLACES


@pytest.mark.slow
def test_library_is_built_once_and_by_several_at_once(tmp_path: Path) -> None:
    build = f"from edgetpu_sim.simulator import *; print(build_library(Path({str(tmp_path)!r})).stat().st_ino)"
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    children = [
        subprocess.Popen([sys.executable, "-c", build], stdout=subprocess.PIPE, env=environment) for _ in range(2)
    ]
    inodes = {child.communicate(timeout=PATIENCE_S)[0] for child in children}
    assert inodes == {b"%d\n" % build_library(tmp_path).stat().st_ino}
    newest = max(source.stat().st_mtime for source in HERE.glob("*.[ch]"))
    os.utime(tmp_path / "libedgetpu_sim.so", (newest - 10, newest - 10))
    assert b"%d\n" % build_library(tmp_path).stat().st_ino not in inodes  # older than its source: built again


def test_without_a_control_file_the_reason_is_told(simulator: Simulator, model: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(layout.empty_file().replace(layout.MAGIC.to_bytes(8, "little"), b"SOMEBODY"))
    short = tmp_path / "short"
    short.write_bytes(b"ETPUSIM1")
    texts = {"wrong": "is no control file of this version", "short": "another size", "none": "No such file"}
    for name, text in texts.items():
        simulator.path = tmp_path / name
        with Child(simulator, model) as child:
            answer = child.answer()
        assert answer.startswith("ValueError: Failed to load delegate")
        assert f"{tmp_path / name}: " in answer
        assert text in answer


def test_library_names_itself_and_its_sticks(simulator: Simulator) -> None:
    simulator.stick(1).plug(bootloader=False)
    simulator.stick(2).plug()
    ask = (
        "import sys; from pathlib import Path; from visiond.edgetpu.library import library_version, usb_ports\n"
        "library = Path(sys.argv[1]); print(library_version(library), *usb_ports(library), sep='|')"
    )
    environment = {**os.environ, **simulator.environment(), "PYTHONPATH": str(HERE.parent.parent / "daemon")}
    told = subprocess.run(
        [sys.executable, "-c", ask, simulator.library], capture_output=True, text=True, env=environment, check=True
    )
    # As libedgetpu lists them: those in the bootloader first, each group in libusb's order, which is reversed.
    assert told.stdout.strip() == "BuildLabel(simulated), RuntimeVersion(14)|2-3|2-1|2-2"
    assert [simulator.device(number) for number in (2, 0, 1)] == ["usb:0", "usb:1", "usb:2"]


# opening


def test_each_stick_by_its_number(simulator: Simulator, model: Path) -> None:
    simulator.stick(1).plug()
    device = simulator.device(1)
    with Child(simulator, model, options=f"device={device}") as child:
        assert child.answer() == "loaded"
        assert simulator.stick(1).counters().owner == child.process.pid
        assert simulator.stick(1).device == device
        assert simulator.stick(0).counters().opens == 0
        assert child.ask("close") == "closed"
    assert simulator.stick(1).counters().closes == 1
    assert simulator.stick(1).counters().owner == 0
    assert simulator.stick(1).counters().phase == "closed"


@pytest.mark.parametrize("device", ["usb:1", "usb:-1", "usb:", "pci:0", "usb:2-1"])
def test_no_such_stick(simulator: Simulator, model: Path, device: str) -> None:
    with Child(simulator, model, options=f"device={device}") as child:
        # libedgetpu gives no reason, whatever keeps it from opening a stick.
        assert child.answer() == f"ValueError: Failed to load delegate from {simulator.library} |"
    assert simulator.creates == 1


def test_options_are_dropped_silently_without_an_index(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model, options="device=usb:0,Performance=Low,Usb.AlwaysDfu=True") as child:
        assert child.answer() == "loaded"
    assert (stick.options, stick.dropped) == ({"Performance": "Low", "Usb.AlwaysDfu": "True"}, {})
    with Child(simulator, model, options="device=usb,Performance=Low,Usb.AlwaysDfu=True") as child:
        assert child.answer() == "loaded"
    assert (stick.options, stick.dropped) == ({}, {"Performance": "Low", "Usb.AlwaysDfu": "True"})


def test_delegates_of_one_process_share_the_stick(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model, model) as child:
        assert child.answer() == "loaded"
        counters = stick.counters()
        assert (counters.creates, counters.opens, counters.second_openers) == (2, 1, 0)
        assert child.ask("close") == "closed"
    assert stick.counters().closes == 1


def test_first_open_loads_the_firmware(simulator: Simulator, stick: Stick, model: Path) -> None:
    device, port = stick.tree.device, stick.tree.device / "port"
    before = port.stat().st_ino
    assert (device / "idVendor").read_text() + (device / "idProduct").read_text() == "1a6e\n089a\n"
    assert list(stick.tree.nodes.iterdir()) == [stick.tree.node(2)]
    stick.set_open_ms(400)
    with Child(simulator, model) as child:
        stick.wait(lambda counters: counters.phase == "re-enumerating")
        assert not device.exists()  # nor does anything else of it, until it is back
        assert child.answer() == "loaded"
        assert (device / "idVendor").read_text() + (device / "idProduct").read_text() == "18d1\n9302\n"
        assert (device / "devnum").read_text() == "3\n"
        assert list(stick.tree.nodes.iterdir()) == [stick.tree.node(3)]
        assert port.stat().st_ino == before
        held = [entry.readlink() for entry in Path(f"/proc/{child.process.pid}/fd").iterdir()]
        assert stick.tree.node(3) in held
    stick.unplug()
    assert not device.exists()
    assert list(stick.tree.nodes.iterdir()) == []
    stick.plug()
    assert (device / "devnum").read_text() == "4\n"


@pytest.mark.slow
def test_stick_comes_back_when_its_opener_is_killed_meanwhile(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.set_open_ms(1000)
    with Child(simulator, model) as child:
        stick.wait(lambda counters: counters.phase == "re-enumerating")
    stick.wait(lambda counters: counters.phase != "re-enumerating")
    assert (stick.tree.device / "idVendor").read_text() == "18d1\n"
    assert stick.counters().opens == 0
    stick.set_open_ms(0)
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
    assert stick.counters().second_openers == 0


def test_stick_that_is_pulled_out_while_it_opens_stays_away(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.set_open_ms(400)
    with Child(simulator, model) as child:
        stick.wait(lambda counters: counters.phase == "re-enumerating")
        stick.unplug()
        assert child.answer().startswith("ValueError")
    assert not stick.tree.device.exists()
    assert stick.counters().opens == 0


def test_permission_denied(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.deny()
    assert stick.tree.node(2).stat().st_mode & 0o777 == 0
    with Child(simulator, model) as child:
        assert child.answer().startswith("ValueError")
    stick.heal()
    assert stick.tree.node(2).stat().st_mode & 0o777 == 0o664
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"


def test_second_opener_makes_the_first_abort(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model) as first, Child(simulator) as nobody:
        assert first.answer() == "loaded"
        assert nobody.answer() == "loaded"  # a process without a model has not touched it
        assert stick.counters().second_openers == 0
        with Child(simulator, model) as second:
            assert second.answer() == "loaded"
            assert stick.counters().second_openers == 1
            assert first.ask(1) == ""
            status, errors = first.end()
            assert status == -signal.SIGABRT
            assert "USB transfer error 4" in errors
            assert second.ask(1) == "done"


def test_dead_owner_is_no_owner(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model) as first:
        assert first.answer() == "loaded"
        first.process.kill()
        os.waitid(os.P_PID, first.process.pid, os.WEXITED | os.WNOWAIT)  # dead, and still a zombie
        with Child(simulator, model) as second:
            assert second.answer() == "loaded"
            assert stick.counters().second_openers == 0


# what is computed


@pytest.mark.assets
@pytest.mark.parametrize("name", [CLASSIFIER, YOLO])
def test_compiled_model_runs(simulator: Simulator, stick: Stick, runtime: str, assets: Path, name: str) -> None:
    stick.hash_inputs()
    loaded = Loaded(simulator, assets / "models" / name, runtime)
    data = loaded.input_bytes(seed=1)
    stick.output_from_input(key=0x55)
    outputs = loaded.run(data)
    counters = stick.counters()
    assert (counters.claimed_nodes, counters.invokes) == (1, 1)
    assert stick.invocations()[-1].input_hash == fnv1a(data)
    if name == CLASSIFIER:  # the YOLO has operators after the compiled one
        assert next(iter(outputs.values())).tobytes() == bytes(byte ^ 0x55 for byte in data[:1001])


@pytest.mark.assets
def test_claim_of_every_node_of_an_ordinary_model(
    simulator: Simulator, stick: Stick, runtime: str, assets: Path
) -> None:
    stick.claim("all")
    names = [f"TFLite_Detection_PostProcess{suffix}" for suffix in ("", ":1", ":2", ":3")]
    values = [(0.1, 0.2, 0.3, 0.4), (16.0,), (0.75,), (1.0,)]
    stick.output_set({name: float32(*some) for name, some in zip(names, values, strict=True)})
    outputs = Loaded(simulator, assets / "models" / COCO_SSD, runtime).run()
    assert [outputs[name].shape for name in names] == [(1, 10, 4), (1, 10), (1, 10), (1,)]
    assert [outputs[name].tobytes().rstrip(b"\0") for name in names] == [
        float32(*some).rstrip(b"\0") for some in values
    ]
    assert (stick.counters().claimed_nodes, stick.counters().invokes) == (64, 1)


def test_outputs(simulator: Simulator, stick: Stick, runtime: str, model: Path) -> None:
    loaded = Loaded(simulator, model, runtime)
    data = loaded.input_bytes(seed=2)
    stick.output_constant(7)
    assert loaded.run(data)["scores"].tolist() == [[7] * 12]
    stick.output_from_input(key=0x0F)
    outputs = loaded.run(data)
    assert outputs["scores"].tobytes() == bytes(byte ^ 0x0F for byte in data[:12])
    assert outputs["boxes"].tolist() == [[(byte ^ 0x0F) / 256 for byte in data[:5]]]
    stick.output_nan()
    outputs = loaded.run(data)
    assert outputs["scores"].tolist() == [[255] * 12]
    assert np.isnan(outputs["boxes"]).all()
    stick.output_set({"boxes": float32(0.5, -1.0), "scores": bytes(range(12)), "of another model": b"x"})
    outputs = loaded.run(data)
    assert outputs["scores"].tolist() == [list(range(12))]
    assert outputs["boxes"].tolist() == [[0.5, -1.0, 0.0, 0.0, 0.0]]


def test_set_outputs_that_do_not_fit(stick: Stick) -> None:
    for outputs in ({"big": bytes(65537)}, {"n" * 112: b"x"}, {str(number): b"x" for number in range(17)}):
        with pytest.raises(ValueError, match=r"it takes 16 of 65536|takes 111 bytes"):
            stick.output_set(outputs)


@given(st.binary(max_size=64))
def test_hash_is_fnv1a(data: bytes) -> None:
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    assert fnv1a(data) == value


# time


@pytest.mark.assets
@pytest.mark.slow
def test_time_of_an_invoke_costs_no_cpu(simulator: Simulator, stick: Stick, runtime: str, assets: Path) -> None:
    stick.set_invoke_ms(7)
    with Child(simulator, assets / "models" / CLASSIFIER, runtime=runtime) as child:
        assert child.answer() == "loaded"
        assert child.ask(1) == "done"
        before_s = cpu_s(child.process.pid)
        assert child.ask(150) == "done"
        used_s = cpu_s(child.process.pid) - before_s
    recent = stick.invocations()[-150:]
    lasted_ms = [(invocation.end_ns - invocation.begin_ns) / 1e6 for invocation in recent]
    print(f"{runtime}: invoke median {median(lasted_ms):.3f} ms, CPU {used_s * 1000:.0f} ms in 150 invokes")
    assert min(lasted_ms) >= 7.0
    assert used_s < 0.25 * 150 * 0.007  # so much on a busy machine; usually some 3 %
    assert all(before.end_ns <= after.begin_ns for before, after in pairwise(recent))
    assert 0.5 < stick.busy_fraction() <= 1.0


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_swap_between_models_is_charged_and_counted(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.set_swap_ms(20)
    with Child(simulator, model, model) as child:
        assert child.answer() == "loaded"
        assert child.ask(5) == "done"
    assert stick.counters().swaps == 9  # of ten invokes, each but the first
    first, *others = stick.invocations()
    assert {invocation.model for invocation in others} > {first.model}
    assert all(invocation.end_ns - invocation.begin_ns >= 20_000_000 for invocation in others)


def test_slower_and_slower_up_to_a_limit(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.set_ramp_ms(5, up_to_ms=12)
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        assert child.ask(5) == "done"
    lasted_ms = [(invocation.end_ns - invocation.begin_ns) / 1e6 for invocation in stick.invocations()]
    assert all(lasted >= least for lasted, least in zip(lasted_ms, (0, 5, 10, 12, 12), strict=True))
    stick.heal()
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        assert child.ask(1) == "done"
    assert stick.invocations()[-1].end_ns - stick.invocations()[-1].begin_ns < 5_000_000


def test_ring_keeps_the_last(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        assert child.ask(300) == "done"
    recent = stick.invocations()
    assert len(recent) == 256
    assert all(before.end_ns <= after.begin_ns for before, after in pairwise(recent))
    assert {invocation.input_hash for invocation in recent} == {0}  # not asked for


# faults


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("create_segv", -signal.SIGSEGV, ""),
        ("create_abort", -signal.SIGABRT, "F driver/usb/usb_driver.cc:857] transfer on tag 1 failed. Abort."),
        ("prepare_segv", -signal.SIGSEGV, ""),
    ],
)
def test_death_while_loading(
    simulator: Simulator, stick: Stick, model: Path, kind: str, status: int, text: str
) -> None:
    stick.fail(kind, times=1)
    with Child(simulator, model) as child:
        assert child.answer() == ""
        ended, errors = child.end()
    assert ended == status
    assert text in errors
    assert (stick.fired(kind), stick.counters().faults_fired) == (1, 1)
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        ("segv", -signal.SIGSEGV, ""),
        ("abort", -signal.SIGABRT, "F driver/usb/usb_driver.cc:857] transfer on tag 2 failed. Abort. Deadline"),
    ],
)
def test_death_in_the_third_invoke(
    simulator: Simulator, stick: Stick, model: Path, kind: str, status: int, text: str
) -> None:
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        stick.fail(kind, at=3)
        assert child.ask(2) == "done"
        assert child.ask(1) == ""
        ended, errors = child.end()
    assert ended == status
    assert text in errors
    assert (stick.counters().begun, stick.counters().invokes) == (3, 2)


@pytest.mark.parametrize("kind", ["create_hang", "hang"])
def test_hang_until_killed(simulator: Simulator, stick: Stick, model: Path, kind: str) -> None:
    stick.fail(kind)
    with Child(simulator, model) as child:
        if kind == "hang":
            assert child.answer() == "loaded"
            child.tell(1)
        stick.wait(lambda counters: counters.faults_fired == 1)
        spent_s = []
        for _ in range(5):  # its other threads may still be at work for a moment
            before_s = cpu_s(child.process.pid)
            with pytest.raises(subprocess.TimeoutExpired):
                child.process.wait(0.3)
            spent_s.append(cpu_s(child.process.pid) - before_s)
        assert min(spent_s) <= 0.03  # of 10 ms ticks
        child.process.kill()
        assert child.end()[0] == -signal.SIGKILL


def test_create_fails_three_times_then_works(simulator: Simulator, stick: Stick, model: Path) -> None:
    stick.fail("create_fail", times=3)
    for _ in range(3):
        with Child(simulator, model) as child:
            assert child.answer().startswith("ValueError: Failed to load delegate")
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
    assert (stick.counters().creates, stick.counters().opens) == (4, 1)


def test_errors_are_reported_by_the_runtime(simulator: Simulator, stick: Stick, runtime: str, model: Path) -> None:
    stick.fail("prepare_fail", times=1)
    with pytest.raises(RuntimeError, match="Failed to prepare for TPU"):
        Loaded(simulator, model, runtime)
    loaded = Loaded(simulator, model, runtime)
    stick.fail("error", at=2, times=2)
    loaded.run()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="Failed to execute request"):
            loaded.run()
    loaded.run()
    assert stick.fired("error") == 2
    assert (stick.counters().begun, stick.counters().invokes) == (4, 2)


def test_heal_ends_what_lasts(simulator: Simulator, stick: Stick, runtime: str, model: Path) -> None:
    loaded = Loaded(simulator, model, runtime)
    stick.fail("error")
    with pytest.raises(RuntimeError, match="Failed to execute request"):
        loaded.run()
    stick.heal()
    loaded.run()


@pytest.mark.parametrize("busy", [True, False])
def test_unplug_aborts_busy_or_idle(simulator: Simulator, stick: Stick, model: Path, busy: bool) -> None:
    stick.set_invoke_ms(200 if busy else 0)
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        if busy:
            child.tell(1000)
            stick.wait(lambda counters: counters.invokes == 1)
        stick.unplug()
        status, errors = child.end()
    assert status == -signal.SIGABRT
    assert "USB transfer error 5" in errors


def test_replug_is_not_the_same_stick(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        stick.plug()
        assert child.end()[0] == -signal.SIGABRT
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"


def test_leak_grows_the_process(simulator: Simulator, stick: Stick, model: Path) -> None:
    with Child(simulator, model) as child:
        assert child.answer() == "loaded"
        assert child.ask(20) == "done"
        before = resident_bytes(child.process.pid)
        stick.leak(1_000_000)
        assert child.ask(20) == "done"
        grown = resident_bytes(child.process.pid) - before
        assert grown >= 19_000_000
        stick.heal()
        assert child.ask(20) == "done"
        assert resident_bytes(child.process.pid) - before < grown + 1_000_000


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(("kind", "at", "times"), [("explode", 1, None), ("abort", 0, None), ("abort", 1, 0)])
def test_fault_that_does_not_exist(stick: Stick, kind: str, at: int, times: int | None) -> None:
    with pytest.raises(ValueError, match="no such fault"):
        stick.fail(kind, at, times)


# the fake sysfs, read by what the daemon reads it with


def test_what_the_daemon_sees(simulator: Simulator, stick: Stick) -> None:
    from visiond.edgetpu.sticks import find_sticks

    roots = (simulator.sysfs, simulator.dev)
    (found,) = find_sticks(*roots)
    assert (found.port, found.state, found.usb_id) == ("2-1", "bootloader", "1a6e:089a")
    assert (found.node, found.speed_mbps) == (stick.tree.node(2), 5000.0)
    stick.plug(bootloader=False, serial="K1", speed="480")
    (found,) = find_sticks(*roots)
    assert (found.state, found.usb_id, found.serial, found.speed_mbps) == ("ready", "18d1:9302", "K1", 480.0)
    stick.claim_interface()
    assert find_sticks(*roots)[0].state == "busy"
    stick.claim_interface(False)
    assert find_sticks(*roots)[0].state == "ready"
    stick.unplug()
    assert find_sticks(*roots) == ()


# the command line


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], model: Path) -> None:
    folder = str(tmp_path / "by hand")
    assert main(["show", folder]) == 66
    assert "make one" in capsys.readouterr().out
    script = subprocess.run(
        [sys.executable, HERE / "simulator.py", "start", folder], capture_output=True, text=True, check=True
    )
    environment, _, _, *keys = script.stdout.splitlines()
    assert environment == f"export VISIOND_EDGETPU_SIM={folder}/control"
    assert [key.split(":")[0].strip() for key in keys] == ["edgetpu", "library", "sysfs", "dev"]
    assert main(["set", folder, "stick=0", "invoke_ms=0.5", "leak_bytes=10"]) == 0
    assert main(["outputs", folder, "scores=u8:1,2", "boxes=f32:0.5,-1"]) == 0
    assert main(["fail", folder, "error", "--at", "2", "--times", "1"]) == 0
    with Simulator(Path(folder)) as simulator:
        stick = simulator.stick()
        assert (stick.get("invoke_us"), stick.get("leak_bytes"), stick.get("output")) == (500, 10, 1)
        with Child(simulator, model) as child:
            assert child.answer() == "loaded"
            assert child.ask(1) == "done"
            assert "Failed to execute request" in child.ask(1)
        assert main(["deny", folder]) == 0
        assert stick.state == "denied"
        assert main(["heal", folder]) == 0
        assert main(["unplug", folder]) == 0
        assert stick.state == "absent"
        assert main(["plug", folder, "--stick", "3"]) == 0
        assert simulator.stick(3).state == "present"
        assert main(["unplug", folder, "stick=3"]) == 0
        assert simulator.stick(3).state == "absent"
        assert main(["plug", folder, "stick=3"]) == 0
        assert main(["set", folder, "--stick", "3", "invoke_ms=2"]) == 0
        assert (simulator.stick(3).get("invoke_us"), stick.get("invoke_us")) == (2000, 500)
    capsys.readouterr()
    assert main(["show", folder]) == 0
    shown = capsys.readouterr().out
    assert "stick 0, port 2-1: absent, ready" in shown
    assert "stick 3, port 2-4: present, bootloader" in shown
    assert "faults that struck: {'error': 1}" in shown
    assert main(["show", folder, "stick=3"]) == 0
    assert "stick 0" not in capsys.readouterr().out
    assert main(["outputs", folder, "nonsense=u8:1"]) == 0
    assert "called nonsense; whether a model has outputs of these names is not checked" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["set", "--help"])
    assert "refuse_ms" in capsys.readouterr().out
    for wrong, reason in {
        ("set", "warp=9"): "there is no setting warp; there are invoke_ms, ",
        ("set", "invoke_ms=fast"): "invoke_ms: could not convert string to float: 'fast'",
        ("set", "invoke_ms"): "could not convert string to float: ''",
        ("set", "claim=some"): "claim is custom or all, not some",
        ("set", "stick=9", "claim=all"): "there are sticks 0 to 3, and no stick 9",
        ("plug", "--stick", "4"): "there are sticks 0 to 3, and no stick 4",
        ("outputs", "scores=1,2"): "write scores=FORMAT:V,V,… with one of f32, ",
        ("outputs", "scores=u8:256"): "outputs: not understood: scores: 256 does not fit into u8",
    }.items():
        assert main([wrong[0], folder, *wrong[1:]]) == 64
        assert reason in capsys.readouterr().out
