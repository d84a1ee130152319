"""Pixels to the tensor's numbers against the table, entry by entry, whichever way is taken."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.engine.pixel_values import PixelValues
from visiond.engine.tensors import Quantization, TensorInfo, pixel_table

IMAGENET = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def tensor(
    dtype: str, scale: float, zero_point: int, channels: int = 3, size: tuple[int, int] = (19, 23)
) -> TensorInfo:
    quantization = None if dtype == "float32" else Quantization(scale, zero_point)
    return TensorInfo(0, "input", (1, *size, channels), np.dtype(dtype), quantization)


def every_pixel(info: TensorInfo) -> NDArray[np.uint8]:
    """Each pixel value in each channel, several times, at all kinds of places."""
    _, height, width, channels = info.shape
    shape = (height, width, channels) if channels == 3 else (height, width)
    return np.resize(np.random.default_rng(0).permutation(np.arange(256, dtype=np.uint8)), shape)


def by_the_table(pixels: NDArray[np.uint8], mean: list[float], std: list[float], info: TensorInfo) -> NDArray[Any]:
    """One pixel after the other."""
    table = pixel_table(mean, std, info)
    expected = np.empty(pixels.shape, info.dtype)
    for place, pixel in np.ndenumerate(pixels):
        expected[place] = table[pixel, place[2] if len(place) == 3 else 0]
    return expected


def write(mean: list[float], std: list[float], info: TensorInfo, reverse: bool = True) -> NDArray[Any]:
    """What is made of `every_pixel`, given in the order that is asked for."""
    values = PixelValues(mean, std, info, reverse)
    pixels = every_pixel(info)
    destination = np.empty(pixels.shape, info.dtype)
    if values.in_place:
        destination.view(np.uint8)[...] = pixels
        values.write(destination.view(np.uint8), destination)
    else:
        values.write(pixels[:, :, ::-1].copy() if values.by_planes and reverse else pixels, destination)
    return destination


@given(
    dtype=st.sampled_from(["uint8", "int8", "int16", "float32"]),
    mean=st.lists(st.floats(0, 255), min_size=3, max_size=3),
    std=st.lists(st.floats(0.5, 300), min_size=3, max_size=3),
    scale=st.floats(0.001, 2),
    zero_point=st.integers(-128, 127),
    alike=st.booleans(),
    reverse=st.booleans(),
)
def test_every_number_is_the_tables(
    dtype: str, mean: list[float], std: list[float], scale: float, zero_point: int, alike: bool, reverse: bool
) -> None:
    info = tensor(dtype, scale, zero_point + (128 if dtype == "uint8" else 0))
    if alike:
        mean, std = mean[:1] * 3, std[:1] * 3
    expected = by_the_table(every_pixel(info), mean, std, info)
    np.testing.assert_array_equal(write(mean, std, info, reverse), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 13), (64, 64), (299, 301)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_line_is_right_to_the_last_pixel_of_any_size(size: tuple[int, int], channels: int) -> None:
    info = tensor("int8", 0.0186, -14, channels, size)
    mean, std = IMAGENET[0][:channels], IMAGENET[1][:channels]
    table = pixel_table(mean, std, info)
    pixels = every_pixel(info)
    expected = table[pixels, np.arange(3)] if channels == 3 else table[pixels, 0]
    np.testing.assert_array_equal(write(mean, std, info), expected)


@pytest.mark.parametrize(
    ("mean", "std", "info"),
    [
        (*IMAGENET, tensor("uint8", 0.0186, 114)),
        (*IMAGENET, tensor("int8", 0.0186584, -14)),
        ([127.5] * 3, [127.5] * 3, tensor("uint8", 0.0078431, 128)),
        ([0.0] * 3, [255.0] * 3, tensor("int8", 0.0186584, -14)),  # the YOLOv8n that is fed [0, 1]
    ],
)
def test_what_models_in_use_need_is_computed_and_not_looked_up(
    mean: list[float], std: list[float], info: TensorInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[object] = []
    real = cv2.LUT
    monkeypatch.setattr(cv2, "LUT", lambda *args, **kwargs: looked_up.append(args) or real(*args, **kwargs))
    np.testing.assert_array_equal(write(mean, std, info), by_the_table(every_pixel(info), mean, std, info))
    assert not looked_up


def test_a_line_that_begins_below_zero_is_looked_up_for_opencv_would_turn_it_round() -> None:
    info = tensor("uint8", 0.01, 0)
    written = write([100.0] * 3, [60.0] * 3, info)
    assert written.min() == 0
    np.testing.assert_array_equal(written, by_the_table(every_pixel(info), [100.0] * 3, [60.0] * 3, info))


def test_an_opencv_that_rounds_otherwise_is_found_out_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    real = cv2.convertScaleAbs

    def truncating(source: NDArray[np.uint8], **keys: Any) -> Any:
        return real(source, **{**keys, "beta": keys["beta"] - 0.5})

    monkeypatch.setattr(cv2, "convertScaleAbs", truncating)
    info = tensor("uint8", 0.0186, 114)
    np.testing.assert_array_equal(write(*IMAGENET, info), by_the_table(every_pixel(info), *IMAGENET, info))
