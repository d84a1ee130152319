"""Preprocessing against the recipe written out: colour on the whole frame, then crop, resize, float64, quantize."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from visiond.engine import preprocess
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import Quantization, TensorInfo, quantize
from visiond.errors import ModelError
from visiond.modelkit.manifest import InputRecipe

RESIZES = ("stretch", "letterbox", "center_crop", "shorter_side")
OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "bicubic": cv2.INTER_CUBIC,
}
PILLOW = {"pil_bilinear": Image.Resampling.BILINEAR, "pil_bicubic": Image.Resampling.BICUBIC}
Picture = NDArray[np.uint8]
Resizer = Callable[[Picture, tuple[int, int]], Picture]

FRAMES = {
    (width, height): np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    for width, height in ((64, 48), (48, 64), (120, 35), (20, 15), (33, 33))
}


def recipe(**keys: Any) -> InputRecipe:
    channels = 1 if keys.get("color") == "gray" else 3
    return InputRecipe(**{"mean": [0] * channels, "std": [1] * channels, **keys})


def tensor(
    width: int = 32,
    height: int = 32,
    channels: int = 3,
    dtype: str = "uint8",
    scale: float | None = None,
    zero: int = 0,
) -> TensorInfo:
    quantization = None if scale is None else Quantization(scale, zero)
    return TensorInfo(0, "input", (1, height, width, channels), np.dtype(dtype), quantization)


def write(keys: InputRecipe, info: TensorInfo, frame: Picture) -> NDArray[Any]:
    destination = np.full(info.shape, 77, info.dtype)
    Preprocessor(keys, info).write(frame, destination)
    return destination[0]


def resizer(interpolation: str) -> Resizer:
    if interpolation in OPENCV:
        return lambda picture, size: cv2.resize(picture, size, interpolation=OPENCV[interpolation])
    return lambda picture, size: np.asarray(Image.fromarray(picture).resize(size, PILLOW[interpolation]))


def by_the_recipe(mode: str, rgb: Picture, size: tuple[int, int], resize: Resizer, pad: int = 114) -> Picture:
    """The four modes as their publishers write them, on a whole picture in its final colours."""
    height, width = rgb.shape[:2]
    if mode == "stretch":
        return resize(rgb, size)
    if mode == "letterbox":  # Ultralytics' LetterBox
        ratio = min(size[0] / width, size[1] / height)
        inner = round(width * ratio), round(height * ratio)
        left, top = round((size[0] - inner[0]) / 2 - 0.1), round((size[1] - inner[1]) / 2 - 0.1)
        canvas = np.full((size[1], size[0], 3), pad, np.uint8)
        canvas[top : top + inner[1], left : left + inner[0]] = resize(rgb, inner)
        return canvas
    if mode == "center_crop":
        scale = min(width / size[0], height / size[1])
        inner = round(size[0] * scale), round(size[1] * scale)
        left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
        return resize(rgb[top : top + inner[1], left : left + inner[0]].copy(), size)
    short, long = sorted((width, height))  # torchvision's Resize(n) and CenterCrop(n)
    new_long = int(size[0] * long / short)
    resized = resize(rgb, (size[0], new_long) if width <= height else (new_long, size[0]))
    top, left = (round((resized.shape[axis] - size[1 - axis]) / 2.0) for axis in (0, 1))
    return resized[top : top + size[1], left : left + size[0]]


@pytest.mark.parametrize(("mode", "interpolation"), list(product(RESIZES, [*OPENCV, *PILLOW])))
def test_every_mode_and_interpolation_equals_the_recipe_on_every_pixel(mode: str, interpolation: str) -> None:
    keys = recipe(resize=mode, interpolation=interpolation)
    for frame in FRAMES.values():
        expected = by_the_recipe(mode, frame[:, :, ::-1].copy(), (32, 32), resizer(interpolation))
        np.testing.assert_array_equal(write(keys, tensor(), frame), expected)


@pytest.mark.parametrize("mode", ["stretch", "letterbox", "center_crop"])
def test_an_input_that_is_not_square(mode: str) -> None:
    for frame in FRAMES.values():
        expected = by_the_recipe(mode, frame[:, :, ::-1].copy(), (40, 24), resizer("bilinear"))
        np.testing.assert_array_equal(write(recipe(resize=mode), tensor(40, 24), frame), expected)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.sampled_from(RESIZES[:3]),
    st.sampled_from([*OPENCV, *PILLOW]),
    st.integers(0, 2**32 - 1),
)
def test_frames_of_any_size_equal_the_recipe(width: int, height: int, mode: str, interpolation: str, seed: int) -> None:
    frame = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    if mode != "stretch" and max(width, height) >= 32 * min(width, height):
        mode = "stretch"  # the publishers' own code breaks where a side comes to less than a pixel
    expected = by_the_recipe(mode, frame[:, :, ::-1].copy(), (16, 16), resizer(interpolation))
    np.testing.assert_array_equal(
        write(recipe(resize=mode, interpolation=interpolation), tensor(16, 16), frame), expected
    )


def test_a_frame_of_one_row_still_fits() -> None:
    frame = np.full((1, 500, 3), 200, np.uint8)
    for mode in RESIZES[:3]:
        assert (write(recipe(resize=mode), tensor(), frame) == 200).any()


@pytest.mark.parametrize("shorter_side", [32, 36, 50])
def test_shorter_side_can_be_longer_than_the_input(shorter_side: int) -> None:
    frame = FRAMES[64, 48]
    resized = cv2.resize(frame[:, :, ::-1].copy(), (int(shorter_side * 64 / 48), shorter_side))
    top, left = (round((resized.shape[axis] - 32) / 2.0) for axis in (0, 1))
    keys = recipe(resize="shorter_side", shorter_side=shorter_side)
    np.testing.assert_array_equal(write(keys, tensor(), frame), resized[top : top + 32, left : left + 32])


@pytest.mark.parametrize("mode", RESIZES)
def test_bgr_leaves_the_order_of_the_channels(mode: str) -> None:
    for frame in FRAMES.values():
        expected = by_the_recipe(mode, frame, (32, 32), resizer("bilinear"))
        np.testing.assert_array_equal(write(recipe(resize=mode, color="bgr"), tensor(), frame), expected)


@pytest.mark.parametrize("interpolation", [*OPENCV, *PILLOW])
def test_gray_is_made_from_the_resized_picture(interpolation: str) -> None:
    for frame in FRAMES.values():
        rgb = by_the_recipe("center_crop", frame[:, :, ::-1].copy(), (32, 32), resizer(interpolation))
        if interpolation in PILLOW:
            expected = np.asarray(Image.fromarray(rgb.copy()).convert("L"))
        else:
            expected = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        keys = recipe(resize="center_crop", interpolation=interpolation, color="gray")
        np.testing.assert_array_equal(write(keys, tensor(channels=1), frame)[:, :, 0], expected)


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point"),
    [
        ("uint8", 0.018658, 114),
        ("int8", 0.018658, -14),
        ("int8", 1 / 255, -128),
        ("int16", 1 / 3000, 0),
        ("float32", None, 0),
    ],
)
@pytest.mark.parametrize("mode", RESIZES)
@pytest.mark.parametrize(
    ("mean", "std"), [([0, 0, 0], [255, 255, 255]), ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375])]
)
def test_the_numbers_are_the_formula_in_float64_whatever_the_dtype(
    dtype: str, scale: float | None, zero_point: int, mode: str, mean: list[float], std: list[float]
) -> None:
    info = tensor(dtype=dtype, scale=scale, zero=zero_point)
    keys = recipe(resize=mode, mean=mean, std=std, pad=30)
    for frame in FRAMES.values():
        pixels = by_the_recipe(mode, frame[:, :, ::-1].copy(), (32, 32), resizer("bilinear"), pad=30)
        expected = quantize((pixels.astype(np.float64) - mean) / std, info)
        np.testing.assert_array_equal(write(keys, info, frame), expected)


def test_mean_and_std_follow_the_order_of_color() -> None:
    frame = np.zeros((32, 32, 3), np.uint8)
    frame[:, :, 2] = 200  # red, in BGR
    info = tensor(dtype="float32")
    assert write(recipe(mean=[100, 0, 0]), info, frame)[0, 0].tolist() == [100, 0, 0]
    assert write(recipe(mean=[100, 0, 0], color="bgr"), info, frame)[0, 0].tolist() == [-100, 0, 200]


@pytest.mark.parametrize("mode", RESIZES)
def test_frames_whose_size_changes_are_fitted_each_on_its_own(mode: str) -> None:
    preprocessor = Preprocessor(recipe(resize=mode), tensor())
    destination = np.empty((1, 32, 32, 3), np.uint8)
    for frame in [*FRAMES.values(), *reversed(FRAMES.values())]:
        geometry = preprocessor.write(frame, destination)
        expected = by_the_recipe(mode, frame[:, :, ::-1].copy(), (32, 32), resizer("bilinear"))
        np.testing.assert_array_equal(destination[0], expected)
        assert geometry == Preprocessor(recipe(resize=mode), tensor()).write(frame, destination)


def test_more_frame_sizes_than_are_remembered() -> None:
    preprocessor = Preprocessor(recipe(resize="letterbox"), tensor())
    destination = np.empty((1, 32, 32, 3), np.uint8)
    for width in range(10, 60):
        frame = np.full((40, width, 3), width, np.uint8)
        preprocessor.write(frame, destination)
        np.testing.assert_array_equal(destination[0], by_the_recipe("letterbox", frame, (32, 32), resizer("bilinear")))


@pytest.mark.parametrize("mode", RESIZES)
def test_the_geometry_finds_an_object_again(mode: str) -> None:
    frame = np.zeros((300, 500, 3), np.uint8)
    frame[100:200, 180:320] = 255  # ymin 1/3, ymax 2/3, xmin 0.36, xmax 0.64
    destination = np.empty((1, 128, 128, 3), np.uint8)
    geometry = Preprocessor(recipe(resize=mode, pad=0), tensor(128, 128)).write(frame, destination)
    rows, columns = np.nonzero(destination[0, :, :, 0] > 127)
    box = geometry.box(columns.min() / 128, rows.min() / 128, (columns.max() + 1) / 128, (rows.max() + 1) / 128)
    found = (box.xmin, box.ymin, box.xmax, box.ymax)
    assert found == pytest.approx((0.36, 1 / 3, 0.64, 2 / 3), abs=1.5 / 128)


class Spy:
    """Notes what OpenCV's functions were told to write into, and what they returned."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.returned: list[tuple[str, NDArray[Any], NDArray[Any]]] = []
        for name in ("resize", "cvtColor", "LUT"):
            monkeypatch.setattr(preprocess.cv2, name, self._wrap(name, getattr(cv2, name)))

    def _wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, dst: NDArray[Any], **kwargs: Any) -> Any:
            result = function(*args, dst=dst, **kwargs)
            self.returned.append((name, result, dst))
            return result

        return call


@pytest.mark.parametrize("mode", RESIZES)
@pytest.mark.parametrize(
    ("color", "dtype", "last"),
    [
        ("rgb", "uint8", "cvtColor"),
        ("bgr", "uint8", "resize"),
        ("gray", "uint8", "cvtColor"),
        ("rgb", "float32", "LUT"),
    ],
)
def test_opencv_writes_straight_into_the_tensor_and_allocates_nothing(
    monkeypatch: pytest.MonkeyPatch, mode: str, color: str, dtype: str, last: str
) -> None:
    info = tensor(channels=1 if color == "gray" else 3, dtype=dtype)
    destination = np.empty(info.shape, info.dtype)
    preprocessor = Preprocessor(recipe(resize=mode, color=color), info)
    spy = Spy(monkeypatch)
    preprocessor.write(FRAMES[64, 48], destination)
    for _, result, dst in spy.returned:
        assert result.ctypes.data == dst.ctypes.data, "OpenCV made an array of its own"
    if (mode, last) != ("shorter_side", "resize"):  # bgr and a crop after the resize: one copy, by NumPy
        assert spy.returned[-1][0] == last
        assert np.shares_memory(spy.returned[-1][1], destination)


@pytest.mark.parametrize(("mode", "dtype"), list(product(RESIZES, ("uint8", "int8", "float32"))))
def test_buffers_are_made_once(mode: str, dtype: str) -> None:
    info = tensor(
        96, 96, dtype=dtype, scale=1 / 255 if dtype != "float32" else None, zero=-128 if dtype == "int8" else 0
    )
    preprocessor = Preprocessor(recipe(resize=mode, std=[255] * 3), info)
    destination = np.empty(info.shape, info.dtype)
    frame = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    preprocessor.write(frame, destination)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        preprocessor.write(frame, destination)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < 96 * 96  # less than one channel of the input


def test_pillow_is_imported_only_when_the_recipe_asks(root: Path) -> None:
    code = "import visiond.engine.preprocess, sys; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(root / "daemon")}).returncode == 0


def test_fault_29_an_input_that_no_picture_fits_is_refused_with_what_was_expected() -> None:
    for info, remedy in (
        (TensorInfo(0, "x", (1, 3, 224, 224), np.dtype("float32")), "looks like NCHW"),
        (TensorInfo(0, "x", (1, 224, 224), np.dtype("uint8")), "one picture at a time"),
        (TensorInfo(0, "x", (4, 224, 224, 3), np.dtype("uint8")), "one picture at a time"),
        (TensorInfo(0, "x", (1, 224, 224, 4), np.dtype("uint8")), "one picture at a time"),
        (TensorInfo(0, "x", (1, 0, 224, 3), np.dtype("uint8")), "one picture at a time"),
        (TensorInfo(0, "x", (1, 224, 224, 3), np.dtype("int64")), "one of these as its input type"),
        (TensorInfo(0, "x", (1, 224, 224, 3), np.dtype("float64")), "one of these as its input type"),
    ):
        with pytest.raises(ModelError) as refused:
            Preprocessor(recipe(), info)
        text = str(refused.value)
        assert f"'x' is {info.dtype} {list(info.shape)}" in text
        assert "expected [1, height, width, 1 or 3] (NHWC, batch 1) of uint8, int8, int16, float32" in text
        assert remedy in text


def test_channels_that_do_not_match_the_colour_are_refused_with_the_remedy() -> None:
    with pytest.raises(ModelError, match="color: rgb makes 3; give color: gray"):
        Preprocessor(recipe(), tensor(channels=1))
    with pytest.raises(ModelError, match="color: gray makes 1; give color: rgb or bgr"):
        Preprocessor(recipe(color="gray"), tensor())


def test_a_shorter_side_below_the_input_is_refused() -> None:
    with pytest.raises(ModelError, match=r"larger than input.shorter_side: 20; give at least 32"):
        Preprocessor(recipe(resize="shorter_side", shorter_side=20), tensor())


def test_a_destination_of_another_shape_or_dtype_is_refused() -> None:
    preprocessor = Preprocessor(recipe(), tensor())
    for wrong in (np.empty((1, 32, 31, 3), np.uint8), np.empty((1, 32, 32, 3), np.int8)):
        with pytest.raises(ValueError, match="the destination is"):
            preprocessor.write(FRAMES[64, 48], wrong)
