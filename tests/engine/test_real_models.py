"""Real models and pictures through the engine's stages, next to a plain loop and to the table beside the files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter as LiteRt

from known_pictures import COCO_SSD, MOBILENET_V2, QUANTUM
from visiond.detection import Box, Classification, Detection
from visiond.engine.decode.decoder import DecodeSettings, make_decoder
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.errors import ModelError
from visiond.modelkit.labels import parse_labels
from visiond.modelkit.manifest import InputRecipe, OutputSpec

pytestmark = pytest.mark.assets


class Engine:
    """The stages put together as the worker does, without its process."""

    def __init__(self, model: Path, labels: Path, offset: int, decoder: str, mean: float, min_score: float) -> None:
        self.interpreter = open_interpreter(model, threads=1)
        _, height, width, _ = self.interpreter.input.shape
        recipe = InputRecipe(mean=(mean,) * 3, std=(mean,) * 3)
        settings = DecodeSettings(parse_labels(labels.read_bytes(), offset), min_score, 100, (width, height))
        self._preprocessor = Preprocessor(recipe, self.interpreter.input)
        spec = OutputSpec.model_validate({"decoder": decoder})
        self._decoder = make_decoder(spec, self.interpreter.outputs, settings)

    def __call__(self, picture: Path) -> Any:
        geometry = self._preprocessor.write(cv2.imread(str(picture)), self.interpreter.input_view())
        self.interpreter.invoke()
        return self._decoder(self.interpreter.read_outputs(), geometry)


def plain_loop(model: Path, picture: Path, mean: float) -> list[np.ndarray]:
    """Resize, RGB, quantize, invoke, dequantize: every output as float64."""
    litert = LiteRt(model_path=str(model), num_threads=1)
    litert.allocate_tensors()
    source = litert.get_input_details()[0]
    _, height, width, _ = source["shape"]
    rgb = cv2.cvtColor(cv2.resize(cv2.imread(str(picture)), (width, height)), cv2.COLOR_BGR2RGB)
    scale, zero_point = source["quantization"]
    levels = (rgb.astype(np.float64) - mean) / mean / scale
    levels = np.sign(levels) * np.floor(np.abs(levels) + 0.5) + zero_point
    litert.set_tensor(source["index"], np.clip(levels, 0, 255).astype(np.uint8)[None])
    litert.invoke()
    outputs = []
    for details in litert.get_output_details():
        scale, zero_point = details["quantization"]
        raw = litert.get_tensor(details["index"]).astype(np.float64)
        outputs.append((raw - zero_point) * scale if scale else raw)
    return outputs


@pytest.fixture(scope="module")
def coco_ssd(assets: Path) -> Engine:
    models = assets / "models"
    labels = models / "coco_ssd_mobilenet_v1_labels.txt"
    return Engine(models / "coco_ssd_mobilenet_v1_1.0_quant.tflite", labels, 1, "ssd_postprocess", 128, 0.4)


@pytest.mark.parametrize("picture", COCO_SSD)
def test_coco_ssd_finds_what_the_table_says(coco_ssd: Engine, assets: Path, picture: str) -> None:
    found = coco_ssd(assets / "images" / picture)
    assert [each.label for each in found] == [label for label, _ in COCO_SSD[picture]]
    assert [each.score for each in found] == pytest.approx([score for _, score in COCO_SSD[picture]], abs=0.02)


def test_coco_ssd_finds_the_cat_where_it_is(coco_ssd: Engine, assets: Path) -> None:
    (cat,) = coco_ssd(assets / "images" / "cat_720p.jpg")
    assert cat.box.iou(Box(xmin=0.07, ymin=0.13, xmax=0.72, ymax=0.98)) > 0.97


@pytest.mark.parametrize("picture", [*COCO_SSD, "kite_and_cold.jpg"])
def test_coco_ssd_equals_a_plain_loop(coco_ssd: Engine, assets: Path, picture: str) -> None:
    path = assets / "images" / picture
    boxes, classes, scores, count = plain_loop(assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant.tflite", path, 128)
    expected = [row for row in range(int(count[0])) if scores[0, row] >= 0.4]
    found: tuple[Detection, ...] = coco_ssd(path)
    assert [each.class_id for each in found] == [int(classes[0, row]) for row in expected]
    for each, row in zip(found, expected, strict=True):
        ymin, xmin, ymax, xmax = np.clip(boxes[0, row], 0, 1)
        assert each.score == pytest.approx(scores[0, row], abs=1e-6)
        assert each.box.iou(Box(xmin, ymin, xmax, ymax)) > 0.999


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("mobilenet_v2_1.0_224_quant", 128),
        ("mobilenet_v1_0.25_128_quant", 128),
        ("tf2_mobilenet_v2_1.0_224_ptq", 127.5),
    ],
)
@pytest.mark.parametrize("picture", MOBILENET_V2)
def test_the_classifiers_equal_a_plain_loop(assets: Path, name: str, mean: float, picture: str) -> None:
    model, path = assets / "models" / f"{name}.tflite", assets / "images" / picture
    (scores,) = plain_loop(model, path, mean)
    found = Engine(model, assets / "models" / "imagenet_labels.txt", 0, "scores", mean, 0.0)(path)
    assert len(found) == 5
    assert found[0].class_id == scores[0].argmax()
    assert [each.score for each in found] == pytest.approx([scores[0, each.class_id] for each in found], abs=1e-6)


@pytest.mark.parametrize("picture", MOBILENET_V2)
def test_mobilenet_v2_says_what_the_table_says(assets: Path, picture: str) -> None:
    labels = assets / "models" / "imagenet_labels.txt"
    engine = Engine(assets / "models" / "mobilenet_v2_1.0_224_quant.tflite", labels, 0, "scores", 128, 0.0)
    best: Classification = engine(assets / "images" / picture)[0]
    label, levels = MOBILENET_V2[picture]
    assert best.label is not None
    assert best.label.split(",")[0] == label
    assert best.score == pytest.approx(levels * QUANTUM, abs=2 * QUANTUM)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("deeplabv3_mnv2_dm05_pascal_quant", r"'ArgMax' int64 \[1, 513, 513\]"),
        ("movenet_single_pose_lightning_ptq", r"\[1, 1, 17, 3\]"),
        ("yolov8n_full_integer_quant", r"int8 \[1, 84, 8400\]"),
    ],
)
@pytest.mark.parametrize("decoder", ["scores", "ssd_postprocess"])
def test_a_model_of_another_kind_is_refused_by_its_outputs(assets: Path, name: str, text: str, decoder: str) -> None:
    labels = assets / "models" / "imagenet_labels.txt"
    with pytest.raises(ModelError, match=text):
        Engine(assets / "models" / f"{name}.tflite", labels, 0, decoder, 128, 0.5)
