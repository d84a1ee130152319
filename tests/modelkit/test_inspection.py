"""`visiond models inspect`: what it finds in real files, and how it says so."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as litert

from edgetpu_writer import PARAMETER_CACHING, STAND_ALONE, compiled, custom_options, executable, package
from tflite_writer import Graph, Operator, Tensor
from visiond.cli import main
from visiond.errors import DataError
from visiond.modelkit.inspection import inspect_file
from visiond.modelkit.inspection_text import size_text

PICTURE, SCORES = Tensor("picture", [1, 2, 2, 3], "int8", (0.5, 3)), Tensor("scores", [1, 10], "int8", (0.1, -1))
MOST_S = 1.0


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    assert main(["models", "inspect", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def as_text(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main(["models", "inspect", *map(str, arguments)]) == 0
    return capsys.readouterr().out


@pytest.mark.assets
def test_a_real_model_before_the_compiler(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = as_json(capsys, assets / "models" / "yolov8n_full_integer_quant.tflite")
    (picture,), (cells,) = found["inputs"], found["outputs"]
    assert (picture["dtype"], picture["shape"], picture["zero_point"]) == ("int8", [1, 640, 640, 3], -14)
    assert picture["scale"] == pytest.approx(0.018658, abs=1e-6)
    assert (cells["shape"], cells["zero_point"]) == ([1, 84, 8400], -128)
    assert cells["real_range"] == pytest.approx([0, 1.0164], abs=1e-4)
    assert found["operators"]["CONV_2D"] == 64
    assert sum(found["operators"].values()) == 254
    edgetpu = found["edgetpu"]
    assert (edgetpu["compiled"], edgetpu["mapped"]) == (False, 241)
    softmax = edgetpu["on_cpu"][0]
    assert softmax["operators"] == {"SOFTMAX": 1}
    assert "[1, 4, 8400, 16]" in softmax["reason"]
    assert (edgetpu["log"]["mapped"], edgetpu["log"]["unmapped"]) == (230, 24)


@pytest.mark.assets
def test_a_real_compiled_model_tells_what_it_left_on_the_cpu(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = assets / "models" / "yolov8n_full_integer_quant_edgetpu.tflite"
    edgetpu = as_json(capsys, path)["edgetpu"]
    assert edgetpu["compiled"] is True
    (part,) = edgetpu["parts"]
    assert part == {"min_runtime_version": 14, "cached_bytes": 3_492_544, "streamed_bytes": 0}
    left: dict[str, int] = {}
    for group in edgetpu["on_cpu"]:
        assert group["remedy"]
        for name, count in group["operators"].items():
            left[name] = left.get(name, 0) + count
    assert left["TRANSPOSE"] == 3
    assert sum(left.values()) == 24
    text = as_text(capsys, path)
    assert "Edge TPU: compiled, in 1 part\n" in text
    assert "3.3 MiB stay in the chip's 8.0 MiB, none is streamed" in text
    assert "24 are left on the CPU" in text


@pytest.mark.assets
def test_without_its_log_a_compiled_model_still_tells_what_it_left(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "m.tflite").symlink_to(assets / "models" / "yolov8n_full_integer_quant_edgetpu.tflite")
    edgetpu = inspect_file(tmp_path / "m.tflite").edgetpu
    assert sum(group.count for group in edgetpu.on_cpu) == 24
    assert all("left on the CPU by the compiler" in group.reason and group.remedy for group in edgetpu.on_cpu)


@pytest.mark.assets
def test_the_small_real_twin_leaves_nothing(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = as_text(capsys, assets / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    assert "needs runtime version 12; parameters: 554 KiB stay" in text
    assert "nothing is left on the CPU" in text


@pytest.mark.assets
def test_the_options_of_a_custom_operator_show(assets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant.tflite"
    options = as_json(capsys, path)["custom_options"]["TFLite_Detection_PostProcess"]
    assert (options["num_classes"], options["max_detections"]) == (90, 10)
    assert options["nms_iou_threshold"] == pytest.approx(0.6)
    assert "num_classes 90" in as_text(capsys, path)


@pytest.mark.assets
def test_the_largest_file_is_looked_into_within_a_second(assets: Path) -> None:
    path = max((assets / "models").glob("*.tflite"), key=lambda each: each.stat().st_size)
    began = time.monotonic()
    inspect_file(path)
    assert time.monotonic() - began < MOST_S


def test_an_unsupported_operator_is_named_with_its_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hidden = [Tensor(name, [1, 10], "int8", (0.1, -1)) for name in "abc"]
    graph = Graph(
        [PICTURE, *hidden, SCORES],
        [0],
        [4],
        [
            Operator("RESHAPE", [0], [1]),
            Operator("LEAKY_RELU", [1], [2]),
            Operator("LEAKY_RELU", [2], [3]),
            Operator("RELU", [3], [4]),
        ],
    )
    text = as_text(capsys, graph.write(tmp_path / "m.tflite"))
    assert "1 of 4 operators would run there" in text
    assert "LEAKY_RELU 2: is not supported" in text
    assert "do: train with ReLU or ReLU6 in its place, or write it as tf.maximum(x, alpha * x)" in text
    assert "RELU 1: comes after an operator that stays on the CPU" in text


def test_what_streams_over_usb_is_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = compiled(5000, 3_000_000, [PICTURE, SCORES]).write(tmp_path / "m.tflite")
    (part,) = as_json(capsys, path)["edgetpu"]["parts"]
    assert (part["cached_bytes"], part["streamed_bytes"]) == (5000, 3_000_000)
    assert "2.9 MiB cross USB for each picture" in as_text(capsys, path)


def test_an_executable_that_stands_alone_streams(tmp_path: Path) -> None:
    content = custom_options(package([executable(STAND_ALONE, 700), executable(PARAMETER_CACHING, 0)]))
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("edgetpu-custom-op", [0], [1], custom_options=content)])
    (part,) = inspect_file(graph.write(tmp_path / "m.tflite")).edgetpu.parts
    assert (part.cached_bytes, part.streamed_bytes) == (0, 700)


def test_an_empty_operator_for_the_edge_tpu_is_damage(tmp_path: Path) -> None:
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("edgetpu-custom-op", [0], [1])])
    with pytest.raises(DataError, match="its operator for the Edge TPU is empty"):
        inspect_file(graph.write(tmp_path / "m.tflite"))


def test_the_log_of_another_model_is_not_believed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph([PICTURE, SCORES], [0], [1], [Operator("RESHAPE", [0], [1])])
    path = graph.write(tmp_path / "m.tflite")
    log = tmp_path / "m_edgetpu.log"
    log.write_text("Edge TPU Compiler version 16.0\n\nOperator Count Status\n\nRESHAPE 2 Mapped to Edge TPU\n")
    assert "is the log of another model: 2 operators, and 1 in this file" in as_text(capsys, path)
    log.write_text("Edge TPU Compiler version 16.0\n\nOperator Count Status\n\nRESHAPE 1 Mapped to Edge TPU\n")
    assert "version 16.0, 1 of 1 operators mapped" in as_text(capsys, path)
    log.write_text("nothing")
    found = as_json(capsys, path)["edgetpu"]
    assert found["log"] is None
    assert "is no log of edgetpu_compiler" in found["log_problem"]


def test_open_axes_and_scales_by_channel_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = Graph([Tensor("in", [1, 4], "uint8", signature=[-1, 4]), Tensor("out", [1, 4], "float32")], [0], [1])
    graph.operators = [Operator("DEQUANTIZE", [0], [1])]
    model = litert.ModelT.InitFromObj(litert.Model.GetRootAs(graph.pack()))
    assert model.subgraphs[0].tensors[0].shapeSignature.tolist() == [-1, 4]
    text = as_text(capsys, graph.write(tmp_path / "m.tflite"))
    assert "in: uint8 [-1, 4], open where -1, without scale: raw values" in text
    assert "out: float32 [1, 4]\n" in text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (102_400, "100 KiB"),
        (3_295_209, "3.1 MiB"),
        (1 << 31, "2.0 GiB"),
    ],
)
def test_sizes_are_told_in_the_unit_that_suits(count: int, text: str) -> None:
    assert size_text(count) == text
