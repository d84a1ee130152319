"""Which runtime is taken and why; the ones that are not installed here stand in their packages' own shape."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgetpu_sim.simulator import Simulator
from tflite_runtimes import TFLITE_RUNTIMES
from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.engine.interpreter import DelegateFailed, DelegateOrder, RuntimeUnavailable, open_interpreter
from visiond.engine.runtimes.installed import pip
from visiond.errors import ModelError

PICTURE = Tensor("picture", [1, 2, 2, 1], "uint8", (1 / 128, 3))
SCORES = Tensor("scores", [1, 4], "uint8", (1 / 256, 0))
NUMPY_1 = "install 'numpy<2' 'opencv-python-headless<4.12'"
TFLITE_RUNTIME = (
    pip(NUMPY_1.replace("install", "install tflite-runtime"))
    if sys.version_info < (3, 12)  # it is not made for newer ones
    else "set runtime: auto, which takes what is installed"
)

Install = Callable[..., None]  # packages in an environment: install(name, version, {path: content})


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return reshape(PICTURE, SCORES).write(tmp_path / "detect.tflite")


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("edgetpu-custom-op", [0], [1])])
    return graph.write(tmp_path / "compiled.tflite")


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DelegateOrder:
    """The simulated Edge TPU, in a copy of the library for this test."""
    with Simulator(tmp_path / "sticks") as simulator:
        simulator.stick().set_invoke_ms(0)
        for name, value in simulator.environment().items():
            monkeypatch.setenv(name, value)
        library = tmp_path / "libedgetpu_sim.so"
        library.write_bytes(simulator.library.read_bytes())
    return DelegateOrder(str(library), {"device": "usb:0"})


class Without:
    """A finder of modules that does not see one package."""

    def __init__(self, package: str, finder: Any) -> None:
        self._package = package
        self._finder = finder

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        return None if name.partition(".")[0] == self._package else self._finder.find_spec(name, path, target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)  # find_distributions, for versions


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package as good as not installed."""

    def remove(package: str) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setattr(sys, "meta_path", [Without(package, finder) for finder in sys.meta_path])

    return remove


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package into a folder that Python searches first."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(name: str, version: str, files: dict[str, str]) -> None:
        package = name.replace("-", "_")
        metadata = {
            f"{package}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        }
        for path, content in {**files, **metadata}.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(content)
        # Noted as missing now, so that what a test imports of it is forgotten afterwards.
        for module in [package, *(f"{package}.{part}" for part in ("interpreter", "utils", "utils.edgetpu"))]:
            monkeypatch.setitem(sys.modules, module, None)
            monkeypatch.delitem(sys.modules, module)

    return put


# Google's names the runtime's module; feranick's has the two names themselves and returns None for any error.
GOOGLES = """
import ai_edge_litert.interpreter as tflite
calls = []
def make_interpreter(model_path_or_content, device=None, delegate=None):
    calls.append((model_path_or_content, device, delegate))
    return tflite.Interpreter(model_path=model_path_or_content, experimental_delegates=[delegate])
"""
FERANICKS = """
from ai_edge_litert.interpreter import Interpreter, load_delegate
calls = []
def make_interpreter(model_path_or_content, device=None, delegate=None):
    calls.append((model_path_or_content, device, delegate))
    try:
        return Interpreter(model_path=model_path_or_content, experimental_delegates=[delegate])
    except:
        return None
"""
# Its first versions made the delegate themselves, from a fixed library, without options.
OLDEST = """
import ai_edge_litert.interpreter as tflite
def make_interpreter(model_path_or_content, device=None):
    raise AssertionError("nobody should call this")
"""
MUST_NOT_RUN = "raise AssertionError('this is imported, and must not be')\n"
GIS_TOOL = {"pycoral/__init__.py": MUST_NOT_RUN, "pycoral/pycoral.py": MUST_NOT_RUN}


def corals(content: str) -> dict[str, str]:
    return {"pycoral/__init__.py": "", "pycoral/utils/__init__.py": "", "pycoral/utils/edgetpu.py": content}


# tflite-runtime as it is with numpy 2: it can be imported, and its Interpreter cannot be constructed.
BROKEN_WITH_NUMPY_2 = """
class Interpreter:
    def __init__(self, model_path, num_threads, experimental_delegates):
        raise SystemError("<built-in method CreateWrapperFromFile> returned a result with an exception set")
def load_delegate(library, options):
    raise AssertionError("a runtime that does not work must not open the stick")
"""
BROKEN_TFLITE_RUNTIME = {"tflite_runtime/__init__.py": "", "tflite_runtime/interpreter.py": BROKEN_WITH_NUMPY_2}


def unavailable(path: Path, runtime: str, delegate: DelegateOrder | None = None) -> str:
    with pytest.raises(RuntimeUnavailable) as missing:
        open_interpreter(path, 1, runtime, delegate)
    assert "\n" not in str(missing.value)
    return str(missing.value)


def test_on_the_cpu_litert_comes_first(model: Path) -> None:
    interpreter = open_interpreter(model, 1)
    assert interpreter.runtime.startswith("LiteRT ")
    assert interpreter.why == "auto: the first choice for this model"


def test_without_any_runtime(model: Path, absent: Callable[[str], None]) -> None:
    absent("ai_edge_litert")
    absent("tflite_runtime")
    assert unavailable(model, "auto") == (
        "no runtime can run detect.tflite: LiteRT is not installed; tflite-runtime is not installed; "
        + pip("install ai-edge-litert")
    )


def test_onnx_without_its_runtime(tmp_path: Path, absent: Callable[[str], None]) -> None:
    absent("onnxruntime")
    path = tmp_path / "detect.onnx"
    path.write_bytes(b"whatever")
    assert unavailable(path, "onnx") == f"ONNX Runtime is not installed; {pip('install onnxruntime')}"
    assert "no runtime can run detect.onnx: ONNX Runtime is not installed" in unavailable(path, "auto")


@pytest.mark.parametrize(
    ("runtime", "package", "text"),
    [
        ("litert", "ai_edge_litert", f"LiteRT is not installed; {pip('install ai-edge-litert')}"),
        ("tflite-runtime", "tflite_runtime", f"tflite-runtime is not installed; {TFLITE_RUNTIME}"),
        ("pycoral", "pycoral", "pycoral is not installed; set runtime: auto, which takes what is installed"),
    ],
)
def test_a_runtime_that_is_configured_and_not_installed(
    model: Path, absent: Callable[[str], None], runtime: str, package: str, text: str
) -> None:
    absent(package)
    assert unavailable(model, runtime).startswith(text)


def test_with_a_delegate_litert_comes_last_and_the_reason_is_told(
    compiled: Path, order: DelegateOrder, absent: Callable[[str], None]
) -> None:
    absent("tflite_runtime")
    interpreter = open_interpreter(compiled, 1, delegate=order)
    assert interpreter.runtime.startswith("LiteRT ")
    assert interpreter.why == "auto: pycoral is not installed; tflite-runtime is not installed"
    assert interpreter.engine == "edgetpu"


def test_a_runtime_that_crashed_is_passed_over(
    compiled: Path, model: Path, order: DelegateOrder, absent: Callable[[str], None]
) -> None:
    absent("tflite_runtime")
    interpreter = open_interpreter(compiled, 1, delegate=order, avoid={"pycoral"})
    assert interpreter.why == "auto: pycoral is set aside because it crashed; tflite-runtime is not installed"
    with pytest.raises(RuntimeUnavailable, match=r"no runtime can run compiled\.tflite: .*litert is set aside because"):
        open_interpreter(compiled, 1, delegate=order, avoid={"litert"})
    with pytest.raises(RuntimeUnavailable, match=r"^litert is set aside because it crashed; see `visiond status`"):
        open_interpreter(model, 1, "litert", avoid={"litert"})


def test_tflite_runtime_with_numpy_2_is_passed_over_before_it_opens_the_stick(
    compiled: Path, order: DelegateOrder, install: Install
) -> None:
    install("tflite-runtime", "2.14.0", BROKEN_TFLITE_RUNTIME)
    does_not_work = f"tflite-runtime 2.14.0 does not work with numpy {np.__version__}"
    interpreter = open_interpreter(compiled, 1, delegate=order)
    assert interpreter.why == f"auto: pycoral is not installed; {does_not_work}"
    assert interpreter.runtime.startswith("LiteRT ")
    text = unavailable(compiled, "tflite-runtime", order)
    assert text == f"{does_not_work}; {pip(NUMPY_1)}"


def test_a_runtime_that_is_made_for_another_system(model: Path, install: Install) -> None:
    cause = "libm.so.6: version `GLIBC_2.99' not found"
    install(
        "tflite-runtime",
        "2.99.0",
        {"tflite_runtime/__init__.py": "", "tflite_runtime/interpreter.py": f"raise ImportError({cause!r})"},
    )
    text = unavailable(model, "tflite-runtime")
    assert text == (
        f"tflite-runtime cannot be imported ({cause}); install the one that is made for this Python and this system"
    )


def test_a_runtime_of_which_a_part_is_missing(model: Path, install: Install) -> None:
    install(
        "tflite-runtime",
        "2.99.0",
        {"tflite_runtime/__init__.py": "", "tflite_runtime/interpreter.py": "import flatbuffers_of_nowhere"},
    )
    assert unavailable(model, "tflite-runtime") == (
        "tflite-runtime lacks the module flatbuffers_of_nowhere; install it again with pip"
    )


def test_pypis_pycoral_is_recognised_by_its_files_and_refused_by_name(
    compiled: Path, order: DelegateOrder, install: Install, absent: Callable[[str], None], tmp_path: Path
) -> None:
    install("pycoral", "0.2.0", GIS_TOOL)
    place = tmp_path / "site-packages" / "pycoral" / "__init__.py"
    text = unavailable(compiled, "pycoral", order)
    assert text == (
        f"the installed pycoral is PyPI's GIS tool of that name ({place}); {pip('uninstall pycoral')}, "
        "and set runtime: auto, which takes what is installed"
    )
    absent("tflite_runtime")
    interpreter = open_interpreter(compiled, 1, delegate=order)
    assert interpreter.why.startswith("auto: the installed pycoral is PyPI's GIS tool of that name")


@pytest.mark.parametrize("content", [GOOGLES, FERANICKS])
def test_corals_pycoral_comes_first_and_gets_library_and_options(
    compiled: Path, order: DelegateOrder, install: Install, content: str
) -> None:
    install("pycoral", "2.0.3", corals(content))
    interpreter = open_interpreter(compiled, 1, delegate=order)
    interpreter.invoke()
    assert interpreter.runtime.startswith("pycoral 2.0.3 on ai-edge-litert 2.")
    assert interpreter.why == "auto: the first choice for this model"
    assert interpreter.engine == "edgetpu"
    ((path, device, delegate),) = sys.modules["pycoral.utils.edgetpu"].calls
    assert (path, device) == (str(compiled), None)
    assert delegate is not None


@pytest.mark.parametrize("content", [GOOGLES, FERANICKS])
def test_an_error_within_pycoral_is_told_even_where_it_tells_none(
    compiled: Path, install: Install, order: DelegateOrder, content: str, tmp_path: Path
) -> None:
    install("pycoral", "2.0.3", corals(content))
    with Simulator(tmp_path / "sticks") as simulator:
        simulator.stick().fail("prepare_fail")
        with pytest.raises(DelegateFailed, match=r"^pycoral 2\.0\.3 on .* cannot make compiled\.tflite ready \("):
            open_interpreter(compiled, 1, "pycoral", order)


def test_pycoral_without_a_delegate_runs_on_the_cpu_with_its_threads(model: Path, install: Install) -> None:
    install("pycoral", "2.0.3", corals(GOOGLES))
    interpreter = open_interpreter(model, 2, "pycoral")
    interpreter.invoke()
    assert interpreter.engine == "cpu"
    assert sys.modules["pycoral.utils.edgetpu"].calls == []


def test_a_pycoral_that_takes_no_delegate_is_passed_over(
    compiled: Path, order: DelegateOrder, install: Install, absent: Callable[[str], None]
) -> None:
    install("pycoral", "1.0.0", corals(OLDEST))
    assert unavailable(compiled, "pycoral", order) == (
        "pycoral 1.0.0 cannot be given a delegate with options; set runtime: auto, which takes what is installed"
    )
    absent("tflite_runtime")
    assert open_interpreter(compiled, 1, delegate=order).why.startswith("auto: pycoral 1.0.0 cannot be given")


def test_a_runtime_that_does_not_run_this_kind_of_file(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"detect\.tflite cannot run with runtime: onnx; set a TFLite runtime, or"):
        open_interpreter(model, 1, "onnx")
    with pytest.raises(ModelError, match=r"detect\.onnx cannot run with runtime: litert; set runtime: onnx, or"):
        open_interpreter(tmp_path / "detect.onnx", 1, "litert")
    with pytest.raises(ValueError, match="no such runtime: 'tensorrt'; one of auto, litert, tflite-runtime, pycoral"):
        open_interpreter(model, 1, "tensorrt")


def test_nothing_is_imported_that_is_not_taken(model: Path, root: Path) -> None:
    code = """
import sys
from pathlib import Path
from visiond.engine.interpreter import open_interpreter
before = {name for name in sys.modules if name in OTHERS + ["ai_edge_litert"]}
open_interpreter(Path(sys.argv[1]), 1)
print(before, [name for name in OTHERS if name in sys.modules], "ai_edge_litert" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", f"OTHERS = ['tflite_runtime', 'onnxruntime', 'pycoral']{code}", model],
        env={"PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set() [] True"


# What the runtimes compute


@pytest.mark.assets
@pytest.mark.parametrize("runtime", TFLITE_RUNTIMES)
@pytest.mark.parametrize("picture", ["parrot.jpg", "hot_dog.jpg"])
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v2_1.0_224_quant"])
def test_runtimes_and_threads_agree_on_the_class_and_nearly_on_every_score(
    assets: Path, name: str, picture: str, runtime: str
) -> None:
    """With LiteRT on one thread. XNNPACK, which LiteRT uses and tflite-runtime does not, rounds in another way."""
    path = assets / "models" / f"{name}.tflite"
    photo = cv2.imread(str(assets / "images" / picture))
    outputs = []
    for which, threads in (("litert", 1), (runtime, 2)):
        interpreter = open_interpreter(path, threads, which)
        _, height, width, _ = interpreter.input.shape
        interpreter.set_input(cv2.resize(photo, (width, height))[None])
        interpreter.invoke()
        outputs.append(interpreter.read_outputs()[0].astype(int))
    assert outputs[0].argmax() == outputs[1].argmax()
    assert (np.abs(outputs[0] - outputs[1]) > 1).mean() < 0.01
