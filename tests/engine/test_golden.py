"""Golden examples, with a classifier that needs no training: the brightest quarter of a picture is its class."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from tflite_writer import Graph, Operator, Tensor, reshape
from visiond.engine.golden import prove
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.messages import GoldenReport
from visiond.modelkit.package import load_package

QUARTERS = reshape(Tensor("picture", [1, 2, 2, 1]), Tensor("scores", [1, 4], "uint8", (1 / 256, 0)))
INPUT = {"color": "gray", "mean": [0], "std": [1], "interpolation": "nearest"}


def prove_package(folder: Path, graph: Graph, golden: list[dict[str, Any]], **keys: Any) -> GoldenReport:
    graph.write(folder / "model.tflite")
    (folder / "labels.txt").write_text("top left\ntop right\nbottom left\nbottom right\n")
    manifest = {
        "name": "quarters",
        "task": "classification",
        "files": {"cpu": {"path": "model.tflite"}},
        "labels": {"path": "labels.txt"},
        "input": INPUT,
        "output": {"decoder": "scores"},
        "golden": golden,
        **keys,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(manifest))
    package = load_package(folder)
    interpreter = open_interpreter(package.file("cpu"), threads=1)
    return prove(package, interpreter, Preprocessor(package.input, interpreter.input))


def draw(path: Path, quarters: list[int]) -> None:
    """A picture of four grey quarters."""
    cv2.imwrite(str(path), np.array(quarters, np.uint8).reshape(2, 2).repeat(8, axis=0).repeat(8, axis=1))


def example(label: str, min_score: float, image: str = "picture.png", **keys: Any) -> dict[str, Any]:
    return {"image": image, "expect": [{"label": label, "min_score": min_score, **keys}]}


def test_an_example_that_is_reproduced(tmp_path: Path) -> None:
    draw(tmp_path / "picture.png", [0, 10, 192, 10])
    report = prove_package(tmp_path, QUARTERS, [example("bottom left", 0.75)])
    assert report == GoldenReport(passed=1, failed=0)


def test_no_examples(tmp_path: Path) -> None:
    assert prove_package(tmp_path, QUARTERS, []) == GoldenReport(0, 0)


def test_each_failure_is_a_sentence_with_the_numbers(tmp_path: Path) -> None:
    draw(tmp_path / "picture.png", [0, 10, 192, 10])
    report = prove_package(
        tmp_path, QUARTERS, [example("bottom left", 0.8), example("bottom left", 0.75), example("top left", 0.1)]
    )
    assert report == GoldenReport(
        passed=1,
        failed=2,
        failures=(
            "picture.png: expected bottom left ≥ 0.80; best bottom left 0.75",
            "picture.png: expected top left ≥ 0.10; no top left; best is bottom left 0.75",
        ),
    )


def test_every_expectation_of_a_picture_counts_but_the_picture_only_once(tmp_path: Path) -> None:
    draw(tmp_path / "picture.png", [0, 10, 192, 10])
    expect = [{"label": "bottom left", "min_score": 0.9}, {"label": "top right", "min_score": 0.5}]
    report = prove_package(tmp_path, QUARTERS, [{"image": "picture.png", "expect": expect}])
    assert (report.passed, report.failed, len(report.failures)) == (0, 1, 2)
    assert report.failures[1] == "picture.png: expected top right ≥ 0.50; best top right 0.04"


def test_a_black_picture_in_which_nothing_is_found(tmp_path: Path) -> None:
    draw(tmp_path / "picture.png", [0, 0, 0, 0])
    report = prove_package(tmp_path, QUARTERS, [example("top left", 0.1)])
    assert report.failures == ("picture.png: expected top left ≥ 0.10; nothing found",)


@pytest.mark.parametrize("content", [None, b"", b"no picture"])
def test_a_picture_that_cannot_be_read_is_a_failure_and_no_exception(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "gone.png").write_bytes(content)
    report = prove_package(tmp_path, QUARTERS, [example("top left", 0.1, "gone.png")])
    assert report == GoldenReport(
        0, 1, (f"gone.png: not there, or no picture that can be read; put it into {tmp_path}",)
    )


def test_fault_31_a_model_whose_output_makes_no_sense_fails_its_examples(tmp_path: Path) -> None:
    draw(tmp_path / "picture.png", [255, 1, 1, 1])
    graph = Graph(
        [Tensor("picture", [1, 2, 2, 1], "float32"), Tensor("scores", [1, 4], "float32"), *QUARTERS.tensors[2:]],
        [0],
        [1],
        [Operator("RESHAPE", [0, 2], [1])],
    )
    report = prove_package(tmp_path, graph, [example("top left", 0.1)])
    assert report.failures == (
        "picture.png: no result: scores run from 0 to 255, not from 0 to 1; these look like logits: "
        "set output.activation to softmax, or to sigmoid where several classes may hold at once",
    )


CELLS = reshape(Tensor("picture", [1, 4, 4, 1]), Tensor("classes", [1, 4, 4], "uint8"))
SEGMENTS = {"task": "segmentation", "output": {"decoder": "deeplab"}}


@pytest.mark.parametrize(
    ("expected", "failures"),
    [
        ({"label": "top right"}, ()),
        ({"label": "top right", "mask": "mask.png", "iou": 0.99}, ()),
        ({"label": "top right", "box": [0, 0, 0.5, 1], "iou": 0.9}, ()),
        ({"label": "bottom left"}, ("expected bottom left; no bottom left; best is top right 50% of the picture",)),
        (
            {"label": "top right", "box": [0, 0, 1, 1], "iou": 0.9},
            (
                "expected top right at 0.00, 0.00, 1.00, 1.00 with IoU ≥ 0.90; "
                "nearest top right 50% of the picture, IoU 0.50",
            ),
        ),
        (
            {"label": "top right", "mask": "half.png", "iou": 0.9},
            ("expected the mask of top right with IoU ≥ 0.90; it has 0.50",),
        ),
        (
            {"label": "top right", "mask": "gone.png"},
            ("gone.png: not there, or no picture that can be read; put it into FOLDER",),
        ),
    ],
)
def test_a_segment_has_to_be_there_and_where_it_was_drawn(
    tmp_path: Path, expected: dict[str, Any], failures: tuple[str, ...]
) -> None:
    """The picture's upper half has the brightness 1, which is the class "top right"."""
    cells = np.array([[1] * 4] * 2 + [[0] * 4] * 2, np.uint8)
    cv2.imwrite(str(tmp_path / "picture.png"), cells.repeat(8, axis=0).repeat(8, axis=1))
    cv2.imwrite(str(tmp_path / "mask.png"), (cells * 255).repeat(16, axis=0).repeat(16, axis=1))
    cv2.imwrite(str(tmp_path / "half.png"), (cells * [255, 255, 0, 0]).astype(np.uint8))
    report = prove_package(tmp_path, CELLS, [{"image": "picture.png", "expect": [expected]}], **SEGMENTS)
    assert report.failures == tuple(f"picture.png: {text.replace('FOLDER', str(tmp_path))}" for text in failures)


POSE = reshape(Tensor("picture", [1, 17, 3, 1]), Tensor("keypoints", [1, 1, 17, 3], "uint8", (1 / 255, 0)))


@pytest.mark.parametrize(
    ("keys", "failures"),
    [
        ({"keypoints": {"nose": [0.2, 0.4]}}, ()),
        ({"keypoints": {"nose": [0.2, 0.44], "right_ankle": [0.2, 0.4]}, "within": 0.05}, ()),
        (
            {"keypoints": {"nose": [0.2, 0.5]}},
            ("expected nose of top left at 0.20, 0.50 within 0.05; it is at 0.20, 0.40, off by 0.10",),
        ),
        (
            {"keypoints": {"tail": [0.2, 0.4]}},
            ("top left has no keypoint tail; it has nose, left_eye,",),
        ),
        ({"min_score": 0.9}, ("expected top left ≥ 0.90; best top left 0.80",)),
    ],
)
def test_the_keypoints_of_a_pose_have_to_be_where_they_are_expected(
    tmp_path: Path, keys: dict[str, Any], failures: tuple[str, ...]
) -> None:
    """The picture's rows are y, x and score of the keypoints: all at 0.2, 0.4 with a score of 0.8."""
    cv2.imwrite(str(tmp_path / "picture.png"), np.array([[51, 102, 204]] * 17, np.uint8))
    expected = {"label": "top left", "min_score": 0.5, **keys}
    golden = [{"image": "picture.png", "expect": [expected]}]
    report = prove_package(tmp_path, POSE, golden, task="pose", output={"decoder": "movenet"})
    assert len(report.failures) == len(failures)
    for failure, text in zip(report.failures, failures, strict=True):
        assert failure.startswith(f"picture.png: {text}")


COCO_SSD = {
    "task": "detection",
    "labels": {"path": "coco.txt", "offset": 1},
    "input": {"mean": [128] * 3, "std": [128] * 3},
    "output": {"decoder": "ssd_postprocess"},
}


def prove_coco_ssd(folder: Path, assets: Path, expected: dict[str, Any]) -> GoldenReport:
    (folder / "cat.jpg").symlink_to(assets / "images" / "cat_720p.jpg")
    (folder / "coco.txt").symlink_to(assets / "models" / "coco_ssd_mobilenet_v1_labels.txt")
    (folder / "detect.tflite").symlink_to(assets / "models" / "coco_ssd_mobilenet_v1_1.0_quant.tflite")
    return prove_package(folder, QUARTERS, [expected], files={"cpu": {"path": "detect.tflite"}}, **COCO_SSD)


@pytest.mark.assets
@pytest.mark.parametrize("keys", [{}, {"box": [0.13, 0.07, 0.98, 0.72], "iou": 0.8}])
def test_a_real_detector_reproduces_its_example(tmp_path: Path, assets: Path, keys: dict[str, Any]) -> None:
    assert prove_coco_ssd(tmp_path, assets, example("cat", 0.6, "cat.jpg", **keys)) == GoldenReport(1, 0)


@pytest.mark.assets
@pytest.mark.parametrize(
    ("min_score", "box", "numbers"),
    [
        (0.8, [0.13, 0.07, 0.98, 0.72], r"nearest cat 0\.7\d, IoU 0\.9\d"),
        (0.6, [0.5, 0.5, 1, 1], r"nearest cat 0\.\d\d, IoU 0\.[0-5]\d"),
        (0.6, [0.07, 0.13, 0.72, 0.98], r"nearest cat 0\.7\d, IoU 0\.4\d; it is met by xmin, ymin, xmax, ymax: .*"),
    ],
)
def test_a_real_detector_that_falls_short_says_by_how_much(
    tmp_path: Path, assets: Path, min_score: float, box: list[float], numbers: str
) -> None:
    report = prove_coco_ssd(tmp_path, assets, example("cat", min_score, "cat.jpg", box=box, iou=0.8))
    place = ", ".join(f"{edge:.2f}" for edge in box)
    assert (report.passed, report.failed) == (0, 1)
    wanted = f"cat.jpg: expected cat ≥ {min_score:.2f} at {place} with IoU ≥ 0.80; {numbers}"
    assert re.fullmatch(wanted, report.failures[0])
