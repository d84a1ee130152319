"""The reference of torchvision's transforms, against torchvision itself.

Its transforms are Python over torch; its own library of operators, which they do not use, is only for GPUs in the
build that PyPI has. Where it cannot be loaded, the two operators that the import asks for are declared here.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from visiond.modelkit.verify.conventions import Convention, conventions

try:
    from torchvision import transforms
except RuntimeError:
    declared = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        declared.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import transforms

FRAMES = [(640, 480), (480, 640), (333, 250), (301, 301), (250, 444)]
BY_NAME: dict[str, Convention] = {each.name: each for each in conventions()}
InterpolationMode = transforms.InterpolationMode


def noise(width: int, height: int) -> Any:
    return np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)


def recipe(shorter_side: int) -> Any:
    return SimpleNamespace(resize="shorter_side", color="rgb", pad=0, shorter_side=shorter_side)


@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize(("side", "crop"), [(256, 224), (257, 224), (224, 224)])
@pytest.mark.parametrize("mode", [InterpolationMode.BILINEAR, InterpolationMode.BICUBIC])
def test_torchvision_on_a_pil_image(size: tuple[int, int], side: int, crop: int, mode: InterpolationMode) -> None:
    picture = noise(*size)
    theirs = torchvisions(side, crop, mode)(Image.fromarray(picture))
    ours = BY_NAME[f"torchvision_pil_{mode.value}"].pixels(picture[:, :, ::-1], recipe(side), (crop, crop))
    np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("size", FRAMES)
@pytest.mark.parametrize(
    ("name", "mode", "antialias"),
    [
        ("torchvision_nearest", InterpolationMode.NEAREST, None),
        ("torchvision_bilinear", InterpolationMode.BILINEAR, True),
        ("torchvision_bicubic", InterpolationMode.BICUBIC, True),
        ("torchvision_bilinear_aliased", InterpolationMode.BILINEAR, False),
        ("torchvision_bicubic_aliased", InterpolationMode.BICUBIC, False),
    ],
)
def test_torchvision_on_a_tensor(
    size: tuple[int, int], name: str, mode: InterpolationMode, antialias: bool | None
) -> None:
    """It computes antialiased uint8 in whole numbers where it can: within a level of the rounded real number."""
    picture = noise(*size)
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    theirs = torchvisions(256, 224, mode, antialias=antialias)(tensor).permute(1, 2, 0).numpy().astype(np.float64)
    ours = BY_NAME[name].pixels(picture[:, :, ::-1], recipe(256), (224, 224))
    gaps = np.abs(ours - theirs)
    if not antialias:
        assert (gaps == 0).mean() > 0.999, "a tie may round either way in float32"
    assert gaps.max() <= 1 if mode != InterpolationMode.BICUBIC or not antialias else gaps.mean() < 0.5


def torchvisions(side: int, crop: int, mode: InterpolationMode, **more: Any) -> Callable[[Any], Any]:
    return transforms.Compose([transforms.Resize(side, mode, **more), transforms.CenterCrop(crop)])
