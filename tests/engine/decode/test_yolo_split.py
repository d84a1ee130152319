"""SplitHeads against a slow, obvious reference in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.detection import Box
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput
from visiond.engine.decode.yolo_split import BINS, SplitHeads
from visiond.engine.geometry import Geometry, fit
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import parse_labels

INPUT = (64, 32)  # width, height
CELLS = [(x, y, stride) for stride in (8, 16) for y in range(32 // stride) for x in range(64 // stride)]
LABELS = parse_labels(b"ball\ncube\nstar\n", 0, "labels.txt")


def infos(dtype: str = "int8", scores: float = 0.1, boxes: float = 0.2) -> tuple[TensorInfo, TensorInfo]:
    kind = np.dtype(dtype)
    quantized = kind.kind == "i"
    return (
        TensorInfo(7, "scores", (1, len(CELLS), 3), kind, Quantization(scores, 20) if quantized else None),
        TensorInfo(9, "boxes", (1, len(CELLS), 4 * BINS), kind, Quantization(boxes, -5) if quantized else None),
    )


def settings_of(min_score: float = 0.3, max_objects: int = 100, iou_threshold: float = 0.5) -> DecodeSettings:
    return DecodeSettings(LABELS, min_score, max_objects, INPUT, iou_threshold)


Found = tuple[int, float, tuple[float, float, float, float]]


def reference(logits: NDArray[Any], distances: NDArray[Any], min_score: float, iou_threshold: float) -> list[Found]:
    """Cell by cell, in plain Python: best class, expectation of each distance, then greedy suppression by class."""
    candidates: list[Found] = []
    for (x, y, stride), row, bins in zip(CELLS, logits, distances, strict=True):
        class_id = int(np.argmax(row))
        score = 1 / (1 + math.exp(-row[class_id]))
        if score < min_score:
            continue
        sides = []
        for side in range(4):
            values = bins[side * BINS : (side + 1) * BINS]
            part = [math.exp(value - max(values)) for value in values]
            sides.append(stride * sum(weight * bin_ for bin_, weight in enumerate(part)) / sum(part))
        centre_x, centre_y = (x + 0.5) * stride, (y + 0.5) * stride
        corners = (centre_x - sides[0], centre_y - sides[1], centre_x + sides[2], centre_y + sides[3])
        candidates.append((class_id, score, corners))
    kept: list[Found] = []
    for candidate in sorted(candidates, key=lambda each: -each[1]):
        if all(other[0] != candidate[0] or overlap(other[2], candidate[2]) <= iou_threshold for other in kept):
            kept.append(candidate)
    return kept


def overlap(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["int8", "int16", "float32"]))
@settings(max_examples=60, deadline=None)
def test_random_heads_decode_to_what_the_reference_finds(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    described = infos(dtype)
    if dtype == "float32":
        raw = [rng.normal(-3, 3, info.shape).astype(np.float32) for info in described]
        real = [each[0].astype(np.float64) for each in raw]
    else:
        raw = [rng.integers(-100, 60, info.shape).astype(dtype) for info in described]
        real = []
        for each, info in zip(raw, described, strict=True):
            assert info.quantization is not None
            real.append((each[0].astype(np.float64) - info.quantization.zero_point) * info.quantization.scale)
    # Suppression at exactly the threshold may fall either way; random overlaps do not meet it.
    expected = reference(real[0], real[1], min_score=0.3001, iou_threshold=0.5)
    found = SplitHeads(described, None, settings_of(min_score=0.3001, max_objects=1000))(raw, Geometry())
    inside = [each for each in expected if in_frame(each[2]).area > 0]
    assert len(found) == len(inside)
    for detection in found:  # equal scores may come in another order
        alike = [each for each in inside if each[0] == detection.class_id and abs(each[1] - detection.score) < 1e-5]
        match = max(alike, key=lambda each: in_frame(each[2]).iou(detection.box))
        assert detection.box.iou(in_frame(match[2])) > 0.999
    assert [detection.score for detection in found] == sorted((d.score for d in found), reverse=True)


def in_frame(corners: tuple[float, float, float, float]) -> Box:
    width, height = INPUT
    return Box.clamped(corners[0] / width, corners[1] / height, corners[2] / width, corners[3] / height)


def one_object(cell: int = 9, class_id: int = 1, bins: int = 1) -> list[NDArray[np.float32]]:
    """Float heads with a single sure object whose four sides lie `bins` strides from the cell's centre."""
    scores = np.full((1, len(CELLS), 3), -10, np.float32)
    scores[0, cell, class_id] = 4
    boxes = np.full((1, len(CELLS), 4 * BINS), -30, np.float32)
    boxes.reshape(-1, 4, BINS)[:, :, bins] = 30
    return [scores, boxes]


def test_a_letterbox_is_taken_off_the_box() -> None:
    """A 64×64 frame in a 64×32 tensor is 32 wide, with 16 columns of padding at each side."""
    geometry = fit("letterbox", (64, 64), INPUT, None).geometry
    (found,) = SplitHeads(infos("float32"), None, settings_of())(one_object(), geometry)
    x, y, stride = CELLS[9]
    centre_x, centre_y = (x + 0.5) * stride, (y + 0.5) * stride
    expected = Box.clamped(
        (centre_x - stride - 16) / 32, (centre_y - stride) / 32, (centre_x + stride - 16) / 32, (centre_y + stride) / 32
    )
    assert (found.label, found.class_id) == ("cube", 1)
    assert found.box.iou(expected) > 0.999


def test_heads_are_told_apart_by_shape_in_either_order_or_by_roles() -> None:
    scores, boxes = one_object()
    forward = SplitHeads(infos("float32"), None, settings_of())([scores, boxes], Geometry())
    reverse = SplitHeads(infos("float32")[::-1], None, settings_of())([boxes, scores], Geometry())
    by_roles = SplitHeads(infos("float32"), {"scores": 0, "boxes": 1}, settings_of())([scores, boxes], Geometry())
    assert forward == reverse == by_roles


def test_at_most_max_objects_come_out_the_best_ones() -> None:
    scores, boxes = one_object()
    scores[0, :, 0] = np.linspace(0, 5, len(CELLS))
    decode = SplitHeads(infos("float32"), None, settings_of(max_objects=2, iou_threshold=0.99))
    found = decode([scores, boxes], Geometry())
    assert len(found) == 2
    assert found[0].score == pytest.approx(1 / (1 + math.exp(-5)), abs=1e-5)


def test_fault_31_nan_in_a_head_is_an_invalid_output() -> None:
    scores, boxes = one_object()
    scores[0, 0, 0] = np.nan
    with pytest.raises(InvalidOutput, match="1 of 120 class logits"):
        SplitHeads(infos("float32"), None, settings_of())([scores, boxes], Geometry())
    scores, boxes = one_object()
    boxes[0, 9, 0] = np.nan
    with pytest.raises(InvalidOutput, match="box distances"):
        SplitHeads(infos("float32"), None, settings_of())([scores, boxes], Geometry())


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ([(1, 40, 3)], "has two outputs"),
        ([(1, 40, 64), (1, 40, 64)], "output.roles"),
        ([(1, 40, 3), (1, 39, 64)], "expected scores"),
        ([(1, 40, 3), (1, 40, 60)], "expected scores"),
        ([(1, 39, 3), (1, 39, 64)], "39 cells"),
    ],
)
def test_other_outputs_are_refused_in_words(shapes: list[tuple[int, ...]], words: str) -> None:
    outputs = [TensorInfo(n, f"o{n}", shape, np.dtype("float32"), None) for n, shape in enumerate(shapes)]
    with pytest.raises(ModelError, match=words):
        SplitHeads(outputs, None, settings_of())
