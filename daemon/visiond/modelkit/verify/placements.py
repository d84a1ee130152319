"""Where each framework's own functions put the picture, for the package format's four ways of resizing.

They agree on the idea and differ by a pixel: what is rounded, and which way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from visiond.engine.geometry import Size, Window


@dataclass(frozen=True, slots=True)
class Placement:
    """`crop` of the picture is resized to `resized`; `kept` of that goes to `placed`; `pad` is the pixel around it."""

    crop: Window
    resized: Size
    kept: Window
    placed: Window
    pad: int = 0


def torchvision(resize: str, frame: Size, tensor: Size, shorter_side: int | None, pad: int) -> Placement:
    """Resize, CenterCrop: torchvision/transforms/functional.py, _compute_resized_output_size and center_crop.

    The longer side is cut off to whole pixels, the crop starts at round((side - crop) / 2), halves to even.
    """
    if resize == "shorter_side":
        resized = _shorter_side(frame, shorter_side or _least_side(frame, tensor))
        left, top = (round((side - kept) / 2) for side, kept in zip(resized, tensor, strict=True))
        return Placement(_whole(frame), resized, Window(left, top, *tensor), _whole(tensor))
    if resize == "center_crop":
        size = _widest(frame, tensor)
        left, top = (round((side - kept) / 2) for side, kept in zip(frame, size, strict=True))
        return Placement(Window(left, top, *size), tensor, _whole(tensor), _whole(tensor))
    return ultralytics(resize, frame, tensor, shorter_side, pad)


def tensorflow(resize: str, frame: Size, tensor: Size, shorter_side: int | None, pad: int) -> Placement:
    """What TensorFlow's own code does for each way, in python/ops/image_ops_impl.py unless another place is named.

    letterbox: resize_with_pad, which cuts off to whole pixels and pads with 0. center_crop: Keras' smart_resize
    (keras/src/utils/image_utils.py). shorter_side: _aspect_preserving_resize and _central_crop of the model garden's
    resnet_preprocessing.
    """
    if resize == "letterbox":
        real = np.float32  # as there: 333 pixels for 224 become 223.99998, and so 223
        ratio = max(real(frame[0]) / real(tensor[0]), real(frame[1]) / real(tensor[1]))
        exact = real(frame[0]) / ratio, real(frame[1]) / ratio
        inner = math.floor(exact[0]), math.floor(exact[1])
        left, top = (max(0, math.floor((side - kept) / 2)) for side, kept in zip(tensor, exact, strict=True))
        return Placement(_whole(frame), inner, _whole(inner), Window(left, top, *inner), pad=0)
    if resize == "center_crop":
        size = _widest(frame, tensor)
        return Placement(Window.centred(size, frame), tensor, _whole(tensor), _whole(tensor))
    if resize == "shorter_side":
        resized = _shorter_side(frame, shorter_side or _least_side(frame, tensor))
        return Placement(_whole(frame), resized, Window.centred(tensor, resized), _whole(tensor))
    return ultralytics(resize, frame, tensor, shorter_side, pad)


def ultralytics(resize: str, frame: Size, tensor: Size, shorter_side: int | None, pad: int) -> Placement:
    """What is usually written around cv2.resize; letterbox as in ultralytics/data/augment.py, LetterBox."""
    if resize == "letterbox":
        ratio = min(tensor[0] / frame[0], tensor[1] / frame[1])
        inner = round(frame[0] * ratio), round(frame[1] * ratio)
        left, top = (round((side - kept) / 2 - 0.1) for side, kept in zip(tensor, inner, strict=True))
        return Placement(_whole(frame), inner, _whole(inner), Window(left, top, *inner), pad)
    if resize == "stretch":
        return Placement(_whole(frame), tensor, _whole(tensor), _whole(tensor))
    return torchvision(resize, frame, tensor, shorter_side, pad)


def _whole(size: Size) -> Window:
    return Window(0, 0, *size)


def _least_side(frame: Size, tensor: Size) -> int:
    """The shorter side at which the picture just covers the input: the input's own, where it is a square."""
    if tensor[0] == tensor[1]:
        return tensor[0]
    factor = max(tensor[0] / frame[0], tensor[1] / frame[1])
    return math.ceil(min(frame) * factor - 1e-9)


def _shorter_side(frame: Size, side: int) -> Size:
    width, height = frame
    return (side, side * height // width) if width <= height else (side * width // height, side)


def _widest(frame: Size, tensor: Size) -> Size:
    """The largest size of the input's shape within the picture, cut off to whole pixels."""
    return min(frame[0], frame[1] * tensor[0] // tensor[1]), min(frame[1], frame[0] * tensor[1] // tensor[0])
