"""mAP, against COCOeval's own sum and against a plain loop over ranked detections."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from visiond.detection import Box
from visiond.modelkit.evaluation.average_precision import mean_average_precision

SIDE = 100


def scene(seed: int, pictures: int = 6, classes: int = 3) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Objects, and what a mediocre detector makes of them: moved, missed, doubled, and of the wrong class."""
    rng = np.random.default_rng(seed)
    annotations, found = [], []
    for image_id in range(1, pictures + 1):
        for _ in range(int(rng.integers(0, 5))):
            x, y, width, height = (float(each) for each in (*rng.uniform(0, 60, 2), *rng.uniform(8, 40, 2)))
            category = int(rng.integers(0, classes))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "iscrowd": int(rng.random() < 0.1),
                }
            )
            for _ in range(int(rng.integers(0, 3))):
                moved = [x + rng.normal(0, 3), y + rng.normal(0, 3), width * rng.uniform(0.8, 1.2), height]
                named = category if rng.random() < 0.8 else int(rng.integers(0, classes))
                score = float(np.round(rng.random(), 1))  # ties
                found.append({"image_id": image_id, "category_id": named, "bbox": moved, "score": score})
    truth = {
        "images": [{"id": each, "width": SIDE, "height": SIDE} for each in range(1, pictures + 1)],
        "annotations": annotations,
        "categories": [{"id": each, "name": str(each)} for each in range(classes)],
    }
    return truth, found


@given(st.integers(0, 10_000))
def test_it_is_cocoevals_own_number(seed: int) -> None:
    truth, found = scene(seed)
    real = [each for each in truth["annotations"] if not each["iscrowd"]]
    if not real or not found:
        return
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(each) for each in found]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = mean_average_precision(truth, found, resamples=0)
    assert ours["mAP@0.5:0.95"].value == pytest.approx(evaluation.stats[0], abs=1e-9)
    assert ours["mAP@0.5"].value == pytest.approx(evaluation.stats[1], abs=1e-9)


def plain_average_precision(truth: dict[str, Any], found: list[dict[str, Any]], category: int) -> float:
    """At IoU 0.5: rank, match greedily, and read the best precision at or beyond each of 101 recalls."""
    left = {
        (image["id"], n): Box(x, y, x + w, y + h)
        for image in truth["images"]
        for n, (x, y, w, h) in enumerate(
            each["bbox"]
            for each in truth["annotations"]
            if each["image_id"] == image["id"] and each["category_id"] == category
        )
    }
    objects = len(left)
    hits: list[bool] = []
    for each in sorted((row for row in found if row["category_id"] == category), key=lambda row: -row["score"]):
        x, y, w, h = each["bbox"]
        near = [(Box(x, y, x + w, y + h).iou(box), key) for key, box in left.items() if key[0] == each["image_id"]]
        best = max(near, default=(0.0, (0, 0)))
        hits.append(best[0] >= 0.5)
        if hits[-1]:
            del left[best[1]]
    curve = [(sum(hits[: n + 1]) / objects, sum(hits[: n + 1]) / (n + 1)) for n in range(len(hits))]
    readings = [max((p for r, p in curve if r >= recall / 100 - 1e-12), default=0.0) for recall in range(101)]
    return sum(readings) / 101


@pytest.mark.parametrize("seed", range(8))
def test_it_is_what_a_plain_loop_gives(seed: int) -> None:
    truth, found = scene(seed, pictures=12)
    for number, each in enumerate(found):
        each["score"] -= number * 1e-4  # no ties: their order is the library's
    for each in truth["annotations"]:
        each["iscrowd"] = 0
    present = sorted({each["category_id"] for each in truth["annotations"]})
    expected = sum(plain_average_precision(truth, found, each) for each in present) / len(present)
    assert mean_average_precision(truth, found, resamples=0)["mAP@0.5"].value == pytest.approx(expected, abs=1e-9)


def test_the_interval_holds_the_value_and_narrows_with_pictures() -> None:
    few, many = (mean_average_precision(*scene(3, pictures=count))["mAP@0.5"] for count in (10, 160))
    assert few.low < few.value < few.high
    assert many.high - many.low < (few.high - few.low) / 2


def test_nothing_found_is_worth_nothing() -> None:
    truth, _ = scene(3)
    assert mean_average_precision(truth, [])["mAP@0.5"].value == 0.0
