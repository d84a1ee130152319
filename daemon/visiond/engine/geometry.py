"""Where a frame's pixels lie in the input tensor: the four ways of resizing, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from visiond.detection import Box

Size = tuple[int, int]  # width, height in pixels


@dataclass(frozen=True, slots=True)
class Geometry:
    """Maps fractions of the input tensor to fractions of the frame: frame = (tensor - offset) / scale, per axis."""

    scale_x: float = 1.0
    scale_y: float = 1.0
    offset_x: float = 0.0
    offset_y: float = 0.0

    def box(self, xmin: float, ymin: float, xmax: float, ymax: float) -> Box:
        """Return a box of the tensor as a box of the frame, clamped to it."""
        return Box.clamped(
            (xmin - self.offset_x) / self.scale_x,
            (ymin - self.offset_y) / self.scale_y,
            (xmax - self.offset_x) / self.scale_x,
            (ymax - self.offset_y) / self.scale_y,
        )

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Return a point of the tensor as a point of the frame, x and y, clamped to it."""
        x, y = (x - self.offset_x) / self.scale_x, (y - self.offset_y) / self.scale_y
        return min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of whole pixels; `rows` and `columns` are its slices of an image array."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def centred(cls, size: Size, within: Size) -> Self:
        """Return a window of `size` in the middle; an odd pixel that is left over goes to the right and the bottom."""
        return cls((within[0] - size[0]) // 2, (within[1] - size[1]) // 2, *size)

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height

    @property
    def rows(self) -> slice:
        """Top to bottom."""
        return slice(self.top, self.top + self.height)

    @property
    def columns(self) -> slice:
        """Left to right."""
        return slice(self.left, self.left + self.width)


@dataclass(frozen=True, slots=True)
class Fit:
    """How frames of one size meet the input: `crop` of it is resized to `resized`, `kept` of that goes to `placed`.

    `placed` is a window of the tensor; around it there is padding.
    """

    crop: Window
    resized: Size
    kept: Window
    placed: Window
    geometry: Geometry


def fit(resize: str, frame: Size, tensor: Size, shorter_side: int | None = None) -> Fit:
    """Return the fit of one of the package format's `resize` modes.

    stretch: the whole frame to the whole input, each axis by its own factor.
    letterbox: the whole frame, its aspect kept, as large as fits; centred, padding around it. The sizes are rounded as
        Ultralytics' LetterBox does (round(side * ratio); half the padding, rounded down, at the left and the top).
    center_crop: the largest centred region of the frame that has the input's aspect, to the whole input.
    shorter_side: the frame, its aspect kept, until the shorter side is `shorter_side` pixels long, or, where that is
        None, until it just covers the input; then the centre of that. This is torchvision's Resize and CenterCrop: the
        longer side is cut off to whole pixels, and the crop starts at round((side - input) / 2), halves to even.
    """
    whole = Window(0, 0, *tensor)
    if resize == "letterbox":
        ratio = min(tensor[0] / frame[0], tensor[1] / frame[1])
        inner = max(1, round(frame[0] * ratio)), max(1, round(frame[1] * ratio))
        return _fit(frame, Window(0, 0, *frame), inner, Window(0, 0, *inner), Window.centred(inner, tensor), tensor)
    if resize == "center_crop":
        return _fit(frame, Window.centred(_widest(frame, tensor), frame), tensor, whole, whole, tensor)
    if resize == "shorter_side":
        resized = _covering(frame, tensor, shorter_side)
        left, top = (round((side - kept) / 2) for side, kept in zip(resized, tensor, strict=True))
        return _fit(frame, Window(0, 0, *frame), resized, Window(left, top, *tensor), whole, tensor)
    if resize == "stretch":
        return _fit(frame, Window(0, 0, *frame), tensor, whole, whole, tensor)
    raise ValueError(f"no such resize mode: {resize}")


def _widest(frame: Size, tensor: Size) -> Size:
    """Return the largest size of the tensor's aspect within the frame."""
    if frame[0] * tensor[1] > frame[1] * tensor[0]:
        return max(1, round(frame[1] * tensor[0] / tensor[1])), frame[1]
    return frame[0], max(1, round(frame[0] * tensor[1] / tensor[0]))


def _covering(frame: Size, tensor: Size, shorter_side: int | None) -> Size:
    width, height = frame
    if shorter_side is not None:
        if width <= height:
            return shorter_side, shorter_side * height // width
        return shorter_side * width // height, shorter_side
    if tensor[0] * height >= tensor[1] * width:
        return tensor[0], tensor[0] * height // width
    return tensor[1] * width // height, tensor[1]


def _fit(frame: Size, crop: Window, resized: Size, kept: Window, placed: Window, tensor: Size) -> Fit:
    scale_x, offset_x = _axis(frame[0], crop.left, resized[0] / crop.width, placed.left - kept.left, tensor[0])
    scale_y, offset_y = _axis(frame[1], crop.top, resized[1] / crop.height, placed.top - kept.top, tensor[1])
    return Fit(crop, resized, kept, placed, Geometry(scale_x, scale_y, offset_x, offset_y))


def _axis(frame: int, cropped: int, factor: float, moved: int, tensor: int) -> tuple[float, float]:
    """Put crop, resize and move of one axis together: tensor pixel = (frame pixel - cropped) * factor + moved."""
    return frame * factor / tensor, (moved - cropped * factor) / tensor
