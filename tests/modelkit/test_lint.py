"""Lints of whole packages: on the real files where there are any with the fault, else on written ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetpu_writer import compiled
from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.modelkit.package import Package, load_package

PIXELS = {"mean": [0.0] * 3, "std": [255.0] * 3}
PICTURE = Tensor("picture", [1, 4, 4, 3], "uint8", (1 / 255, 0))
CELLS = 21  # of grids with strides 8, 16 and 32 over 32 x 32


def package(folder: Path, files: dict[str, Path], task: str, decoder: str, **sections: Any) -> Package:
    folder.mkdir(exist_ok=True)
    for key, path in files.items():
        (folder / f"{key}.tflite").unlink(missing_ok=True)
        (folder / f"{key}.tflite").symlink_to(path)
    labels = sections.pop("labels", None)
    if labels is not None:
        (folder / "labels.txt").write_text("".join(f"{name}\n" for name in labels))
        sections["labels"] = {"path": "labels.txt", **sections.pop("label_keys", {})}
    manifest = {
        "name": "m",
        "task": task,
        "files": {key: {"path": f"{key}.tflite"} for key in files},
        "input": PIXELS,
        "output": {"decoder": decoder, **sections.pop("output", {})},
        **sections,
    }
    (folder / "model.yaml").write_text(json.dumps(manifest))
    return load_package(folder)


def classifier(tmp_path: Path, classes: int = 10, **sections: Any) -> Package:
    scores = Tensor("scores", [1, classes], "uint8", (1 / 256, 0))
    hidden = np.zeros(1, np.uint8)
    tensors = [PICTURE, scores, Tensor("w", [1], "uint8", constant=hidden)]
    path = Graph(tensors, [0], [1], [Operator("FULLY_CONNECTED", [0, 2], [1])]).write(tmp_path / "classifier.tflite")
    return package(tmp_path / "package", {"cpu": path}, "classification", "scores", **sections)


def detector(tmp_path: Path, shape: list[int], scale: float | None, side: int = 32, **sections: Any) -> Package:
    picture = Tensor("picture", [1, side, side, 3], "uint8", (1 / 255, 0))
    cells = Tensor("cells", shape, "float32" if scale is None else "uint8", None if scale is None else (scale, 0))
    path = Graph([picture, cells], [0], [1], [Operator("CUSTOMARY", [0], [1])]).write(tmp_path / "detector.tflite")
    return package(tmp_path / "package", {"cpu": path}, "detection", sections.pop("decoder", "yolov8"), **sections)


def only(found: Package) -> str:
    (text,) = found.remark_lines()
    assert text.startswith(f"{found.folder / 'model.yaml'}:1:")
    assert "; " in text  # behind it stands what to do
    return text


@pytest.fixture
def models(assets: Path) -> Path:
    return assets / "models"


@pytest.mark.assets
def test_the_real_yolov8n_is_badly_calibrated_and_coarse(models: Path, tmp_path: Path) -> None:
    files = {
        "cpu": models / "yolov8n_full_integer_quant.tflite",
        "edgetpu": models / "yolov8n_full_integer_quant_edgetpu.tflite",
    }
    found = package(tmp_path / "p", files, "detection", "yolov8", labels=[f"c{n}" for n in range(80)])
    calibration, scale = found.remark_lines()
    assert ": input.std: input 'serving_default_images:0' is calibrated for" in calibration
    assert "55 of 256 levels are used; " in calibration
    assert "steps of 2.6 of the input's 640 pixels, and scores in steps of 0.004; " in scale


@pytest.mark.assets
@pytest.mark.parametrize(("lines", "said"), [(79, "give offset: -1"), (81, "give offset: 1"), (70, "the last 10 have")])
def test_labels_of_the_real_yolov8n_are_counted(models: Path, tmp_path: Path, lines: int, said: str) -> None:
    files = {"cpu": models / "yolov8n_full_integer_quant.tflite"}
    found = package(tmp_path / "p", files, "detection", "yolov8", labels=[f"c{n}" for n in range(lines)])
    text = found.remark_lines()[-1]
    assert f"names {lines} classes with offset 0, and the model has 80" in text
    assert said in text


@pytest.mark.assets
def test_real_models_with_their_right_packages_are_not_remarked_on(models: Path, tmp_path: Path) -> None:
    imagenet = (models / "imagenet_labels.txt").read_text().splitlines()
    coco = (models / "coco_ssd_mobilenet_v1_labels.txt").read_text().splitlines()
    recipe = {"mean": [128.0] * 3, "std": [128.0] * 3}
    twins = {
        "cpu": models / "mobilenet_v1_0.25_128_quant.tflite",
        "edgetpu": models / "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
    }
    ssd = {"cpu": models / "coco_ssd_mobilenet_v1_1.0_quant.tflite"}
    offset = {"offset": 1}
    movenet = {"cpu": models / "movenet_single_pose_lightning_ptq.tflite"}
    raw = {"mean": [0.0] * 3, "std": [1.0] * 3}
    for found in (
        package(tmp_path / "a", twins, "classification", "scores", labels=imagenet, input=recipe),
        package(tmp_path / "b", ssd, "detection", "ssd_postprocess", labels=coco, input=recipe, label_keys=offset),
        package(tmp_path / "c", movenet, "pose", "movenet", input=raw),
    ):
        assert found.remarks == ()


@pytest.mark.assets
def test_the_real_label_file_of_deeplab_holds_more_than_labels(models: Path, tmp_path: Path) -> None:
    """Its publisher's own: 21 names, an empty line, and a sentence of two lines."""
    files = {"cpu": models / "deeplabv3_mnv2_dm05_pascal_quant.tflite"}
    labels = (models / "pascal_voc_segmentation_labels.txt").read_text().splitlines()
    recipe = {"mean": [127.5] * 3, "std": [127.5] * 3}
    found = package(tmp_path / "p", files, "segmentation", "deeplab", labels=labels, input=recipe)
    assert "names 24 classes with offset 0, and the model has 21: 3 names are never used; " in only(found)
    assert package(tmp_path / "p", files, "segmentation", "deeplab", labels=labels[:21], input=recipe).remarks == ()


@pytest.mark.assets
def test_a_real_twin_of_another_model_disagrees(models: Path, tmp_path: Path) -> None:
    files = {
        "cpu": models / "mobilenet_v2_1.0_224_quant.tflite",
        "edgetpu": models / "mobilenet_v1_0.25_128_quant_edgetpu.tflite",
    }
    recipe = {"mean": [128.0] * 3, "std": [128.0] * 3}
    text = only(package(tmp_path / "p", files, "classification", "scores", input=recipe))
    assert "input 0 is [1, 128, 128, 3], of files.cpu [1, 224, 224, 3]; edgetpu_compiler" in text


@pytest.mark.assets
def test_a_real_compiled_file_without_a_twin_is_remarked_on(models: Path, tmp_path: Path) -> None:
    files = {"edgetpu": models / "mobilenet_v1_0.25_128_quant_edgetpu.tflite"}
    recipe = {"mean": [128.0] * 3, "std": [128.0] * 3}
    text = only(package(tmp_path / "p", files, "classification", "scores", input=recipe))
    assert ": files.edgetpu: has no twin for the CPU" in text


def test_boxes_in_pixels_leave_the_scores_no_levels(tmp_path: Path) -> None:
    text = only(detector(tmp_path, [1, 6, CELLS], 640 / 255))
    assert "has one scale, 2.51, for boxes and for scores, and reaches 640: boxes in pixels" in text
    assert "leave 0.4 levels between the scores 0 and 1, and the decoder refuses them; export" in text


def test_a_scale_that_boxes_and_scores_share_is_worth_a_remark_where_it_is_coarse(tmp_path: Path) -> None:
    assert "steps of 1.3 of the input's 320 pixels" in only(detector(tmp_path, [1, 6, CELLS], 1 / 255, side=320))
    assert detector(tmp_path, [1, 6, CELLS], 1 / 255, side=192).remarks == ()
    assert detector(tmp_path, [1, 6, CELLS], None, side=640).remarks == ()  # float: there is no scale


@pytest.mark.parametrize(
    ("decoder", "shape", "classes"),
    [
        ("yolov8", [1, 6, CELLS], 2),
        ("yolov8", [1, CELLS, 7], 3),
        ("yolov5", [1, 63, 7], 2),
        ("yolov8", [1, 300, 6], None),  # end to end: the number of classes does not show
    ],
)
def test_labels_are_counted_against_the_outputs_of_a_yolo(
    tmp_path: Path, decoder: str, shape: list[int], classes: int | None
) -> None:
    found = detector(tmp_path, shape, None, decoder=decoder, labels=["a"] * 9)
    if classes is None:
        assert found.remarks == ()
    else:
        assert f"names 9 classes with offset 0, and the model has {classes}: {9 - classes} names" in only(found)


def test_labels_are_counted_against_split_heads_and_raw_ssd(tmp_path: Path) -> None:
    picture = Tensor("picture", [1, 32, 32, 3], "float32")
    for decoder, scores, boxes, classes in (
        ("yolov8", [1, CELLS, 5], [1, CELLS, 64], 5),
        ("ssd_raw", [1, 100, 8], [1, 100, 4], 7),
    ):
        tensors = [picture, Tensor("scores", scores, "float32"), Tensor("boxes", boxes, "float32")]
        path = Graph(tensors, [0], [1, 2], [Operator("HEADS", [0], [1, 2])]).write(tmp_path / f"{decoder}.tflite")
        found = package(tmp_path / "p", {"cpu": path}, "detection", decoder, labels=["a"] * 9)
        assert f"and the model has {classes}: {9 - classes} names are never used" in only(found)


def test_a_role_for_an_output_that_the_file_does_not_have(tmp_path: Path) -> None:
    text = only(classifier(tmp_path, output={"roles": {"scores": 1}}))
    assert "output.roles: says that scores is output 1, and the file has 1, counted from 0: it will not be load" in text
    assert classifier(tmp_path, output={"roles": {"scores": 0}}).remarks == ()


def test_labels_that_are_one_off_may_be_a_wrong_offset(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(11)]
    text = only(classifier(tmp_path, labels=names))
    assert "labels.offset: names 11 classes with offset 0" in text
    assert "give offset: 1 if so, or the label file of this model if this one is another's, or has a line too" in text
    assert text.endswith("a line too many")
    assert only(classifier(tmp_path, labels=names[:9])).endswith("a line too few")
    assert classifier(tmp_path, labels=names, label_keys={"offset": 1}).remarks == ()
    assert classifier(tmp_path, labels=names[:10]).remarks == ()
    assert classifier(tmp_path).remarks == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": Tensor("scores", [1, 10], "uint8", (1 / 128, 0))}, "output 0 has scale 0.0078125 and zero point 0"),
        ({"scores": Tensor("scores", [1, 10], "uint8", (1 / 256, 3))}, "zero point 3, of files.cpu scale 0.00390625"),
        ({"scores": Tensor("scores", [1, 10], "int8", (1 / 256, 0))}, "output 0 is int8, of files.cpu uint8"),
        ({"scores": Tensor("scores", [1, 10], "uint8")}, "output 0 has no scale, of files.cpu scale 0.00390625"),
        ({"scores": Tensor("scores", [1, 9], "uint8", (1 / 256, 0))}, "output 0 is [1, 9], of files.cpu [1, 10]"),
        ({"picture": Tensor("picture", [1, 4, 4, 3], "uint8", (1 / 128, 128))}, "input 0 has scale 0.0078125"),
        ({}, None),
    ],
)
def test_twins_are_compared_tensor_by_tensor(tmp_path: Path, change: dict[str, Tensor], said: str | None) -> None:
    tensors = {"picture": PICTURE, "scores": Tensor("scores", [1, 10], "uint8", (1 / 256, 0))}
    cpu = Graph([*tensors.values()], [0], [1], [Operator("RESHAPE", [0], [1])]).write(tmp_path / "cpu.tflite")
    tpu = compiled(10, 0, [*(tensors | change).values()]).write(tmp_path / "tpu.tflite")
    found = package(tmp_path / "p", {"cpu": cpu, "edgetpu": tpu}, "classification", "scores")
    if said is None:
        assert found.remarks == ()
    else:
        assert said in only(found)


def test_twins_with_another_number_of_outputs_are_told_apart(tmp_path: Path) -> None:
    scores, more = Tensor("scores", [1, 10], "uint8", (1 / 256, 0)), Tensor("more", [1, 10], "uint8", (1 / 256, 0))
    cpu = Graph([PICTURE, scores, more], [0], [1, 2], [Operator("RESHAPE", [0], [1])]).write(tmp_path / "cpu.tflite")
    tpu = compiled(10, 0, [PICTURE, scores]).write(tmp_path / "tpu.tflite")
    found = package(tmp_path / "p", {"cpu": cpu, "edgetpu": tpu}, "classification", "scores")
    assert "is not the twin of files.cpu: 1 outputs, files.cpu 2; " in only(found)


@pytest.mark.parametrize(
    ("cached", "streamed", "said"),
    [
        (7_000_000, 3_000_000, "has 10.0 MB of parameters, and the chip holds 8.4 MB with all else: 3.0 MB cross USB"),
        (1_000_000, 1_000_000, "1.0 MB cross USB for each picture, at least 2 ms with USB 3 and 17 ms with USB 2; "),
        (7_000_000, 3000, None),  # the compiler streams a little of most models
    ],
)
def test_parameters_that_do_not_fit_the_chip_are_counted(
    tmp_path: Path, cached: int, streamed: int, said: str | None
) -> None:
    tensors = [PICTURE, Tensor("scores", [1, 10], "uint8", (1 / 256, 0))]
    cpu = reshape(*tensors).write(tmp_path / "cpu.tflite")
    tpu = compiled(cached, streamed, tensors).write(tmp_path / "tpu.tflite")
    found = package(tmp_path / "p", {"cpu": cpu, "edgetpu": tpu}, "classification", "scores")
    if said is None:
        assert found.remarks == ()
    else:
        assert said in only(found)


def test_a_damaged_file_is_a_remark_and_no_exception(tmp_path: Path) -> None:
    (tmp_path / "cut.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(100))
    text = only(package(tmp_path / "p", {"cpu": tmp_path / "cut.tflite"}, "classification", "scores"))
    assert "is a damaged TFLite model" in text
    assert "copy or convert it again" in text


def test_the_models_that_the_project_ships_are_not_remarked_on(root: Path) -> None:
    for manifest in (root / "models").glob("*/model.yaml"):
        assert load_package(manifest.parent).remarks == ()
