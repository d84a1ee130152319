"""What of the child needs no TensorFlow: which pictures, which tensors, and how a file is compared with its source."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import Quantization, TensorInfo, quantize
from visiond.errors import DataError
from visiond.modelkit.convert.child.graph import picture_shape
from visiond.modelkit.convert.child.representative import Representative, chosen_pictures
from visiond.modelkit.convert.child.tflite import paired_difference
from visiond.modelkit.manifest import InputRecipe

SHAPE = (1, 12, 20, 3)


@given(
    resize=st.sampled_from(["stretch", "letterbox", "center_crop", "shorter_side"]),
    interpolation=st.sampled_from(["nearest", "bilinear", "area", "bicubic", "pil_bilinear", "pil_bicubic"]),
    color=st.sampled_from(["rgb", "bgr"]),
    mean=st.integers(0, 255),
    std=st.floats(1, 255),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
)
def test_a_representative_tensor_is_the_devices(
    resize: str, interpolation: str, color: str, mean: int, std: float, size: tuple[int, int]
) -> None:
    """Quantized with any scale, it is bit by bit what the device puts into an int8 input with that scale."""
    options = {"shorter_side": 24} if resize == "shorter_side" else {}
    recipe = InputRecipe.model_validate(
        {"resize": resize, "interpolation": interpolation, "color": color, "mean": (mean,) * 3, "std": (std,) * 3}
        | options
    )
    picture = np.random.default_rng(size[0]).integers(0, 256, (*size, 3)).astype(np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.png")
        cv2.imwrite(str(path), picture)
        (real,) = Representative(recipe, SHAPE, [path]).tensors(lambda *_: None)
    info = TensorInfo(0, "input", SHAPE, np.dtype(np.int8), Quantization(255 / std / 250, -3))
    device = np.empty(SHAPE, np.int8)
    Preprocessor(recipe, info).write(picture, device)
    apart = np.abs(quantize(real, info).astype(int) - device)
    assert apart.max() <= 1  # float32 may lie on the other side of a tie
    assert (apart > 0).mean() < 0.05


@given(there=st.integers(1, 60), count=st.integers(1, 80))
def test_pictures_are_drawn_evenly(there: int, count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(there):
            (folder / str(number % 3)).mkdir(exist_ok=True)
            (folder / str(number % 3) / f"{number:03}.png").touch()
        chosen = chosen_pictures(folder, count)
        everything = sorted(folder.rglob("*.png"))
    assert len(chosen) == min(there, count)
    assert list(chosen) == sorted(set(chosen))
    positions = [everything.index(path) for path in chosen]
    steps = np.diff([*positions, positions[0] + there])
    assert steps.max() - steps.min() <= 1


def outputs() -> st.SearchStrategy[np.ndarray]:
    values = st.floats(-100, 100, width=32)
    return arrays.arrays(np.float32, arrays.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=values)


@given(theirs=st.lists(outputs(), min_size=1, max_size=3), factor=st.floats(0, 0.5))
def test_a_difference_is_a_share_of_the_largest(theirs: list[np.ndarray], factor: float) -> None:
    ours = []
    for each in theirs:
        worse = each.astype(np.float64)
        largest = np.unravel_index(np.abs(worse).argmax(), worse.shape)
        worse[largest] *= 1 + factor
        ours.append(worse)
    found = paired_difference(ours, theirs)
    assert found is not None
    significant = any(np.abs(each).max() > 1e-3 for each in theirs)
    assert found == pytest.approx(factor if significant else found, abs=1e-3)


def test_what_is_no_number_is_no_agreement() -> None:
    one = np.ones((1, 4), np.float32)
    assert paired_difference([one * np.nan], [one]) == np.inf
    assert paired_difference([one], [one * np.inf]) == np.inf
    assert paired_difference([one], [one, one]) is None
    assert paired_difference([one], [one[:, :3]]) is None


def test_maps_may_have_their_channels_first() -> None:
    maps = np.random.default_rng(0).random((1, 3, 5, 7))
    assert paired_difference([maps.transpose(0, 2, 3, 1)], [maps]) == 0


@pytest.mark.parametrize(
    ("declared", "size", "first", "expected"),
    [
        ((None, 8, 9, 3), None, False, (1, 8, 9, 3)),
        ((1, 3, 8, 9), None, True, (1, 8, 9, 3)),
        ((None, None, None, 1), (9, 8), False, (1, 8, 9, 1)),
        ((1, 8, 9, 3), (9, 8), False, (1, 8, 9, 3)),
    ],
)
def test_the_shape_of_one_picture(
    declared: tuple[int | None, ...], size: tuple[int, int] | None, first: bool, expected: tuple[int, ...]
) -> None:
    assert picture_shape(declared, "net", size, first) == expected


@pytest.mark.parametrize("declared", [(), (8, 9), (1, 8, 9, 2), (2, 8, 9, 3), (None, None, 9, 3)])
def test_what_is_no_picture(declared: tuple[int | None, ...]) -> None:
    with pytest.raises(DataError, match=r"^net takes .*; "):
        picture_shape(declared, "net", None)
