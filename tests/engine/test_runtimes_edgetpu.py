"""A delegate behind the interpreter: the simulated Edge TPU, under each runtime that is installed here."""

from __future__ import annotations

import gc
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgetpu_sim.simulator import Simulator
from tflite_runtimes import TFLITE_RUNTIMES
from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.engine.interpreter import DelegateFailed, DelegateOrder, Interpreter, open_interpreter
from visiond.errors import ModelError

PICTURE = Tensor("picture", [1, 2, 2, 1], "uint8", (1 / 128, 3))
SCORES = Tensor("scores", [1, 4], "uint8", (1 / 256, 0))
OPTIONS = {"device": "usb:0", "Performance": "High"}


@pytest.fixture(params=TFLITE_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(tmp_path / "sticks") as simulator:
        for name, value in simulator.environment().items():
            monkeypatch.setenv(name, value)
        simulator.stick().set_invoke_ms(0)
        yield simulator


@pytest.fixture
def library(simulator: Simulator, tmp_path: Path) -> str:
    """A copy for this test: the library keeps the first control file that it sees, and a process loads a file once."""
    return str(shutil.copy(simulator.library, tmp_path / "libedgetpu_sim.so"))


@pytest.fixture
def order(library: str) -> DelegateOrder:
    return DelegateOrder(library, OPTIONS)


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    """One operator, compiled for the Edge TPU; the simulator computes it from the input."""
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("edgetpu-custom-op", [0], [1])])
    return graph.write(tmp_path / "compiled.tflite")


def failure(path: Path, runtime: str, order: DelegateOrder) -> DelegateFailed:
    """The one sentence with which the accelerator's fault is told."""
    with pytest.raises(DelegateFailed) as failed:
        open_interpreter(path, 1, runtime, order)
    assert "\n" not in str(failed.value)
    return failed.value


def test_what_the_edge_tpu_computes_comes_out_value_by_value(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().output_from_input(key=0xFF)
    interpreter = open_interpreter(compiled, 1, runtime, order)
    interpreter.input_view()[...] = np.array([1, 2, 3, 4], np.uint8).reshape(1, 2, 2, 1)
    interpreter.invoke()
    assert interpreter.read_outputs()[0].tolist() == [[254, 253, 252, 251]]
    assert (interpreter.engine, interpreter.remark) == ("edgetpu", None)
    assert "RuntimeVersion(" in str(interpreter.library)
    assert simulator.stick().options["Performance"] == "High"
    assert simulator.stick().counters().invokes == 1


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant_edgetpu", "yolov8n_full_integer_quant_edgetpu"])
def test_real_compiled_files_run_on_the_edge_tpu(
    assets: Path, name: str, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    """The YOLO has 24 operators beside the compiled one, on the CPU: in LiteRT its XNNPACK delegate takes them."""
    interpreter = open_interpreter(assets / "models" / f"{name}.tflite", 1, runtime, order)
    interpreter.invoke()
    assert [array.shape for array in interpreter.read_outputs()] == [info.shape for info in interpreter.outputs]
    assert (interpreter.engine, interpreter.remark) == ("edgetpu", None)
    assert simulator.stick().counters().claimed_nodes == 1


@pytest.mark.assets
def test_fault_28_an_ordinary_model_with_a_delegate_runs_on_the_cpu_and_says_so(
    assets: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    """In LiteRT the XNNPACK delegate takes all of this model's operators: they are still not the Edge TPU's."""
    model = assets / "models" / "mobilenet_v1_0.25_128_quant.tflite"
    interpreter = open_interpreter(model, 1, runtime, order)
    interpreter.invoke()
    assert interpreter.engine == "cpu"
    assert interpreter.remark == (
        "files.edgetpu (mobilenet_v1_0.25_128_quant.tflite) is not compiled for the Edge TPU: the delegate took none "
        "of its 31 operators, it runs on the CPU; compile it with edgetpu_compiler"
    )
    assert simulator.stick().counters().invokes == 0


@pytest.mark.assets
def test_a_delegate_that_takes_every_operator_of_an_ordinary_model(
    assets: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().claim("all")
    model = assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant.tflite"
    interpreter = open_interpreter(model, 1, runtime, order)
    interpreter.invoke()
    assert interpreter.engine == "edgetpu"
    assert simulator.stick().counters().invokes == 1


def test_fault_24_an_invoke_that_fails_is_told_alone_and_the_next_one_works(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    interpreter = open_interpreter(compiled, 1, runtime, order)
    simulator.stick().fail("error", at=1, times=2)
    texts = []
    for _ in range(2):
        with pytest.raises(RuntimeError) as failed:
            interpreter.invoke()
        texts.append(str(failed.value))
    assert texts[0].startswith("compiled.tflite: ")
    assert texts[0].endswith("failed to invoke.")
    assert texts[0].count("failed to invoke") == 1
    assert texts[1] == texts[0]  # the runtimes say each failure behind all earlier ones
    interpreter.invoke()
    assert simulator.stick().counters().invokes == 1


def test_fault_20_a_stick_that_is_not_there(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().unplug()
    failed = failure(compiled, runtime, order)
    assert failed.kind == "no_device"
    assert str(failed).startswith("libedgetpu_sim.so opens no Edge TPU as device 'usb:0'")
    assert "plug it in or stop that program" in str(failed)


def test_a_stick_that_comes_back_is_opened_in_the_same_process(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().fail("create_fail", times=1)
    assert failure(compiled, runtime, order).kind == "no_device"
    assert open_interpreter(compiled, 1, runtime, order).engine == "edgetpu"


def test_fault_20_a_model_that_the_library_cannot_make_ready(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().fail("prepare_fail")
    failed = failure(compiled, runtime, order)
    assert failed.kind == "unknown"
    assert "cannot make compiled.tflite ready (" in str(failed)
    assert "Node number" not in str(failed)


def test_what_the_model_lacks_is_its_own_fault_with_a_delegate_too(
    tmp_path: Path, runtime: str, order: DelegateOrder
) -> None:
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("MyFancyOp", [0], [1])])
    with pytest.raises(ModelError, match="needs the custom operator 'MyFancyOp'"):
        open_interpreter(graph.write(tmp_path / "detect.tflite"), 1, runtime, order)


def test_a_damaged_model_opens_no_stick(
    tmp_path: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    path = tmp_path / "detect.tflite"
    path.write_bytes(reshape(PICTURE, SCORES).pack()[:200])
    with pytest.raises(ModelError, match=r"detect\.tflite .*damaged.*; copy or convert it again"):
        open_interpreter(path, 1, runtime, order)
    assert simulator.creates == 0


def test_the_delegate_lives_as_long_as_the_interpreter_and_no_longer(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    interpreter: Interpreter | None = open_interpreter(compiled, 1, runtime, order)
    assert interpreter is not None
    gc.collect()
    interpreter.invoke()
    assert simulator.stick().counters().closes == 0
    interpreter = None
    gc.collect()
    assert simulator.stick().counters().closes == 1


def test_several_models_share_a_stick_in_one_process(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    simulator.stick().output_constant(7)
    first, second = (open_interpreter(compiled, 1, runtime, order) for _ in range(2))
    for interpreter in (first, second, first):
        interpreter.invoke()
        assert interpreter.read_outputs()[0].tolist() == [[7, 7, 7, 7]]
    del first
    gc.collect()
    second.invoke()
    counters = simulator.stick().counters()
    assert (counters.invokes, counters.second_openers) == (4, 0)


def test_two_sticks_in_one_process(compiled: Path, runtime: str, simulator: Simulator, library: str) -> None:
    for number in range(2):
        simulator.stick(number).plug(bootloader=False)  # an open that loads the firmware gives them other numbers
        simulator.stick(number).set_invoke_ms(0)
    interpreters = [
        open_interpreter(compiled, 1, runtime, DelegateOrder(library, {"device": f"usb:{number}"}))
        for number in range(2)
    ]
    for interpreter in interpreters:
        interpreter.invoke()
    assert [simulator.stick(number).counters().invokes for number in range(2)] == [1, 1]


def test_the_versions_are_told_before_the_stick_is_opened(
    compiled: Path, runtime: str, simulator: Simulator, order: DelegateOrder
) -> None:
    told: list[tuple[str, str, int]] = []
    interpreter = open_interpreter(
        compiled, 1, runtime, order, on_chosen=lambda name, versions: told.append((name, versions, simulator.creates))
    )
    assert told == [
        (runtime, interpreter.runtime, 0),
        (runtime, f"{interpreter.runtime} with libedgetpu_sim.so {interpreter.library}", 0),
    ]


CHILD = """
import sys
from pathlib import Path
from visiond.engine.interpreter import DelegateOrder, open_interpreter
model, runtime, library = sys.argv[1:]
open_interpreter(Path(model), 1, runtime, DelegateOrder(library, {"device": "usb:0"}),
                 on_chosen=lambda name, versions: print(name, versions, flush=True)).invoke()
"""


@pytest.mark.parametrize("fault", ["create_segv", "prepare_segv", "segv"])
def test_fault_20_a_library_that_does_not_fit_leaves_the_versions_as_last_words(
    root: Path, compiled: Path, runtime: str, simulator: Simulator, fault: str
) -> None:
    simulator.stick().fail(fault)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, compiled, runtime, simulator.library],
        env={"PYTHONPATH": str(root / "daemon"), **simulator.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -11
    assert done.stdout.splitlines()[-1].startswith(f"{runtime} ")
    assert "RuntimeVersion(" in done.stdout.splitlines()[-1]


# A file that is no libedgetpu is refused before anything of it runs.


def test_fault_20_the_library_is_missing(tmp_path: Path, compiled: Path, runtime: str) -> None:
    failed = failure(compiled, runtime, DelegateOrder(str(tmp_path / "libedgetpu.so.1"), OPTIONS))
    assert failed.kind == "no_library"
    assert f"{tmp_path / 'libedgetpu.so.1'} does not exist" in str(failed)
    failed = failure(compiled, runtime, DelegateOrder("libedgetpu-of-nowhere.so.1", OPTIONS))
    assert failed.kind == "no_library"
    assert "libedgetpu-of-nowhere.so.1 is not installed" in str(failed)


def test_fault_20_the_library_is_empty(tmp_path: Path, compiled: Path, runtime: str) -> None:
    path = tmp_path / "libedgetpu.so.1"
    path.touch()
    failed = failure(compiled, runtime, DelegateOrder(str(path), OPTIONS))
    assert failed.kind == "no_library"
    assert f"{path} is empty" in str(failed)


def test_fault_20_the_library_is_for_another_machine(
    tmp_path: Path, compiled: Path, runtime: str, simulator: Simulator
) -> None:
    """e_machine, the 16 bits at 18 of an ELF file's head: 243 is RISC-V."""
    library = bytearray(simulator.library.read_bytes())
    library[18:20] = (243).to_bytes(2, "little")
    path = tmp_path / "libedgetpu.so.1"
    path.write_bytes(library)
    failed = failure(compiled, runtime, DelegateOrder(str(path), OPTIONS))
    assert failed.kind == "no_library"
    assert f"{path} is for " in str(failed)
    assert simulator.creates == 0


def compile_library(source: str, path: Path, *flags: str) -> Path:
    compiler = shutil.which("cc") or "cc"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", path, "-xc", "-", "-xnone", *flags], input=source, text=True, check=True
    )
    return path


def test_fault_20_a_library_that_is_no_delegate(tmp_path: Path, compiled: Path, runtime: str) -> None:
    library = compile_library("int answer(void) { return 42; }", tmp_path / "libother.so")
    failed = failure(compiled, runtime, DelegateOrder(str(library), OPTIONS))
    assert failed.kind == "no_library"
    assert "lacks tflite_plugin_create_delegate and tflite_plugin_destroy_delegate" in str(failed)


def test_fault_20_a_library_that_needs_another_one_which_is_not_installed(
    tmp_path: Path, compiled: Path, runtime: str
) -> None:
    needed = compile_library("int usb(void) { return 0; }", tmp_path / "libusb-9.so", "-Wl,-soname,libusb-9.so.0")
    library = compile_library("int usb(void); int f(void) { return usb(); }", tmp_path / "libedgetpu.so.1", str(needed))
    failed = failure(compiled, runtime, DelegateOrder(str(library), OPTIONS))
    assert failed.kind == "no_library"
    assert str(failed).startswith(f"{library} needs libusb-9.so.0, which is not installed; install")


def test_a_delegate_without_a_version_has_none(tmp_path: Path, compiled: Path, runtime: str) -> None:
    """A delegate that opens nothing: what is asked of it shows in the error."""
    source = """
    void *tflite_plugin_create_delegate(char **k, char **v, unsigned long n, void (*report)(const char *))
    { (void)k; (void)v; (void)n; report("the link is down"); return 0; }
    void tflite_plugin_destroy_delegate(void *delegate) { (void)delegate; }
    """
    library = compile_library(source, tmp_path / "libplain.so")
    told: list[str] = []
    with pytest.raises(DelegateFailed, match=r"as device 'usb:0' \(the link is down\): it is not plugged in"):
        open_interpreter(
            compiled,
            1,
            runtime,
            DelegateOrder(str(library), OPTIONS),
            on_chosen=lambda _, versions: told.append(versions),
        )
    assert told[-1].endswith(" with libplain.so")
