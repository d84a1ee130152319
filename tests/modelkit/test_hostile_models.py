"""Files that are no model, or were one: one sentence and an exit code, never a traceback, and never for ever."""

from __future__ import annotations

import io
import json
import random
import resource
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as litert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgetpu_writer import compiled
from tflite_writer import Graph, Operator, Tensor
from visiond.cli import main
from visiond.errors import DataError
from visiond.modelkit.file_bytes import Damaged, FileBytes
from visiond.modelkit.inspection_text import inspect
from visiond.modelkit.lint import lint
from visiond.modelkit.package import Package, load_package
from visiond.modelkit.tflite_file import open_model

PATIENCE_S = 30.0
PICTURE, SCORES = Tensor("picture", [1, 2, 2, 3], "int8", (0.5, 3)), Tensor("scores", [1, 10], "int8", (0.1, -1))


def small() -> bytes:
    hidden = Tensor("hidden", [1, 10], "int8", (0.1, -1))
    options = litert.ConcatenationOptionsT()
    graph = Graph(
        [PICTURE, hidden, SCORES],
        [0],
        [2],
        [Operator("CONCATENATION", [0], [1], options), Operator("LEAKY_RELU", [1], [2])],
    )
    return graph.pack()


SEEDS = {"plain": small(), "compiled": compiled(300, 40, [PICTURE, SCORES]).pack()}


def look(path: Path) -> str | None:
    """The sentence when it is refused, None when it is read; anything else that is raised is a bug."""
    try:
        for to_json in (False, True):
            inspect(path, None, to_json, io.StringIO())
    except DataError as error:
        return str(error)
    return None


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "m.tflite"


@pytest.mark.parametrize("seed", SEEDS)
def test_every_length_of_a_cut_file_is_survived(file: Path, seed: str) -> None:
    content = SEEDS[seed]
    refused = 0
    for length in range(len(content)):
        file.write_bytes(content[:length])
        text = look(file)
        assert text is None or text.count("\n") == 0
        refused += text is not None
    assert refused > len(content) / 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_every_flipped_bit_is_survived(file: Path, seed: str) -> None:
    content = SEEDS[seed]
    for bit in range(8 * len(content)):
        if bit % 3 == 0:  # a third of them, evenly
            flipped = bytearray(content)
            flipped[bit // 8] ^= 1 << bit % 8
            file.write_bytes(flipped)
            look(file)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(SEEDS)), st.data())
def test_numbers_put_anywhere_are_survived(file: Path, seed: str, data: st.DataObject) -> None:
    content = bytearray(SEEDS[seed])
    odd = st.sampled_from([0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC])
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 4))
        struct.pack_into("<I", content, place, data.draw(odd | st.integers(0, 0xFFFFFFFF)))
    file.write_bytes(content)
    look(file)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400))
def test_any_bytes_behind_the_mark_are_survived(file: Path, rest: bytes) -> None:
    file.write_bytes(struct.pack("<I", 8) + b"TFL3" + rest)
    look(file)


TASKS = {
    "classification": ["scores"],
    "detection": ["ssd_postprocess", "ssd_raw", "yolov5", "yolov8"],
    "pose": ["movenet", "posenet"],
    "segmentation": ["deeplab"],
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """One for each decoder, around the same two files."""
    made = {}
    for task, decoders in TASKS.items():
        for decoder in decoders:
            folder = tmp_path_factory.mktemp(decoder)
            (folder / "labels.txt").write_text("a\nb\n")
            manifest = {
                "name": decoder,
                "task": task,
                "files": {"cpu": {"path": "cpu.tflite"}, "edgetpu": {"path": "edgetpu.tflite"}},
                "labels": {"path": "labels.txt"},
                "input": {"mean": [0.0] * 3, "std": [255.0] * 3},
                "output": {"decoder": decoder},
            }
            (folder / "model.yaml").write_text(json.dumps(manifest))
            made[decoder] = load_package(folder)
    return made


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([decoder for decoders in TASKS.values() for decoder in decoders]), st.data())
def test_lints_of_damaged_files_raise_nothing(packages: dict[str, Package], decoder: str, data: st.DataObject) -> None:
    package = packages[decoder]
    for name, seed in (("cpu", "plain"), ("edgetpu", "compiled")):
        content = bytearray(SEEDS[seed])
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(content) - 4))
            struct.pack_into("<I", content, place, data.draw(st.integers(0, 0xFFFFFFFF) | st.integers(0, 300)))
        (package.folder / f"{name}.tflite").write_bytes(content)
    assert all("\n" not in str(remark) for remark in lint(package))


@pytest.mark.assets
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v1_0.25_128_quant_edgetpu"])
def test_a_real_model_with_random_damage_is_survived(assets: Path, file: Path, name: str) -> None:
    content = (assets / "models" / f"{name}.tflite").read_bytes()
    chance = random.Random(5)
    heads = [chance.randrange(4096) for _ in range(40)]  # where most offsets are, and anywhere
    for place in heads + [chance.randrange(len(content)) for _ in range(40)]:
        damaged = bytearray(content)
        damaged[place : place + 4] = chance.randbytes(4)
        file.write_bytes(damaged)
        look(file)


def shared_vectors(count: int) -> bytes:
    """Tensors that all point at one shape, which is as long as they are many: small to store, endless to read."""
    builder = flatbuffers.Builder(1 << 20)
    litert.TensorStartShapeVector(builder, 16)
    for _ in range(16):
        builder.PrependInt32(1)
    shape = builder.EndVector()
    name = builder.CreateString("x" * 100_000)
    litert.TensorStart(builder)
    litert.TensorAddShape(builder, shape)
    litert.TensorAddName(builder, name)
    tensor = litert.TensorEnd(builder)
    litert.SubGraphStartTensorsVector(builder, count)
    for _ in range(count):
        builder.PrependUOffsetTRelative(tensor)
    tensors = builder.EndVector()
    litert.SubGraphStart(builder)
    litert.SubGraphAddTensors(builder, tensors)
    graph = litert.SubGraphEnd(builder)
    litert.ModelStartSubgraphsVector(builder, 1)
    builder.PrependUOffsetTRelative(graph)
    graphs = builder.EndVector()
    litert.ModelStart(builder)
    litert.ModelAddSubgraphs(builder, graphs)
    builder.Finish(litert.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.slow
def test_a_file_whose_parts_are_shared_a_million_times_is_refused_soon_and_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.tflite"
    path.write_bytes(shared_vectors(1_000_000))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with pytest.raises(DataError, match="over and over"), open_model(path):
        pass
    assert time.monotonic() - began < PATIENCE_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 300_000


def test_a_file_that_is_cut_while_it_is_read_is_damaged_and_nothing_dies(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(bytes(1 << 20))
    with path.open("rb") as opened:
        content = FileBytes(opened.fileno())
        assert content.read(0, 4) == bytes(4)
        path.write_bytes(b"")
        with pytest.raises(Damaged, match="it ends before"):
            content.read(1 << 19, 4)


@pytest.fixture
def exit_code(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def run(*arguments: object) -> tuple[int, str]:
        code = main(["models", "inspect", *map(str, arguments)])
        captured = capsys.readouterr()
        assert captured.out == ""
        return code, captured.err

    return run


def test_the_verb_ends_with_a_sentence_and_65_or_66(tmp_path: Path, exit_code: Callable[..., tuple[int, str]]) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(SEEDS["plain"][:200])
    (tmp_path / "text.tflite").write_text("hello")
    (tmp_path / "log").write_text("hello")
    whole = tmp_path / "whole.tflite"
    whole.write_bytes(SEEDS["plain"])
    for arguments, code, words in (
        ([cut], 65, "damaged TFLite model"),
        ([tmp_path / "text.tflite"], 65, "no TFLite model"),
        ([tmp_path / "none"], 66, "No such file"),
        ([tmp_path], 66, "is a folder; give the path of a .tflite or .onnx file in it"),
        ([whole, "--log", tmp_path / "log"], 65, "no log of edgetpu_compiler"),
        ([whole, "--log", tmp_path / "none"], 66, "No such file"),
    ):
        got, text = exit_code(*arguments)
        assert got == code, text
        assert words in text
        assert len(text.splitlines()) == 1


def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(SEEDS["plain"])
    command = f"{sys.executable} -m visiond models inspect {path} | head -1"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(root / "daemon")},
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    assert done.stdout.startswith("m.tflite: a TFLite model")
