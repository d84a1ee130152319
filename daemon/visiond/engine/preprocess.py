"""Preprocessor: a camera's frame becomes the numbers of the input tensor, as the model's package says.

crop → resize → colour → the tensor's numbers (pixel_values.py), straight into the input tensor. The frame is resized
before its colours are changed: every resize treats each channel alone, so the order of the channels makes no
difference, and the small picture is cheaper to convert. Grey is made from the resized picture too; that is not the same
as resizing a grey picture (both round), and it is what a recipe means: first the size, then the colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from visiond.engine.geometry import Fit, Geometry, Size, fit
from visiond.engine.pixel_values import PixelValues
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

__all__ = ["Geometry", "Preprocessor", "Recipe"]

INPUT_DTYPES: Final = ("uint8", "int8", "int16", "float32")
_MAX_FITS: Final = 16  # frame sizes remembered; a source of pictures may have many

_CV2_INTERPOLATION: Final = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "area": cv2.INTER_AREA,
    "bicubic": cv2.INTER_CUBIC,
}
_FROM_BGR: Final = {"rgb": cv2.COLOR_BGR2RGB, "gray": cv2.COLOR_BGR2GRAY}


class Recipe(Protocol):
    """How a picture becomes a tensor; `visiond.modelkit.manifest.InputRecipe` is one and describes each value."""

    @property
    def resize(self) -> str:
        """stretch, letterbox, center_crop or shorter_side: see `geometry.fit`."""

    @property
    def interpolation(self) -> str:
        """nearest, bilinear, area, bicubic: OpenCV's INTER_ constants; pil_bilinear, pil_bicubic: Pillow's.

        OpenCV's filters do not widen when they shrink a picture, but for area; Pillow's do.
        """

    @property
    def shorter_side(self) -> int | None:
        """Pixels, for resize: shorter_side."""

    @property
    def color(self) -> str:
        """rgb, bgr or gray."""

    @property
    def mean(self) -> Sequence[float]:
        """One number per channel: real value = (pixel - mean) / std."""

    @property
    def std(self) -> Sequence[float]:
        """One number per channel."""

    @property
    def pad(self) -> int:
        """Pixel value of a letterbox's border."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What frames of one size need: `resized` (height, width, 3) is None where they are resized straight into place."""

    fit: Fit
    resized: NDArray[np.uint8] | None


class Preprocessor:
    """Writes frames into one model's input tensor; buffers are made once per frame size. For one thread at a time."""

    def __init__(self, recipe: Recipe, info: TensorInfo) -> None:
        """Raises ModelError when the input tensor is not one that a picture fits into, or not the recipe's."""
        _check_input(recipe, info)
        self._recipe = recipe
        self._info = info
        _, height, width, self._channels = info.shape
        self._size: Size = (width, height)
        self._values = PixelValues(recipe.mean, recipe.std, info, reverse=recipe.color == "rgb")
        self._color = "bgr" if self._values.by_planes else recipe.color
        self._pixels = self._plane(
            np.empty((1, 0, 0, self._channels) if self._values.in_place else info.shape, np.uint8)
        )
        self._prepared: dict[Size, _Prepared] = {}

    def write(self, frame: NDArray[np.uint8], destination: NDArray[Any]) -> Geometry:
        """Fill `destination` (the input tensor's shape and dtype) from `frame` ((height, width, 3), BGR).

        Returns how the tensor lies in this very frame; frames of any size may follow each other.
        """
        if destination.shape != self._info.shape or destination.dtype != self._info.dtype:
            raise ValueError(f"the destination is {destination.dtype} {destination.shape}, the input {self._info}")
        prepared = self._prepare((frame.shape[1], frame.shape[0]))
        tensor = self._plane(destination)
        pixels = tensor.view(np.uint8) if self._values.in_place else self._pixels
        self._draw(frame, prepared, pixels)
        self._values.write(pixels, tensor)
        return prepared.fit.geometry

    def _plane(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """The picture in a (1, height, width, channels) tensor, as OpenCV takes it: grey without its last axis."""
        return tensor[0, :, :, 0] if self._channels == 1 else tensor[0]

    def _prepare(self, size: Size) -> _Prepared:
        known = self._prepared.get(size)
        if known is not None:
            return known
        recipe = self._recipe
        fitted = fit(recipe.resize, size, self._size, recipe.shorter_side)
        straight = self._color == "bgr" and fitted.kept.size == fitted.resized
        width, height = fitted.resized
        prepared = _Prepared(fitted, None if straight else np.empty((height, width, 3), np.uint8))
        if len(self._prepared) == _MAX_FITS:
            self._prepared.clear()
        self._prepared[size] = prepared
        return prepared

    def _draw(self, frame: NDArray[np.uint8], prepared: _Prepared, picture: NDArray[np.uint8]) -> None:
        """Crop, resize and convert into `picture`, in 8-bit pixels."""
        fitted = prepared.fit
        placed = fitted.placed
        if placed.size != self._size:
            self._pad(picture, fitted)
        target = picture[placed.rows, placed.columns]
        cropped = frame[fitted.crop.rows, fitted.crop.columns]
        resized = self._resize(cropped, fitted.resized, target if prepared.resized is None else prepared.resized)
        if prepared.resized is not None:
            self._convert(resized[fitted.kept.rows, fitted.kept.columns], target)

    def _pad(self, picture: NDArray[np.uint8], fitted: Fit) -> None:
        """Fill the border anew for each frame: the tensor may have held a frame of another shape."""
        placed, pad = fitted.placed, self._recipe.pad
        picture[: placed.top] = pad
        picture[placed.top + placed.height :] = pad
        picture[placed.rows, : placed.left] = pad
        picture[placed.rows, placed.left + placed.width :] = pad

    def _resize(self, source: NDArray[np.uint8], size: Size, target: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize into `target` and return it."""
        interpolation = _CV2_INTERPOLATION.get(self._recipe.interpolation)
        if interpolation is None:
            np.copyto(target, _pillow_resize(source, size, self._recipe.interpolation))
        else:
            cv2.resize(source, size, dst=target, interpolation=interpolation)
        return target

    def _convert(self, source: NDArray[np.uint8], target: NDArray[np.uint8]) -> None:
        color = self._color
        if color == "bgr":
            np.copyto(target, source)
        elif color == "gray" and self._recipe.interpolation.startswith("pil_"):
            np.copyto(target, _pillow_gray(source))
        else:
            cv2.cvtColor(source, _FROM_BGR[color], dst=target)


def _pillow_resize(source: NDArray[np.uint8], size: Size, interpolation: str) -> NDArray[np.uint8]:
    """Pillow's own resize, without reducing_gap. Pillow is imported only for a package that asks for it."""
    from PIL import Image

    filters = {"pil_bilinear": Image.Resampling.BILINEAR, "pil_bicubic": Image.Resampling.BICUBIC}
    image = Image.fromarray(np.ascontiguousarray(source))  # Pillow calls it RGB: to its resize, channels have no names
    return np.asarray(image.resize(size, filters[interpolation]))


def _pillow_gray(source: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pillow's mode L; its weights are rounded otherwise than OpenCV's: they differ by a level here and there."""
    from PIL import Image

    return np.asarray(Image.fromarray(cv2.cvtColor(source, cv2.COLOR_BGR2RGB)).convert("L"))


def _check_input(recipe: Recipe, info: TensorInfo) -> None:
    expected = "expected [1, height, width, 1 or 3] (NHWC, batch 1) of " + ", ".join(INPUT_DTYPES)
    actual = f"the model's input '{info.name}' is {info.dtype} {list(info.shape)}"
    if info.dtype.name not in INPUT_DTYPES:
        raise ModelError(f"{actual}; {expected}; convert the model with one of these as its input type")
    if len(info.shape) == 4 and info.shape[1] in (1, 3) and info.shape[3] not in (1, 3):
        raise ModelError(f"{actual}, which looks like NCHW; {expected}; convert the model with channels last")
    if len(info.shape) != 4 or info.shape[0] != 1 or info.shape[3] not in (1, 3) or 0 in info.shape:
        raise ModelError(f"{actual}; {expected}; convert the model for one picture at a time")
    channels = 1 if recipe.color == "gray" else 3
    if info.shape[3] != channels:
        raise ModelError(
            f"{actual}, with {info.shape[3]} channels, but input.color: {recipe.color} makes {channels}; "
            f"give color: {'gray' if info.shape[3] == 1 else 'rgb or bgr'}"
        )
    if recipe.shorter_side is not None and recipe.shorter_side < max(info.shape[1:3]):
        raise ModelError(
            f"{actual}, larger than input.shorter_side: {recipe.shorter_side}; give at least {max(info.shape[1:3])}"
        )
