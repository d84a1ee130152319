"""What is read of .onnx files without a runtime, beside what the `onnx` package reads; damage is told in words."""

from __future__ import annotations

import io
import random
import resource
import struct
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from onnx_writer import Node, Value, pack, write
from visiond.errors import DataError, NoInputError
from visiond.modelkit import onnx_inspection
from visiond.modelkit.inspection_text import inspect
from visiond.modelkit.onnx_file import looks_like_onnx, open_onnx
from visiond.modelkit.onnx_model import OnnxModel, OnnxValue, OperatorKind

PATIENCE_S = 30.0


def read(path: Path) -> OnnxModel:
    with open_onnx(path) as model:
        return model


def classifier(dtype: str = "float32") -> onnx.ModelProto:
    shape = ["batch", 3, "height", None]
    nodes = [
        Node("Conv", ["images", "w"], ["c"]),
        Node("Relu", ["c"], ["r"]),
        Node("GlobalAveragePool", ["r"], ["g"]),
        Node("Flatten", ["g"], ["out"]),
    ]
    weights = {"w": np.ones((10, 3, 3, 3), np.float32)}
    return pack(nodes, [Value("images", shape, dtype)], [Value("out", ["batch", 10])], weights)


def quantized(zero_point: np.ndarray, scale: np.ndarray) -> onnx.ModelProto:
    """Integers in and out: DequantizeLinear, something, QuantizeLinear."""
    nodes = [
        Node("DequantizeLinear", ["images", "s", "z"], ["d"]),
        Node("Relu", ["d"], ["r"]),
        Node("QuantizeLinear", ["r", "s", "z"], ["out"]),
    ]
    kind = zero_point.dtype.name
    values = [Value("images", [1, 3, 4, 4], kind)], [Value("out", [1, 3, 4, 4], kind)]
    return pack(nodes, *values, {"s": scale, "z": zero_point})


def test_a_whole_model(tmp_path: Path) -> None:
    model = classifier()
    model.producer_name, model.producer_version = "pytorch", "2.13.0"
    found = read(write(tmp_path / "m.onnx", model))
    assert found.inputs == (OnnxValue("images", "float32", ("batch", 3, "height", None)),)
    assert found.outputs == (OnnxValue("out", "float32", ("batch", 10)),)
    assert found.operators == {OperatorKind("", name): 1 for name in ("Conv", "Relu", "GlobalAveragePool", "Flatten")}
    assert (found.opsets, found.ir_version, found.producer) == ({"": 17}, 8, "pytorch 2.13.0")
    assert (found.constant_bytes, found.external_files) == (10 * 3 * 3 * 3 * 4, ())
    assert found.inputs[0].picture.shape == (1, -1, -1, 3)
    assert found.inputs[0].is_open
    assert not found.outputs[0].is_open  # the batch is one


def test_old_files_list_their_weights_among_the_inputs(tmp_path: Path) -> None:
    model = classifier()
    model.graph.input.append(Value("w", [10, 3, 3, 3]).pack())
    assert [value.name for value in read(write(tmp_path / "m.onnx", model)).inputs] == ["images"]


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
def test_what_integers_stand_for(tmp_path: Path, dtype: str) -> None:
    model = quantized(np.array(7, dtype), np.array(0.25, np.float32))
    found = read(write(tmp_path / "m.onnx", model))
    for value in (*found.inputs, *found.outputs):
        assert (value.scale, value.zero_point) == (0.25, 7)


def test_what_integers_stand_for_when_the_numbers_are_written_otherwise(tmp_path: Path) -> None:
    """In the typed fields instead of raw bytes, as one operator Constant, and without a zero point."""
    model = quantized(np.array(0, np.uint8), np.array(0, np.float32))
    del model.graph.initializer[:]
    model.graph.initializer.append(helper.make_tensor("s", onnx.TensorProto.FLOAT, [], [0.5]))
    zero_point = helper.make_tensor("", onnx.TensorProto.UINT8, [1], [200])
    model.graph.node.insert(0, helper.make_node("Constant", [], ["z"], value=zero_point))
    assert (
        read(write(tmp_path / "m.onnx", model)).inputs[0].scale,
        read(tmp_path / "m.onnx").inputs[0].zero_point,
    ) == (
        0.5,
        200,
    )
    for node in model.graph.node:
        if len(node.input) == 3:
            del node.input[2]
    assert read(write(tmp_path / "m.onnx", model)).inputs[0].zero_point == 0


def test_scales_by_channel_are_not_taken_for_one(tmp_path: Path) -> None:
    model = quantized(np.zeros(3, np.uint8), np.array([0.1, 0.2, 0.3], np.float32))
    found = read(write(tmp_path / "m.onnx", model))
    assert (found.inputs[0].scale, found.outputs[0].scale) == (None, None)


def test_weights_in_files_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(classifier(), path, save_as_external_data=True, location="m.onnx.data", size_threshold=1)
    assert read(path).external_files == ("m.onnx.data",)


SHAPES = st.lists(st.one_of(st.integers(0, 2**40), st.sampled_from(["batch", "höhe", None])), max_size=6)
KINDS = st.sampled_from(["float32", "float16", "float64", "uint8", "int8", "int64", "bool"])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(max_size=20), SHAPES, KINDS), max_size=4), st.lists(st.text(max_size=9), max_size=9))
def test_any_graph_is_read_as_the_official_library_writes_it(
    tmp_path: Path, values: list[tuple[str, list[int | str | None], str]], operators: list[str]
) -> None:
    inputs = [Value(name, shape, kind) for name, shape, kind in values]
    model = pack([Node(name, ["a"], ["b"]) for name in operators], inputs, inputs)
    found = read(write(tmp_path / "m.onnx", model))
    assert [value.axes for value in found.inputs] == [tuple(shape) for _, shape, _ in values]
    assert [value.dtype for value in found.outputs] == [kind for _, _, kind in values]
    assert sum(found.operators.values()) == len(operators)


def look(path: Path) -> str | None:
    """The sentence when it is refused, None when it is read; anything else that is raised is a bug."""
    try:
        read(path)
    except DataError as error:
        return str(error).replace("\n", "a second line")
    return None


@pytest.fixture(scope="module")
def seeds() -> list[bytes]:
    branch = helper.make_graph([helper.make_node("Relu", ["images"], ["then"])], "then", [], [Value("then", []).pack()])
    nodes = [Node("If", ["c"], ["out"], attributes={"then_branch": branch, "else_branch": branch})]
    nested = pack(nodes, [Value("images", [1, 3, 4, 4])], [Value("out", [])], {"c": np.array(True)})
    whole = quantized(np.array(7, np.uint8), np.array(0.25, np.float32))
    return [each.SerializeToString() for each in (classifier(), whole, nested)]


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_damage_is_read_or_told(tmp_path: Path, seeds: list[bytes], data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    (tmp_path / "m.onnx").write_bytes(content[: data.draw(st.integers(0, len(content)))])
    look(tmp_path / "m.onnx")


def test_every_length_of_a_cut_file_is_survived(tmp_path: Path, seeds: list[bytes]) -> None:
    for content in seeds:
        refused = 0
        for length in range(len(content)):
            (tmp_path / "m.onnx").write_bytes(content[:length])
            refused += look(tmp_path / "m.onnx") is not None
        assert refused > len(content) // 2  # the opset comes last, and a file without it is a model to ONNX


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty; copy it again"),
        (b"<html><body>404</body></html>", "is no ONNX model"),
        (b"\x1c\0\0\0TFL3", "is a TFLite model, not ONNX; give it as files.cpu"),
        (b"PK\x03\x04", "is a zip archive (PyTorch's own format, perhaps), not ONNX; export it with torch.onnx.export"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        (b"\x08\x08", "is a damaged ONNX model: it holds no graph"),
    ],
)
def test_what_a_file_is_that_is_no_model(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    text = look(tmp_path / "m.onnx")
    assert text is not None
    assert words in text
    assert "; " in text


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="No such file"):
        read(tmp_path / "none.onnx")
    with pytest.raises(NoInputError, match=r"is a folder; give the path of a \.tflite or \.onnx file in it"):
        read(tmp_path)


def test_what_is_looked_into_as_onnx(tmp_path: Path, seeds: list[bytes]) -> None:
    for name, content, expected in (
        ("a.onnx", seeds[0], True),
        ("a.bin", seeds[0], True),
        ("b.onnx", b"nothing", True),
        ("c.onnx", b"\x1c\0\0\0TFL3", False),
        ("d.tflite", b"nothing", False),
    ):
        (tmp_path / name).write_bytes(content)
        assert looks_like_onnx(tmp_path / name) == expected, name
    assert not looks_like_onnx(tmp_path / "none.onnx")


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def part(slot: int, content: bytes) -> bytes:
    return varint(slot << 3 | 2) + varint(len(content)) + content


def test_graphs_within_graphs_without_end_are_refused(tmp_path: Path) -> None:
    graph = b""
    for _ in range(3000):
        graph = part(1, part(4, b"If") + part(5, part(6, graph)))
    (tmp_path / "m.onnx").write_bytes(b"\x08\x08" + part(7, graph))
    text = look(tmp_path / "m.onnx")
    assert text is not None
    assert "graphs lie within each other more than 16 deep" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (part(1, part(4, b"Relu")), "more than 200000 operators"),
        (part(1, b""), "more than 200000 operators"),
        (part(5, part(8, b"x")), "more than 200000 constants"),
        (part(11, b""), "more than 1024 inputs or outputs"),
        (b"\x50\x01", "over and over"),
    ],
    ids=["operators", "empty operators", "constants", "inputs", "numbers"],
)
def test_a_million_parts_end_soon_and_in_little_memory(tmp_path: Path, piece: bytes, words: str) -> None:
    path = tmp_path / "bomb.onnx"
    path.write_bytes(b"\x08\x08" + part(7, piece * 1_000_000))
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    text = look(path)
    assert text is not None
    assert words in text
    assert time.process_time() - began < PATIENCE_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 200_000


def test_the_weights_are_not_read(tmp_path: Path) -> None:
    """A model of 200 MB in milliseconds; the file has a hole where its weights are."""
    weights = 200 << 20
    head = varint(9 << 3 | 2) + varint(weights)
    tensor = part(8, b"w") + head
    graph_head = varint(5 << 3 | 2) + varint(len(tensor) + weights) + tensor
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.write(b"\x08\x08" + varint(7 << 3 | 2) + varint(len(graph_head) + weights) + graph_head)
        file.truncate(file.tell() + weights)
    began = time.monotonic()
    assert read(path).constant_bytes == weights
    assert time.monotonic() - began < 1


def test_real_names_and_numbers_survive(tmp_path: Path) -> None:
    """Against the library: each initializer's bytes, over a model with all of its types."""
    chance = random.Random(3)
    constants = {
        kind: np.array([chance.randrange(100) for _ in range(chance.randrange(1, 50))], kind)
        for kind in ("float32", "float64", "int8", "uint8", "int32", "int64", "float16", "bool")
    }
    model = pack([Node("Relu", ["images"], ["out"])], [Value("images", [1])], [Value("out", [1])], constants)
    total = sum(numpy_helper.to_array(each).nbytes for each in model.graph.initializer)
    assert read(write(tmp_path / "m.onnx", model)).constant_bytes == total
    assert struct.calcsize("<f") == 4


def test_the_verb_says_it_in_text_and_json(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", classifier())
    out = io.StringIO()
    assert inspect(path, None, False, out) == 0
    lines = out.getvalue().splitlines()
    assert lines[0].startswith("m.onnx: an ONNX model of 1.")
    assert "  0  images: float32 [batch, 3, height, ?], channels first" in lines
    assert "  say in model.yaml at which size it is served, such as input: {size: [224, 224]} (width, height)" in lines
    assert any(line.startswith("ONNX Runtime 1.") and line.endswith("has all of them") for line in lines)
    found = onnx_inspection.as_json(onnx_inspection.inspect_onnx(path))
    assert found["inputs"][0]["shape"] == ["batch", 3, "height", None]
    assert found["opsets"] == {"ai.onnx": 17}
    assert found["runtime"]["problem"] is None
