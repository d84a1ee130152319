"""Classes of cells become segments with masks over the frame."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.channel import MAX_PACKET_BYTES
from visiond.detection import Mask, Result, Segment, Stages
from visiond.engine.decode.decoder import Decoder, DecodeSettings, InvalidOutput, make_decoder
from visiond.engine.decode.runlengths import MAX_COUNTS
from visiond.engine.geometry import Geometry, fit
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.errors import ModelError
from visiond.messages import to_json
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import OutputSpec

LABELS = Labels(("background", "bird", "cat", "dog"))


def decoder(info: TensorInfo, labels: Labels = LABELS, max_objects: int = 100, **spec: Any) -> Decoder:
    given_settings = DecodeSettings(labels, 0.5, max_objects, (64, 64))
    return make_decoder(OutputSpec.model_validate({"decoder": "deeplab", **spec}), (info,), given_settings)


def output(*shape: int, dtype: str = "int64", quantization: Quantization | None = None) -> TensorInfo:
    return TensorInfo(0, "classes", shape, np.dtype(dtype), quantization)


def decoded(grid: NDArray[Any], geometry: Geometry | None = None, **options: Any) -> tuple[Segment, ...]:
    found = decoder(output(1, *grid.shape, dtype=grid.dtype.name), **options)([grid[None]], geometry or Geometry())
    assert all(isinstance(each, Segment) for each in found)
    return found  # type: ignore[return-value]


def cells(mask: Mask) -> NDArray[np.bool_]:
    """Unpack run by run, column by column."""
    flat: list[bool] = []
    for number, count in enumerate(mask.counts):
        flat += [number % 2 == 1] * count
    grid = np.zeros((mask.height, mask.width), bool)
    for place, inside in enumerate(flat):
        grid[place % mask.height, place // mask.height] = inside
    return grid


grids = st.integers(0, 2**32 - 1).flatmap(
    lambda seed: st.tuples(st.just(seed), st.integers(2, 30), st.integers(2, 30), st.sampled_from([2, 4]))
)


def random_grid(seed: int, height: int, width: int, classes: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, classes, (height, width))
    return np.repeat(np.repeat(blocks, 3, axis=0), 2, axis=1)


@given(grids)
def test_masks_areas_and_boxes_are_those_of_the_cells(what: tuple[int, int, int, int]) -> None:
    grid = random_grid(*what)
    found = decoded(grid)
    assert {each.class_id for each in found} == set(np.unique(grid).tolist()) - {0}
    assert [each.area for each in found] == sorted((each.area for each in found), reverse=True)
    for each in found:
        inside = grid == each.class_id
        assert (cells(each.mask) == inside).all()
        assert sum(each.mask.counts) == grid.size
        assert all(each.mask.counts[1:])
        rows, columns = np.nonzero(inside)
        assert each.area == pytest.approx(inside.mean())
        assert (each.box.xmin, each.box.xmax) == pytest.approx(
            (columns.min() / grid.shape[1], (columns.max() + 1) / grid.shape[1])
        )
        assert (each.box.ymin, each.box.ymax) == pytest.approx(
            (rows.min() / grid.shape[0], (rows.max() + 1) / grid.shape[0])
        )
        assert each.label == LABELS.name(each.class_id)


@given(grids, st.sampled_from(["uint8", "int8", "float32"]), st.booleans())
def test_logits_give_the_class_of_the_greatest(
    what: tuple[int, int, int, int], dtype: str, channels_first: bool
) -> None:
    seed, height, width, _ = what
    height, width = height + 5, width + 5  # more than there are classes, in either place
    rng = np.random.default_rng(seed)
    logits = rng.permuted(np.broadcast_to(np.arange(4) * 20, (height, width, 4)), axis=2)
    grid = np.argmax(logits, axis=2)
    logits = logits.transpose(2, 0, 1) if channels_first else logits
    info = output(1, *logits.shape, dtype=dtype, quantization=None if dtype == "float32" else Quantization(0.2, 3))
    assert decoder(info)([logits[None].astype(dtype)], Geometry()) == decoded(grid)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "float32"])
def test_an_arg_max_may_have_any_type_and_an_axis_more(dtype: str) -> None:
    grid = random_grid(1, 5, 5, 4)
    info = output(1, *grid.shape, dtype=dtype)
    assert decoder(info)([grid[None].astype(dtype)], Geometry()) == decoded(grid)
    if dtype != "float32":
        info = output(1, *grid.shape, 1, dtype=dtype)
        assert decoder(info)([grid[None, ..., None].astype(dtype)], Geometry()) == decoded(grid)


def test_without_a_background_class_0_is_a_segment() -> None:
    grid = np.zeros((4, 4), np.int64)
    assert decoded(grid) == ()
    (found,) = decoded(grid, background=False)
    assert (found.class_id, found.area, found.mask.counts) == (0, 1.0, (0, 16))


def test_the_padding_of_a_letterbox_is_cut_off() -> None:
    """A 100×50 frame fills the middle half of 64×64."""
    grid = np.zeros((64, 64), np.int64)
    grid[16:32, :] = 1  # the upper half of the picture
    grid[:16, :] = 2  # padding
    found = decoded(grid, fit("letterbox", (100, 50), (64, 64)).geometry)
    (bird,) = found
    assert (bird.label, bird.area) == ("bird", pytest.approx(0.5))
    assert (bird.mask.width, bird.mask.height) == (64, 32)
    assert (bird.box.ymin, bird.box.ymax, bird.box.xmax) == pytest.approx((0, 0.5, 1))


def test_what_a_crop_left_out_belongs_to_no_class() -> None:
    """Of a 100×50 frame the middle 50×50 is seen."""
    grid = np.full((64, 64), 1, np.int64)
    geometry = fit("center_crop", (100, 50), (64, 64)).geometry
    (seen,) = decoded(grid, geometry, background=False)
    assert seen.area == pytest.approx(0.5)
    assert (seen.mask.width, seen.mask.height) == (128, 64)
    assert (seen.box.xmin, seen.box.xmax) == pytest.approx((0.25, 0.75))


@given(st.integers(0, 2**32 - 1))
def test_masks_of_noise_are_coarser_and_bounded(seed: int) -> None:
    grid = np.random.default_rng(seed).integers(0, 4, (257, 257))
    found = decoded(grid)
    sizes = {(each.mask.height, each.mask.width) for each in found}
    assert len(sizes) == 1
    ((height, width),) = sizes
    assert sum(len(each.mask.counts) for each in found) <= MAX_COUNTS
    step = 2 if height == 129 else 4
    assert (height, width) == tuple(-(-side // step) for side in grid.shape)
    message = to_json(Result("front", 1, 1, "cpu", Stages(0, 0, 0, 0), segments=found))
    assert len(json.dumps(message)) < MAX_PACKET_BYTES
    for each in found:
        assert (cells(each.mask) == (grid[::step, ::step] == each.class_id)).all()
        assert each.area == pytest.approx((grid == each.class_id).mean()), "areas are those of the whole grid"


def test_at_most_max_objects_come_out_the_largest() -> None:
    grid = np.array([[1, 2, 2, 3], [3, 3, 3, 0]])
    assert [each.class_id for each in decoded(grid, max_objects=2)] == [3, 2]


@pytest.mark.parametrize(
    ("grid", "words"),
    [
        (np.full((3, 3), -1), "classes run from -1 to -1"),
        (np.full((3, 3), 1 << 20), "classes run from"),
        (np.full((3, 3), 1.5, np.float32), "this is no arg-max"),
        (np.full((3, 3), np.nan, np.float32), "9 of 9 classes are NaN"),
    ],
)
def test_fault_31_what_is_no_class_is_an_invalid_output(grid: NDArray[Any], words: str) -> None:
    with pytest.raises(InvalidOutput, match=words):
        decoded(grid)


def test_fault_31_logits_that_are_no_numbers_are_an_invalid_output() -> None:
    logits = np.zeros((1, 5, 5, 4), np.float32)
    logits[0, 1, 1, 1] = np.inf
    with pytest.raises(InvalidOutput, match="1 of 100 logits"):
        decoder(output(1, 5, 5, 4, dtype="float32"))([logits], Geometry())


@pytest.mark.parametrize("info", [output(1, 10), output(2, 5, 5), output(1, 5, 5, 1, dtype="float32")])
def test_other_outputs_are_refused_in_words(info: TensorInfo) -> None:
    with pytest.raises(ModelError, match="decoder deeplab expects one output with a class for each cell"):
        decoder(info)
