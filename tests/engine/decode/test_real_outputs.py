"""Each kind of output of real files, cut open where a file has none of that kind, against plain loops."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from cut_model import constant, cut
from known_outputs import DEEPLAB_IOU, MOVENET_WITHIN, YOLOV8N, YOLOV8N_ALSO
from known_pictures import COCO_SSD
from plain_decoders import Found, assert_alike, overlap, real, ssd, yolov5, yolov8
from visiond.detection import Box, Detection
from visiond.engine.decode.anchors import anchors_of
from visiond.engine.decode.decoder import DecodeSettings, make_decoder
from visiond.engine.geometry import Geometry
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels, parse_labels
from visiond.modelkit.manifest import Anchors, InputRecipe, OutputSpec

pytestmark = pytest.mark.assets

MIN_SCORE = 0.35
YOLO_INPUT = {"resize": "letterbox", "mean": (0,) * 3, "std": (255,) * 3}
MEAN_128 = {"mean": (128,) * 3, "std": (128,) * 3}
Picture = Callable[[str], Path]


class Engine:
    """A model with its preprocessing; `raw` gives its outputs, `decode` what any decoder makes of any outputs."""

    def __init__(self, model: Path, recipe: dict[str, Any], labels: Labels) -> None:
        self.interpreter = open_interpreter(model, threads=2)
        self._labels = labels
        self._preprocessor = Preprocessor(InputRecipe.model_validate(recipe), self.interpreter.input)

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        return self.interpreter.outputs

    def raw(self, picture: Path) -> tuple[list[NDArray[Any]], Geometry]:
        geometry = self._preprocessor.write(cv2.imread(str(picture)), self.interpreter.input_view())
        self.interpreter.invoke()
        return self.interpreter.read_outputs(), geometry

    def decode(
        self,
        raw: Sequence[NDArray[Any]],
        geometry: Geometry,
        min_score: float = MIN_SCORE,
        outputs: Sequence[TensorInfo] | None = None,
        **spec: Any,
    ) -> Any:
        _, height, width, _ = self.interpreter.input.shape
        settings = DecodeSettings(self._labels, min_score, 100, (width, height))
        decoder = make_decoder(OutputSpec.model_validate(spec), outputs or self.outputs, settings)
        return decoder(raw, geometry)

    def __call__(self, picture: Path, **spec: Any) -> Any:
        return self.decode(*self.raw(picture), **spec)


@pytest.fixture(scope="module")
def picture(assets: Path) -> Picture:
    return lambda name: assets / "images" / name


@pytest.fixture(scope="module")
def yolo(assets: Path) -> Engine:
    names = yaml.safe_load((assets / "models" / "yolov8n_metadata.yaml").read_text())["names"]
    model = assets / "models" / "yolov8n_full_integer_quant.tflite"
    return Engine(model, YOLO_INPUT, Labels([names[class_id] for class_id in sorted(names)]))


@pytest.fixture(scope="module")
def yolo_raw(yolo: Engine, picture: Picture) -> tuple[list[NDArray[Any]], Geometry]:
    return yolo.raw(picture("grace_hopper.bmp"))


# YOLOv8


def plain_yolov8n(model: Path, path: Path) -> list[Found]:
    """Letterbox, RGB, quantize, invoke, dequantize, decode: corners as fractions of the picture."""
    litert = Interpreter(model_path=str(model), num_threads=2)
    litert.allocate_tensors()
    source, (output,) = litert.get_input_details()[0], litert.get_output_details()
    rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    ratio = min(640 / rgb.shape[0], 640 / rgb.shape[1])
    width, height = round(rgb.shape[1] * ratio), round(rgb.shape[0] * ratio)
    left, top = (640 - width) // 2, (640 - height) // 2
    square = np.full((640, 640, 3), 114, np.uint8)
    square[top : top + height, left : left + width] = cv2.resize(rgb, (width, height))
    scale, zero_point = source["quantization"]
    levels = np.floor(square.astype(np.float64) / 255 / scale + 0.5) + zero_point
    litert.set_tensor(source["index"], levels.clip(-128, 127).astype(np.int8)[None])
    litert.invoke()
    scale, zero_point = output["quantization"]
    rows = (litert.get_tensor(output["index"])[0].T.astype(np.float64) - zero_point) * scale
    rows[:, [0, 2]] *= 640 / width
    rows[:, [1, 3]] *= 640 / height
    rows[:, 0] -= left / width
    rows[:, 1] -= top / height
    return yolov8(rows, MIN_SCORE, 0.45)


@pytest.mark.parametrize("name", YOLOV8N)
def test_yolov8n_finds_what_the_issue_says_where_a_plain_loop_does(
    yolo: Engine, assets: Path, picture: Picture, name: str
) -> None:
    found = yolo(picture(name), decoder="yolov8")
    known = YOLOV8N[name] + YOLOV8N_ALSO.get(name, [])
    assert [each.label for each in found] == [label for label, _ in known]
    assert [each.score for each in found] == pytest.approx([score for _, score in known], abs=0.02)
    plain = plain_yolov8n(assets / "models" / "yolov8n_full_integer_quant.tflite", picture(name))
    for each, (class_id, score, corners) in zip(found, plain, strict=True):
        assert (each.class_id, each.score) == (class_id, pytest.approx(score, abs=1e-6))
        assert each.box.iou(Box.clamped(*corners)) >= 0.9


def test_a_crowd_of_candidates_is_suppressed_as_by_the_plain_decoder(yolo: Engine, picture: Picture) -> None:
    """Ten objects, kites and persons, at a score so low that many overlap."""
    (raw,), _ = yolo.raw(picture("kite_and_cold.jpg"))
    expected = yolov8(real(raw[0], yolo.outputs[0]).T, 0.0501, 0.4503)
    assert len(expected) >= 20
    found = yolo.decode([raw], Geometry(), 0.0501, decoder="yolov8", iou_threshold=0.4503)
    assert_alike(found, expected)


def test_the_same_numbers_transposed_give_the_same_objects(
    yolo: Engine, yolo_raw: tuple[list[NDArray[Any]], Geometry]
) -> None:
    (raw,), geometry = yolo_raw
    (info,) = yolo.outputs
    turned = TensorInfo(info.index, info.name, (1, 8400, 84), info.dtype, info.quantization)
    expected = yolo.decode([raw], geometry, decoder="yolov8")
    transposed = np.ascontiguousarray(raw.transpose(0, 2, 1))
    assert yolo.decode([transposed], geometry, outputs=[turned], decoder="yolov8") == expected
    assert len(expected) == 2


def test_the_same_numbers_in_pixels_give_the_same_objects(
    yolo: Engine, yolo_raw: tuple[list[NDArray[Any]], Geometry]
) -> None:
    """As an ONNX export has them: float32, boxes in pixels."""
    (raw,), geometry = yolo_raw
    values = real(raw, yolo.outputs[0]).astype(np.float32)
    values[:, :4] *= 640
    info = TensorInfo(0, "output0", (1, 84, 8400), np.dtype("float32"))
    found = yolo.decode([values], geometry, outputs=[info], decoder="yolov8")
    assert_same(found, yolo.decode([raw], geometry, decoder="yolov8"))


def test_what_its_own_suppression_would_leave_gives_the_same_objects_end_to_end(
    yolo: Engine, yolo_raw: tuple[list[NDArray[Any]], Geometry]
) -> None:
    (raw,), geometry = yolo_raw
    kept = yolov8(real(raw[0], yolo.outputs[0]).T, 0.001, 0.45)[:300]
    rows = np.zeros((1, 300, 6), np.float32)
    for row, (class_id, score, corners) in zip(rows[0], kept, strict=False):
        row[:] = *corners, score, class_id
    info = TensorInfo(0, "out", (1, 300, 6), np.dtype("float32"))
    found = yolo.decode([rows], geometry, outputs=[info], decoder="yolov8")
    assert_same(found, yolo.decode([raw], geometry, decoder="yolov8"))


def test_its_split_heads_give_the_same_objects(
    yolo: Engine, yolo_raw: tuple[list[NDArray[Any]], Geometry], assets: Path, picture: Picture, tmp_path: Path
) -> None:
    """The class logits and the distances before the graph joins them; their boxes differ by what int8 rounds away."""
    heads = ["model_3/tf.strided_slice_17/StridedSlice1", "model_3/tf.strided_slice_16/StridedSlice3"]
    source = assets / "models" / "yolov8n_full_integer_quant.tflite"
    engine = Engine(cut(source, tmp_path / "heads.tflite", heads), YOLO_INPUT, Labels(()))
    raw, geometry = engine.raw(picture("grace_hopper.bmp"))
    turned = [np.ascontiguousarray(each.transpose(0, 2, 1)) for each in raw]
    infos = [TensorInfo(i.index, i.name, (1, 8400, i.shape[1]), i.dtype, i.quantization) for i in engine.outputs]
    found = yolo.decode(turned, geometry, outputs=infos, decoder="yolov8")
    assert_same(found, yolo.decode(*yolo_raw, decoder="yolov8"), score=0.01, iou=0.9)


def test_yolov5_reads_the_same_objects_from_rows_with_an_objectness(
    yolo: Engine, yolo_raw: tuple[list[NDArray[Any]], Geometry]
) -> None:
    """No YOLOv5 is in the assets: the real YOLOv8n's rows in its form, three boxes a cell, one of them likely."""
    (raw,), geometry = yolo_raw
    (info,) = yolo.outputs
    rows = np.full((1, 3 * 8400, 85), -128, np.int8)
    rows[0, 8400:16800, :4], rows[0, 8400:16800, 5:] = raw[0, :4].T, raw[0, 4:].T
    rows[0, :, :4] = np.tile(raw[0, :4].T, (3, 1))
    rows[0, 8400:16800, 4] = 122  # (122 + 128) · 0.003986 = 0.9965
    quantized = TensorInfo(0, "out", (1, 25200, 85), np.dtype("int8"), info.quantization)
    found = yolo.decode([rows], Geometry(), outputs=[quantized], decoder="yolov5")
    assert_alike(found, yolov5(real(rows[0], quantized), MIN_SCORE, 0.45))
    assert_same(
        yolo.decode([rows], geometry, outputs=[quantized], decoder="yolov5"),
        yolo.decode([raw], geometry, decoder="yolov8"),
        score=0.01,
    )


def assert_same(
    found: Sequence[Detection], expected: Sequence[Detection], score: float = 1e-5, iou: float = 0.999
) -> None:
    assert [each.class_id for each in found] == [each.class_id for each in expected]
    assert [each.score for each in found] == pytest.approx([each.score for each in expected], abs=score)
    for each, other in zip(found, expected, strict=True):
        assert each.box.iou(other.box) >= iou
    assert expected


# SSD without its operator


@pytest.fixture(scope="module")
def coco_file(assets: Path) -> Path:
    return assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant.tflite"


@pytest.fixture(scope="module")
def coco_labels(assets: Path) -> Labels:
    return parse_labels((assets / "models" / "coco_ssd_mobilenet_v1_labels.txt").read_bytes(), 1)


def test_the_anchors_are_those_in_the_file(coco_file: Path) -> None:
    stored = constant(coco_file, "anchors")
    step = np.min(np.diff(np.unique(stored)))
    anchors = anchors_of(Anchors.model_validate({}), (300, 300))
    assert anchors.shape == stored.shape == (1917, 4)
    assert np.abs(anchors - stored).max() <= step / 2 + 1e-6


@pytest.mark.parametrize(
    ("names", "activation"),
    [
        (["Squeeze", "concat_1"], "sigmoid"),
        (["Squeeze", "convert_scores"], "none"),
        (["concat_1", "concat"], "sigmoid"),
    ],
)
@pytest.mark.parametrize("name", COCO_SSD)
def test_raw_heads_give_what_the_files_own_operator_gives(
    coco_file: Path,
    coco_labels: Labels,
    picture: Picture,
    tmp_path: Path,
    names: list[str],
    activation: str,
    name: str,
) -> None:
    whole = Engine(coco_file, MEAN_128, coco_labels)(picture(name), min_score=0.4, decoder="ssd_postprocess")
    engine = Engine(cut(coco_file, tmp_path / "raw.tflite", names), MEAN_128, coco_labels)
    raw, geometry = engine.raw(picture(name))
    spec = {"decoder": "ssd_raw", "activation": activation, "min_score": 0.4}
    everything = engine.decode(raw, geometry, iou_threshold=1.0, **spec)
    for each in whole:  # the operator's anchors are quantized, 0.0065 a level
        assert any(alike(each, other) for other in everything), f"{each} is not among the raw heads' objects"
    # Where they part: this operator lets the better box go before the other even where they are of two classes, and
    # quantized anchors shift an overlap across the threshold.
    found = engine.decode(raw, geometry, iou_threshold=0.6, **spec)
    for each in found:
        better = [other for other in whole if other.score > each.score]
        assert any(alike(each, other) for other in whole) or any(other.box.iou(each.box) > 0.55 for other in better)
    for each in whole:
        better = [other for other in found if other.score > each.score and other.label == each.label]
        assert any(alike(each, other) for other in found) or any(other.box.iou(each.box) > 0.55 for other in better)


def alike(one: Detection, other: Detection) -> bool:
    return one.label == other.label and abs(one.score - other.score) < 0.004 and one.box.iou(other.box) > 0.9


def test_raw_heads_give_what_the_plain_decoder_gives(
    coco_file: Path, coco_labels: Labels, picture: Picture, tmp_path: Path
) -> None:
    engine = Engine(cut(coco_file, tmp_path / "raw.tflite", ["Squeeze", "concat_1"]), MEAN_128, coco_labels)
    raw, _ = engine.raw(picture("kite_and_cold.jpg"))
    scores = 1 / (1 + np.exp(-real(raw[1][0], engine.outputs[1])))
    anchors = anchors_of(Anchors.model_validate({}), (300, 300)).astype(np.float64)
    expected = ssd(real(raw[0][0], engine.outputs[0]), scores, anchors, 0.2001, 0.4503)
    assert len(expected) > 5
    spec = {"decoder": "ssd_raw", "activation": "sigmoid", "iou_threshold": 0.4503}
    assert_alike(engine.decode(raw, Geometry(), 0.2001, **spec), expected)


def test_logits_without_an_activation_are_refused(
    coco_file: Path, coco_labels: Labels, picture: Picture, tmp_path: Path
) -> None:
    engine = Engine(cut(coco_file, tmp_path / "raw.tflite", ["Squeeze", "concat_1"]), MEAN_128, coco_labels)
    with pytest.raises(ModelError, match=r"'concat_1' runs from -11.* set output.activation"):
        engine(picture("cat_720p.jpg"), decoder="ssd_raw")


# MoveNet


def test_movenet_finds_its_publishers_keypoints(assets: Path, picture: Picture) -> None:
    models = assets / "models"
    recipe = {"mean": (0,) * 3, "std": (1,) * 3}
    engine = Engine(models / "movenet_single_pose_lightning_ptq.tflite", recipe, Labels(("person",)))
    (found,) = engine(picture("squat.bmp"), decoder="movenet")
    table = (models / "movenet_single_pose_lightning_ptq_reference.csv").read_text()
    reference = list(csv.DictReader(table.splitlines()))
    off = [
        max(abs(point.x - float(row["keypoint_x"])), abs(point.y - float(row["keypoint_y"])))
        for point, row in zip(found.keypoints, reference, strict=True)
    ]
    assert max(off) <= MOVENET_WITHIN, f"a plain loop gives 0.030, this {max(off):.3f}"
    assert found.keypoints[0].name == "nose"
    assert found.keypoints[16].name == "right_ankle"
    nose, ankle = found.keypoints[0], found.keypoints[16]
    assert nose.y < ankle.y


# DeepLab


@pytest.fixture(scope="module")
def deeplab_file(assets: Path) -> Path:
    return assets / "models" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"


@pytest.fixture(scope="module")
def pascal(assets: Path) -> Labels:
    return parse_labels((assets / "models" / "pascal_voc_segmentation_labels.txt").read_bytes(), 0)


def unpacked(mask: Any) -> NDArray[np.bool_]:
    values = [number % 2 for number, count in enumerate(mask.counts) for _ in range(count)]
    return np.array(values, bool).reshape(mask.width, mask.height).T


def test_deeplab_finds_the_bird(deeplab_file: Path, pascal: Labels, picture: Picture) -> None:
    found = Engine(deeplab_file, MEAN_128, pascal)(picture("bird_segmentation.bmp"), decoder="deeplab")
    bird = next(each for each in found if each.label == "bird")
    assert bird is found[0], "the bird is the largest"
    drawn = cv2.imread(str(picture("bird_segmentation_mask.bmp")), cv2.IMREAD_UNCHANGED) == 3
    mask = unpacked(bird.mask)
    assert mask.shape == drawn.shape
    assert (mask & drawn).sum() / (mask | drawn).sum() >= DEEPLAB_IOU
    assert bird.area == pytest.approx(mask.mean())
    rows, columns = np.nonzero(drawn)
    expected = columns.min() / 513, rows.min() / 513, (columns.max() + 1) / 513, (rows.max() + 1) / 513
    assert overlap((bird.box.xmin, bird.box.ymin, bird.box.xmax, bird.box.ymax), expected) > 0.9


@pytest.mark.parametrize(("name", "side"), [("ResizeBilinear_2", 513), ("ResizeBilinear_1", 33)])
def test_its_logits_give_the_same_as_its_arg_max(
    deeplab_file: Path, pascal: Labels, picture: Picture, tmp_path: Path, name: str, side: int
) -> None:
    """Before the last resize they are coarse: a cell is 16 pixels wide."""
    path = picture("bird_segmentation.bmp")
    whole = Engine(deeplab_file, MEAN_128, pascal)(path, decoder="deeplab")
    engine = Engine(cut(deeplab_file, tmp_path / "logits.tflite", [name]), MEAN_128, pascal)
    assert engine.outputs[0].shape == (1, side, side, 21)
    found = engine(path, decoder="deeplab")
    if side == 513:
        assert found == whole
    else:
        assert found[0].label == "bird"
        assert found[0].area == pytest.approx(whole[0].area, rel=0.05)
        assert found[0].box.iou(whole[0].box) > 0.85
