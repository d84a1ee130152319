"""PoseNet's raw heads against Coral's algorithm in plain Python, and persons drawn into them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from plain_decoders import EDGES, posenet, real
from tflite_writer import Graph, Operator, Tensor
from visiond.detection import Detection
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.decode.posenet_heads import EDGES as OUR_EDGES
from visiond.engine.geometry import Geometry
from visiond.engine.interpreter import open_interpreter
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import OutputSpec

STRIDE, ROWS, COLUMNS = 16, 9, 13
INPUT = (COLUMNS - 1) * STRIDE + 1, (ROWS - 1) * STRIDE + 1  # 193×129, width and height
NAMES = ("heatmap_2/BiasAdd", "offset_2/BiasAdd", "displacement_fwd_2/BiasAdd", "displacement_bwd_2/BiasAdd")
CHANNELS = (17, 34, 32, 32)


def infos(quantizations: Sequence[Quantization | None] = (None,) * 4) -> list[TensorInfo]:
    return [
        TensorInfo(
            n, name, (1, ROWS, COLUMNS, channels), np.dtype("uint8" if quantization else "float32"), quantization
        )
        for n, (name, channels, quantization) in enumerate(zip(NAMES, CHANNELS, quantizations, strict=True))
    ]


def decoder(outputs: Sequence[TensorInfo], min_score: float = 0.3, max_objects: int = 100, **spec: Any) -> Decoder:
    given_settings = DecodeSettings(Labels(("person",)), min_score, max_objects, INPUT)
    return make_decoder(OutputSpec.model_validate({"decoder": "posenet", **spec}), outputs, given_settings)


def assert_poses(found: Sequence[Detection], expected: Sequence[Any], near: float = 2e-3) -> None:
    assert len(found) == len(expected)
    width, height = INPUT
    for each, (score, points) in zip(found, expected, strict=True):
        assert each.score == pytest.approx(score, abs=near)
        assert each.keypoints is not None
        for point, (y, x, point_score) in zip(each.keypoints, points, strict=True):
            assert (point.x * width, point.y * height) == pytest.approx((x, y), abs=near * width)
            assert point.score == pytest.approx(point_score, abs=near)


def person(centre: tuple[float, float], size: float, seed: int) -> NDArray[np.float64]:
    """(17, 2): y, x in pixels around a centre, in cells that are not those of another keypoint."""
    rng = np.random.default_rng(seed)
    return np.array(centre) + rng.uniform(-size, size, (17, 2))


def heads(persons: Sequence[NDArray[np.float64]], logits: Sequence[float]) -> list[NDArray[np.float32]]:
    """Heads as a perfect network would give them: each cell's offsets lead to the nearest person's keypoints."""
    heatmaps = np.full((ROWS, COLUMNS, 17), -6.0)
    offsets, forward, backward = (np.zeros((ROWS, COLUMNS, channels)) for channels in (34, 32, 32))
    for row in range(ROWS):
        for column in range(COLUMNS):
            here = np.array([row, column]) * STRIDE
            for keypoint in range(17):
                far = [np.hypot(*(each[keypoint] - here)) for each in persons]
                nearest = int(np.argmin(far))
                target = persons[nearest][keypoint]
                if far[nearest] < STRIDE:
                    heatmaps[row, column, keypoint] = logits[nearest] - far[nearest] / STRIDE
                offsets[row, column, [keypoint, 17 + keypoint]] = target - here
            for edge, (head, tail) in enumerate(EDGES):
                for source, target_keypoint, field in ((head, tail, forward), (tail, head, backward)):
                    each = persons[int(np.argmin([np.hypot(*(one[source] - here)) for one in persons]))]
                    field[row, column, [edge, 16 + edge]] = each[target_keypoint] - each[source]
    return [each[None].astype(np.float32) for each in (heatmaps, offsets, forward, backward)]


def test_the_reference_and_the_decoder_know_one_body() -> None:
    assert tuple(EDGES) == OUR_EDGES
    assert sorted({keypoint for edge in EDGES for keypoint in edge}) == list(range(17))


def test_two_persons_are_found_where_they_were_drawn() -> None:
    persons = [person((60, 45), 35, 1), person((70, 145), 35, 2)]
    found = decoder(infos())(heads(persons, [4.0, 2.0]), Geometry())
    assert [each.label for each in found] == ["person", "person"]
    assert found[0].score > found[1].score > 0.5
    for each, drawn in zip(found, persons, strict=True):
        assert each.keypoints is not None
        places = np.array([[point.y * INPUT[1], point.x * INPUT[0]] for point in each.keypoints])
        assert np.abs(places - drawn).max() < 1.5
        assert each.box.ymin == pytest.approx(drawn[:, 0].min() / INPUT[1], abs=0.02)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1))
def test_noise_decodes_to_what_corals_algorithm_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(1, ROWS, COLUMNS, channels) for channels in CHANNELS]
    raw = [
        rng.normal(0, spread, shape).astype(np.float32) for spread, shape in zip((2, 3, 20, 20), shapes, strict=True)
    ]
    expected = posenet(*(each[0].astype(np.float64) for each in raw), STRIDE, 0.45)
    assert_poses(decoder(infos(), min_score=0.45)(raw, Geometry()), expected)


def test_quantized_heads_decode_like_real_ones_in_both_forms() -> None:
    quantizations = [Quantization(0.05, 150), Quantization(1.1, 128), Quantization(1.6, 120), Quantization(1.4, 110)]
    described = infos(quantizations)
    raw = []
    for values, info in zip(
        heads([person((60, 45), 35, 1), person((70, 145), 35, 2)], [4.0, 2.0]), described, strict=True
    ):
        assert info.quantization is not None
        levels = np.round(values / info.quantization.scale) + info.quantization.zero_point
        raw.append(levels.clip(0, 255).astype(np.uint8))
    expected = posenet(*(real(each[0], info) for each, info in zip(raw, described, strict=True)), STRIDE, 0.3)
    assert len(expected) == 2
    assert_poses(decoder(described)(raw, Geometry()), expected)
    merged = [*raw[:2], np.concatenate([raw[2], raw[3]], axis=3)]
    scale = Quantization(1.6, 120)
    together = [*described[:2], TensorInfo(2, "middle", (1, ROWS, COLUMNS, 64), np.dtype("uint8"), scale)]
    parts = [real(each[0], info) for each, info in zip(raw[:2], described, strict=False)]
    middle = real(merged[2][0], together[2])
    assert_poses(
        decoder(together)(merged, Geometry()), posenet(*parts, middle[..., :32], middle[..., 32:], STRIDE, 0.3)
    )


def test_outputs_in_another_order_are_found_by_shape_and_name_or_by_roles() -> None:
    raw = heads([person((60, 45), 35, 1)], [4.0])
    expected = decoder(infos())(raw, Geometry())
    assert decoder(infos()[::-1])(raw[::-1], Geometry()) == expected
    nameless = [TensorInfo(n, f"out{n}", info.shape, info.dtype) for n, info in enumerate(infos())]
    with pytest.raises(ModelError, match=r"give output.roles: {heatmaps"):
        decoder(nameless)
    roles = {"heatmaps": 0, "offsets": 1, "forward": 2, "backward": 3}
    assert decoder(nameless, roles=roles)(raw, Geometry()) == expected


def test_at_most_max_objects_come_out() -> None:
    raw = heads([person((60, 45), 35, 1), person((70, 145), 35, 2)], [4.0, 2.0])
    assert len(decoder(infos(), max_objects=1)(raw, Geometry())) == 1


def test_nobody_is_an_empty_tuple() -> None:
    raw = [np.full((1, ROWS, COLUMNS, channels), -9, np.float32) for channels in CHANNELS]
    assert decoder(infos())(raw, Geometry()) == ()


@pytest.mark.parametrize("position", range(4))
def test_fault_31_what_is_no_number_is_an_invalid_output(position: int) -> None:
    raw = heads([person((60, 45), 35, 1)], [4.0])
    raw[position][0, 2, 2, 2] = np.nan
    with pytest.raises(InvalidOutput, match=r"1 of .* are NaN"):
        decoder(infos())(raw, Geometry())


def test_a_file_that_ends_in_corals_operator_is_explained(tmp_path: Path) -> None:
    heads_in = Tensor("heads", [1, 3, 3, 17], "float32")
    graph = Graph(
        [heads_in, Tensor("poses", [1, 10, 17, 2], "float32")], [0], [1], [Operator("PosenetDecoderOp", [0], [1])]
    )
    with pytest.raises(
        ModelError, match=r"Coral's operator 'PosenetDecoderOp', .* the raw heads, and output.decoder: posenet"
    ):
        open_interpreter(graph.write(tmp_path / "pose.tflite"), threads=1)


def test_the_outputs_of_corals_operator_are_recognised() -> None:
    shapes = [(1, 10, 17, 2), (1, 10, 17), (1, 10), (1,)]
    outputs = [TensorInfo(n, f"poses:{n}", shape, np.dtype("float32")) for n, shape in enumerate(shapes)]
    with pytest.raises(
        ModelError, match="the operator PosenetDecoderOp, poses that are decoded already; give the package"
    ):
        decoder(outputs)


def test_other_outputs_are_refused_in_words() -> None:
    with pytest.raises(ModelError, match=r"decoder posenet expects heatmaps \[1, h, w, 17\]"):
        decoder(infos()[:1])
