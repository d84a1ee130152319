"""The interpreter on small files written for the purpose, and on damaged ones in processes that may die."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tflite_runtimes import TFLITE_RUNTIMES
from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.engine.interpreter import Interpreter, open_interpreter
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError

PICTURE = Tensor("picture", [1, 2, 2, 1], "uint8", (1 / 128, 3))
SCORES = Tensor("scores", [1, 4], "uint8", (1 / 256, 0))
FLOATS = Tensor("floats", [1, 4], "float32")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "detect.tflite"


@pytest.fixture(params=TFLITE_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def load(path: Path, runtime: str) -> Interpreter:
    return open_interpreter(path, threads=1, runtime=runtime)


def refusal(path: Path, runtime: str) -> str:
    """The one sentence with which a file is refused."""
    with pytest.raises(ModelError) as refused:
        load(path, runtime)
    text = str(refused.value)
    assert text.startswith("detect.tflite")
    assert "\n" not in text
    return text


def single(code: str) -> Graph:
    return Graph([FLOATS, replace(FLOATS, name="out")], [0], [1], [Operator(code, [0], [1])])


def test_tensors_are_described_with_their_own_parameters(path: Path, runtime: str) -> None:
    interpreter = load(reshape(PICTURE, SCORES).write(path), runtime)
    uint8 = np.dtype("uint8")
    assert interpreter.input == TensorInfo(0, "picture", (1, 2, 2, 1), uint8, Quantization(1 / 128, 3))
    assert interpreter.outputs == (TensorInfo(1, "scores", (1, 4), uint8, Quantization(1 / 256, 0)),)
    assert re.fullmatch(r"(LiteRT|tflite-runtime) \d+\.\d+\.\d+", interpreter.runtime)
    assert interpreter.why == f"runtime: {runtime} is configured"
    assert (interpreter.engine, interpreter.library, interpreter.remark) == ("cpu", None, None)


def test_what_goes_in_by_either_way_comes_out(path: Path, runtime: str) -> None:
    interpreter = load(reshape(PICTURE, SCORES).write(path), runtime)
    interpreter.input_view()[...] = np.array([1, 2, 3, 4], np.uint8).reshape(1, 2, 2, 1)
    interpreter.invoke()
    first = interpreter.read_outputs()
    interpreter.set_input(np.array([5, 6, 7, 8], np.uint8).reshape(1, 2, 2, 1))
    interpreter.invoke()
    assert [output.tolist() for output in interpreter.read_outputs()] == [[[5, 6, 7, 8]]]
    assert first[0].tolist() == [[1, 2, 3, 4]]  # a copy: the next invoke does not touch it


def test_a_view_that_is_kept_forbids_to_invoke(path: Path, runtime: str) -> None:
    interpreter = load(reshape(PICTURE, SCORES).write(path), runtime)
    view = interpreter.input_view()
    with pytest.raises(RuntimeError, match="reference to internal data"):
        interpreter.invoke()
    del view
    interpreter.invoke()


def test_shapes_that_are_known_only_after_allocation(path: Path, runtime: str) -> None:
    graph = reshape(PICTURE, replace(SCORES, shape=[]))  # as in many published files, the file says nothing
    graph.tensors[2] = replace(graph.tensors[2], shape=[2], constant=np.array([1, 4], np.int32))
    assert load(graph.write(path), runtime).outputs[0].shape == (1, 4)


def test_an_open_batch_is_taken_as_one(path: Path, runtime: str) -> None:
    graph = reshape(replace(PICTURE, signature=[-1, 2, 2, 1]), replace(SCORES, signature=[-1, 4]))
    assert load(graph.write(path), runtime).input.shape == (1, 2, 2, 1)


def test_fault_29_dynamic_input_shape(path: Path, runtime: str) -> None:
    graph = reshape(replace(PICTURE, shape=[1, 1, 1, 4], signature=[1, -1, -1, 4]), SCORES)
    text = refusal(graph.write(path), runtime)
    assert "input 'picture' has no fixed shape: [1, -1, -1, 4]; say in model.yaml at which size it is served" in text


def test_fault_29_an_output_whose_shape_depends_on_the_values(path: Path, runtime: str) -> None:
    found = Tensor("found", [1, 2], "int64", signature=[-1, 2])
    interpreter = load(Graph([FLOATS, found], [0], [1], [Operator("WHERE", [0], [1])]).write(path), runtime)
    interpreter.set_input(np.ones((1, 4), np.float32))
    interpreter.invoke()
    with pytest.raises(RuntimeError, match=r"output 'found' came as \[4, 2\], not \[1, 2\]; convert the model"):
        interpreter.read_outputs()


def test_fault_29_no_output(path: Path, runtime: str) -> None:
    graph = reshape(PICTURE, SCORES)
    graph.outputs = []
    assert "has no output; convert it again" in refusal(graph.write(path), runtime)


def test_fault_29_an_output_that_nothing_writes(path: Path, runtime: str) -> None:
    interpreter = load(Graph([FLOATS, replace(FLOATS, name="out")], [0], [1], []).write(path), runtime)
    with pytest.raises(RuntimeError, match="an output cannot be read"):
        interpreter.read_outputs()


def test_more_than_one_input(path: Path, runtime: str) -> None:
    graph = Graph([FLOATS, replace(FLOATS, name="other"), replace(FLOATS, name="out")], [0, 1], [2])
    graph.operators = [Operator("MINIMUM", [0, 1], [2])]
    assert "has 2 inputs ('floats', 'other'); expected 1, a picture" in refusal(graph.write(path), runtime)


def test_no_input(path: Path, runtime: str) -> None:
    graph = single("ABS")
    graph.inputs = []
    assert "has 0 inputs" in refusal(graph.write(path), runtime)


def test_an_unknown_custom_operator_is_named(path: Path, runtime: str) -> None:
    text = refusal(single("MyFancyOp").write(path), runtime)
    assert "needs the custom operator 'MyFancyOp'" in text
    assert "convert the model with built-in operators only" in text


def test_an_operator_of_tensorflow_itself_is_named(path: Path, runtime: str) -> None:
    assert "needs TensorFlow's own operator 'Erf'; convert" in refusal(single("FlexErf").write(path), runtime)


def test_fault_27_a_file_compiled_for_the_edge_tpu(path: Path, runtime: str) -> None:
    text = refusal(single("edgetpu-custom-op").write(path), runtime)
    assert "is compiled for the Edge TPU; give files.cpu the model that it was compiled from" in text
    assert "unresolved" not in text


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant_edgetpu", "yolov8n_full_integer_quant_edgetpu"])
def test_fault_27_real_files_compiled_for_the_edge_tpu(assets: Path, name: str, runtime: str) -> None:
    with pytest.raises(ModelError, match=f"{name}.tflite is compiled for the Edge TPU; give files.cpu"):
        load(assets / "models" / f"{name}.tflite", runtime)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_no_scale(path: Path, scale: float, runtime: str) -> None:
    graph = reshape(replace(PICTURE, quantization=(scale, 0)), SCORES)
    assert "a scale is a positive number" in refusal(graph.write(path), runtime)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"PK\x03\x04PK\x03\x04", b"<html><body>404</body></html>"])
def test_fault_26_no_tflite_model_at_all(path: Path, content: bytes, runtime: str) -> None:
    path.write_bytes(content)
    assert "is not a TFLite model: bytes 4 to 8 are" in refusal(path, runtime)


def test_fault_25_a_file_that_is_not_there(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file or directory"):
        load(tmp_path / "gone.tflite", runtime)
    with pytest.raises(ModelError, match="cannot be read: Is a directory"):
        load(tmp_path, runtime)


# Row 26: damaged files. A parser or a kernel may crash on them, so they are loaded by a child, which answers one line
# for each file; when it dies, a new one goes on after the file that killed it.

CHILD = """
import os, resource, sys
from pathlib import Path
from visiond.engine.interpreter import open_interpreter
from visiond.errors import ModelError
os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the runtime talks to stderr
resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))  # a flipped bit in a shape asks for gigabytes
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
for line in sys.stdin:
    try:
        interpreter = open_interpreter(Path(line.strip()), threads=1)
        interpreter.invoke()
        interpreter.read_outputs()
        print("loaded", flush=True)
    except ModelError as error:
        print("refused", error, flush=True)
    except RuntimeError as error:
        print("failed in invoke", error, flush=True)
"""

LABELS_ZIP = b"PK\x03\x04"  # after the graph, the real file carries its labels, packed
Damage = Callable[[bytes], Iterator[bytes]]


def truncated(content: bytes, tries: int = 1000) -> Iterator[bytes]:
    """At every one of the first 64 bytes, then at offsets spread evenly over the file."""
    rest = np.linspace(64, len(content) - 1, tries - 64, dtype=int).tolist()
    for length in [*range(64), *rest]:
        yield content[:length]


def flipped(content: bytes, tries: int = 500) -> Iterator[bytes]:
    """One bit at a time, the same ones in each run; every second one where the file's structure lies, not its weights.

    A sample: 10,000 take two minutes. On x86-64 with LiteRT 2.3.0 they killed the child once, in the invoke.
    """
    draw = random.Random(26)
    structure = range(content.index(LABELS_ZIP) - 24_000, content.index(LABELS_ZIP))
    for turn in range(tries):
        damaged = bytearray(content)
        damaged[draw.choice(structure) if turn % 2 else draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        yield bytes(damaged)


class Loader:
    """Loads files in a child process, one after the other, and survives it."""

    def __init__(self, root: Path, path: Path) -> None:
        self._root = root
        self._path = path
        self._child: subprocess.Popen[bytes] | None = None
        self.died = 0

    def load(self, content: bytes) -> str:
        """The child's answer, or "died" with the signal."""
        self._path.write_bytes(content)
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,  # nothing is left to be flushed into the pipe of a child that has died
                env={"PYTHONPATH": str(self._root / "daemon")},
            )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        try:
            self._child.stdin.write(f"{self._path}\n".encode())
        except BrokenPipeError:
            return self._bury()
        answer = self._child.stdout.readline().decode()
        return answer.strip() or self._bury()

    def _bury(self) -> str:
        assert self._child is not None
        code = self._child.wait()
        self.close()
        assert code < 0, f"the child ended by itself with {code}: an error that is no ModelError"
        self.died += 1
        return f"died of signal {-code}"

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()

    def close(self) -> None:
        if self._child is not None:
            with self._child:  # closes its pipes, at which it ends, and waits
                pass
            self._child = None


@pytest.fixture
def loader(root: Path, path: Path) -> Iterator[Loader]:
    loader = Loader(root, path)
    yield loader
    loader.close()


def test_fault_26_a_child_that_dies_is_noticed_and_replaced(loader: Loader) -> None:
    content = reshape(PICTURE, SCORES).pack()
    assert loader.load(content) == "loaded"
    loader.kill()
    assert loader.load(content) == "died of signal 9"
    assert loader.load(content) == "loaded"


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.parametrize("damage", [truncated, flipped])
def test_fault_26_a_damaged_model_is_refused_in_a_sentence_or_kills_only_its_own_process(
    assets: Path, loader: Loader, damage: Damage
) -> None:
    content = (assets / "models" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    answers = [loader.load(damaged) for damaged in damage(content)]
    assert {answer.split()[0] for answer in answers} <= {"loaded", "refused", "failed", "died"}
    refused = [answer.removeprefix("refused ") for answer in answers if answer.startswith("refused")]
    assert refused
    for text in refused:
        assert text.startswith("detect.tflite ")
        assert any(remedy in text for remedy in ("copy or convert it again", "copy it again", "convert the model"))
    assert loader.load(content) == "loaded"


@pytest.mark.slow
@pytest.mark.assets
def test_fault_26_a_truncated_model_loads_only_where_nothing_of_the_graph_is_cut_off(
    assets: Path, loader: Loader
) -> None:
    content = (assets / "models" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    for length in np.linspace(8, content.index(LABELS_ZIP) - 64, 200, dtype=int).tolist():
        told = loader.load(content[:length])
        assert "is truncated or damaged" in told
        assert told.endswith("copy or convert it again")
