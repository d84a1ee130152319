"""Training conventions: how the frameworks make pixels from a picture, for the comparison with the device's pipeline.

Pillow and OpenCV are their own reference. TensorFlow's and torchvision's are written out in NumPy (`resampling`,
`placements`): neither is installed on a device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from visiond.engine.geometry import Size
from visiond.engine.preprocess import Recipe
from visiond.modelkit.runner import Picture
from visiond.modelkit.verify import placements, resampling
from visiond.modelkit.verify.placements import Placement
from visiond.modelkit.verify.resampling import Axis, Pixels

Resize = Callable[[NDArray[Any], Size], NDArray[Any]]
Place = Callable[[str, Size, Size, int | None, int], Placement]

_GRAY: Final = (0.2989, 0.587, 0.114)  # of R, G, B: tf.image.rgb_to_grayscale and torchvision's rgb_to_grayscale


@dataclass(frozen=True, slots=True)
class Convention:
    """One way that pictures are prepared in training. `what` says in a few words whose it is."""

    name: str
    what: str
    pixels: Callable[[Picture, Recipe, Size], Pixels]


def conventions() -> tuple[Convention, ...]:
    """Return all that are compared with, by framework."""
    return (
        _opencv("opencv_nearest", "cv2.resize INTER_NEAREST", cv2.INTER_NEAREST),
        _opencv("opencv_bilinear", "cv2.resize INTER_LINEAR, Ultralytics'", cv2.INTER_LINEAR),
        _opencv("opencv_area", "cv2.resize INTER_AREA", cv2.INTER_AREA),
        _opencv("opencv_bicubic", "cv2.resize INTER_CUBIC", cv2.INTER_CUBIC),
        _pillow("pillow_nearest", "Image.resize NEAREST", Image.Resampling.NEAREST),
        _pillow("pillow_bilinear", "Image.resize BILINEAR", Image.Resampling.BILINEAR),
        _pillow("pillow_bicubic", "Image.resize BICUBIC", Image.Resampling.BICUBIC),
        _tensorflow("tensorflow_nearest", "tf.image.resize nearest", resampling.nearest_centre),
        _tensorflow("tensorflow_bilinear", "tf.image.resize bilinear", resampling.bilinear),
        _tensorflow("tensorflow_bilinear_antialias", "… antialias=True", resampling.bilinear_antialias),
        _tensorflow("tensorflow_area", "tf.image.resize area", resampling.area),
        _tensorflow("tensorflow_bicubic", "tf.image.resize bicubic", resampling.bicubic_tensorflow),
        _tensorflow("tensorflow_bicubic_antialias", "… antialias=True", resampling.bicubic_antialias),
        _torchvision_pil("torchvision_pil_bilinear", "Resize of a PIL image", Image.Resampling.BILINEAR),
        _torchvision_pil("torchvision_pil_bicubic", "Resize of a PIL image", Image.Resampling.BICUBIC),
        _torchvision("torchvision_nearest", "Resize of a tensor, nearest", resampling.nearest_corner),
        _torchvision("torchvision_bilinear", "Resize of a tensor, antialias=True", resampling.bilinear_antialias),
        _torchvision("torchvision_bicubic", "Resize of a tensor, antialias=True", resampling.bicubic_antialias),
        _torchvision("torchvision_bilinear_aliased", "Resize, antialias=False", resampling.bilinear),
        _torchvision("torchvision_bicubic_aliased", "Resize, antialias=False", resampling.bicubic_torch),
    )


def _opencv(name: str, what: str, interpolation: int) -> Convention:
    def resize(pixels: NDArray[Any], size: Size) -> NDArray[Any]:
        return np.asarray(cv2.resize(pixels, size, interpolation=interpolation))

    def pixels(picture: Picture, recipe: Recipe, tensor: Size) -> Pixels:
        placed = _placed(picture, placements.ultralytics, resize, recipe, tensor)
        if recipe.color == "gray":
            return _as_pixels(cv2.cvtColor(placed, cv2.COLOR_BGR2GRAY))
        return _as_pixels(placed if recipe.color == "bgr" else placed[:, :, ::-1])

    return Convention(name, what, pixels)


def _pillow(name: str, what: str, method: Image.Resampling) -> Convention:
    """For letterbox and center_crop, ImageOps' own pad and fit."""

    def pixels(picture: Picture, recipe: Recipe, tensor: Size) -> Pixels:
        image = _image(picture, recipe)
        if recipe.resize == "letterbox":
            color = recipe.pad if recipe.color == "gray" else (recipe.pad,) * 3
            return _as_pixels(np.asarray(ImageOps.pad(image, tensor, method, color)))
        if recipe.resize == "center_crop":
            return _as_pixels(np.asarray(ImageOps.fit(image, tensor, method)))
        return _as_pixels(_placed(np.asarray(image), placements.torchvision, _by_pillow(method), recipe, tensor))

    return Convention(name, what, pixels)


def _torchvision_pil(name: str, what: str, method: Image.Resampling) -> Convention:
    """On PIL images its Resize is Pillow's, its crops are its own."""

    def pixels(picture: Picture, recipe: Recipe, tensor: Size) -> Pixels:
        image = np.asarray(_image(picture, recipe))
        return _as_pixels(_placed(image, placements.torchvision, _by_pillow(method), recipe, tensor))

    return Convention(name, what, pixels)


def _tensorflow(name: str, what: str, axis: Axis) -> Convention:
    """What comes out of tf.image.resize is not rounded: a training has seen fractions of pixel values."""

    def pixels(picture: Picture, recipe: Recipe, tensor: Size) -> Pixels:
        return _placed(_real(picture, recipe), placements.tensorflow, _by_weights(axis), recipe, tensor)

    return Convention(name, what, pixels)


def _torchvision(name: str, what: str, axis: Axis) -> Convention:
    """Of a uint8 tensor: computed in float, rounded and clipped once (transforms/_functional_tensor.py, resize).

    Newer versions compute bilinear in whole numbers on some processors, and come within a level of this.
    """

    def resize(pixels: NDArray[Any], size: Size) -> NDArray[Any]:
        return np.clip(np.rint(resampling.resample(pixels, *size, axis)), 0, 255)

    def pixels(picture: Picture, recipe: Recipe, tensor: Size) -> Pixels:
        return _placed(_real(picture, recipe), placements.torchvision, resize, recipe, tensor)

    return Convention(name, what, pixels)


def _by_weights(axis: Axis) -> Resize:
    return lambda pixels, size: resampling.resample(pixels, *size, axis)


def _by_pillow(method: Image.Resampling) -> Resize:
    return lambda pixels, size: np.asarray(Image.fromarray(pixels).resize(size, method))


def _placed(picture: NDArray[Any], place: Place, resize: Resize, recipe: Recipe, tensor: Size) -> NDArray[Any]:
    """Crop, resize and pad (height, width[, channels]) by a framework's own numbers."""
    frame = (picture.shape[1], picture.shape[0])
    found = place(recipe.resize, frame, tensor, recipe.shorter_side, recipe.pad)
    cropped = np.ascontiguousarray(picture[found.crop.rows, found.crop.columns])
    resized = resize(cropped, found.resized)
    if found.placed.size == tensor:
        return resized[found.kept.rows, found.kept.columns]
    whole = np.full((tensor[1], tensor[0], *resized.shape[2:]), found.pad, resized.dtype)
    whole[found.placed.rows, found.placed.columns] = resized
    return whole


def _image(picture: Picture, recipe: Recipe) -> Image.Image:
    """The picture as Pillow has it, in the recipe's order of channels."""
    if recipe.color == "bgr":
        return Image.fromarray(np.ascontiguousarray(picture))
    image = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))
    return image.convert("L") if recipe.color == "gray" else image


def _real(picture: Picture, recipe: Recipe) -> Pixels:
    """The picture as real numbers, in the recipe's order of channels."""
    if recipe.color == "bgr":
        return picture.astype(np.float64)
    rgb = picture[:, :, ::-1].astype(np.float64)
    return rgb @ np.array(_GRAY)[:, None] if recipe.color == "gray" else rgb


def _as_pixels(pixels: NDArray[Any]) -> Pixels:
    """Return (height, width, channels) in float64."""
    real = pixels.astype(np.float64)
    return real[:, :, None] if real.ndim == 2 else real
