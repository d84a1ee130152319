"""The references of `visiond models verify`, written out in NumPy, against TensorFlow and PyTorch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from torch.nn import functional

from visiond.modelkit.verify import resampling
from visiond.modelkit.verify.conventions import Convention, conventions

SIZES = [(97, 61, 40, 40), (64, 48, 64, 48), (30, 50, 71, 64), (333, 250, 112, 128), (7, 5, 13, 11)]
NEARLY = 0.02  # of a pixel level: they compute in float32
BY_NAME: dict[str, Convention] = {each.name: each for each in conventions()}


def noise(width: int, height: int) -> Any:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def recipe(resize: str, shorter_side: int | None = None, pad: int = 0) -> Any:
    return SimpleNamespace(resize=resize, color="rgb", pad=pad, shorter_side=shorter_side)


@pytest.mark.parametrize(
    ("method", "antialias", "axis"),
    [
        ("nearest", False, resampling.nearest_centre),
        ("bilinear", False, resampling.bilinear),
        ("bilinear", True, resampling.bilinear_antialias),
        ("area", False, resampling.area),
        ("bicubic", False, resampling.bicubic_tensorflow),
        ("bicubic", True, resampling.bicubic_antialias),
    ],
)
@pytest.mark.parametrize(("width", "height", "new_width", "new_height"), SIZES)
def test_tensorflow(
    width: int, height: int, new_width: int, new_height: int, method: str, antialias: bool, axis: resampling.Axis
) -> None:
    picture = noise(width, height)
    theirs = tf.image.resize(picture, (new_height, new_width), method, antialias=antialias).numpy()
    ours = resampling.resample(picture.astype(np.float64), new_width, new_height, axis)
    np.testing.assert_allclose(ours, theirs, atol=NEARLY)


@pytest.mark.parametrize(
    ("mode", "antialias", "axis"),
    [
        ("nearest", False, resampling.nearest_corner),
        ("bilinear", False, resampling.bilinear),
        ("bilinear", True, resampling.bilinear_antialias),
        ("bicubic", False, resampling.bicubic_torch),
        ("bicubic", True, resampling.bicubic_antialias),
    ],
)
@pytest.mark.parametrize(("width", "height", "new_width", "new_height"), SIZES)
def test_torch(
    width: int, height: int, new_width: int, new_height: int, mode: str, antialias: bool, axis: resampling.Axis
) -> None:
    picture = noise(width, height)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
    sharp: dict[str, Any] = {} if mode == "nearest" else {"align_corners": False, "antialias": antialias}
    theirs = functional.interpolate(tensor, (new_height, new_width), mode=mode, **sharp)[0].permute(1, 2, 0).numpy()
    ours = resampling.resample(picture.astype(np.float64), new_width, new_height, axis)
    np.testing.assert_allclose(ours, theirs, atol=NEARLY)


FRAMES = [(640, 480), (480, 640), (333, 250), (301, 301), (250, 444)]


@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize("antialias", [False, True])
def test_tensorflows_letterbox(size: tuple[int, int], antialias: bool) -> None:
    """resize_with_pad: floors both sides, and pads with 0."""
    theirs = tf.image.resize_with_pad(noise(*size), 224, 224, antialias=antialias).numpy()
    convention = BY_NAME["tensorflow_bilinear_antialias" if antialias else "tensorflow_bilinear"]
    ours = convention.pixels(noise(*size)[:, :, ::-1], recipe("letterbox", pad=114), (224, 224))
    np.testing.assert_allclose(ours, theirs, atol=NEARLY)


@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize("tensor", [(224, 224), (192, 144)])
def test_keras_smart_resize(size: tuple[int, int], tensor: tuple[int, int]) -> None:
    picture = noise(*size).astype(np.float32)
    theirs = np.asarray(tf.keras.preprocessing.image.smart_resize(picture, tensor[::-1]))
    ours = BY_NAME["tensorflow_bilinear"].pixels(noise(*size)[:, :, ::-1], recipe("center_crop"), tensor)
    np.testing.assert_allclose(ours, theirs, atol=NEARLY)
