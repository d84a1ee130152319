"""Scenes of drawn solids: still ones with their ground truth, and one that moves. Training, evaluation and the
synthetic camera all draw with this file, so what the embedded model learns is what the camera shows.

Everything follows from a seed: the same seed gives the same pixels with the same versions of NumPy and OpenCV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np

from visiond.cameras.solids import LABELS, LEAN_DEG, Picture, Pose, Solid, draw
from visiond.detection import Box

DIAMETER: Final = (0.16, 0.48)  # of a solid's bounding sphere, as a fraction of the picture's width
MAX_OBJECTS: Final = 12
_MAX_COVERED: Final = 0.2  # of one solid's disc by another's bounding square, in a still scene
_PLACING_TRIES: Final = 30
_NOISE_ROWS: Final = (
    64  # rows by which the moving scene's noise is larger than the picture, to start at another each frame
)


@dataclass(frozen=True, slots=True)
class Truth:
    """What is really there: `box` holds the pixels of the solid that can be seen, tightly."""

    label: str
    box: Box


def still_scene(seed: int, size: tuple[int, int] = (640, 480)) -> tuple[Picture, tuple[Truth, ...]]:
    """Draw the scene of this seed: BGR uint8 (height, width, 3), and its truth. About one in twenty is empty."""
    rng = np.random.default_rng(seed)
    picture = _background(rng, size)
    count = 0 if rng.random() < 0.05 else int(rng.integers(1, 7))
    solids = _place(rng, size, count)
    truth = _paint(picture, solids)
    if rng.random() < 0.6:
        sigma = float(rng.uniform(0.4, 1.6))
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)
    _add_noise(picture, rng.integers(0, 256, picture.shape, np.uint8), float(rng.uniform(0.0, 0.14)))
    return picture, truth


class MovingScene:
    """Solids that drift, turn and bounce before a background drawn once. Any moment can be drawn, in any order."""

    def __init__(self, size: tuple[int, int], seed: int = 0, objects: int = 4) -> None:
        self.size = size
        rng = np.random.default_rng(seed)
        self._background = np.asarray(cv2.GaussianBlur(_background(rng, size), (3, 3), 0), np.uint8)
        self._noise = rng.integers(0, 256, (size[1] + _NOISE_ROWS, size[0], 3), np.uint8)
        labels = [LABELS[(int(rng.integers(len(LABELS))) + index) % len(LABELS)] for index in range(objects)]
        self._movers = [_Mover.random(rng, label, size) for label in labels]

    def draw(self, moment_s: float, picture: Picture) -> None:
        """Draw the scene as it stands at `moment_s` into `picture`, BGR uint8 (height, width, 3)."""
        np.copyto(picture, self._background)
        for mover in self._movers:
            draw(picture, mover.at(moment_s))
        row = round(moment_s * 1000) * 37 % _NOISE_ROWS
        _add_noise(picture, self._noise[row : row + self.size[1]], 0.06)

    def truth(self, moment_s: float) -> tuple[Truth, ...]:
        """What can be seen at `moment_s`; a solid that others hide wholly is left out."""
        width, height = self.size
        return _paint(np.empty((height, width, 3), np.uint8), [mover.at(moment_s) for mover in self._movers])


@dataclass(frozen=True, slots=True)
class _Mover:
    """A solid as it stands at moment 0, with speeds in pixels and degrees per second."""

    start: Solid
    size: tuple[int, int]
    x_speed: float
    y_speed: float
    turn_speed: float
    spin_speed: float

    @classmethod
    def random(cls, rng: np.random.Generator, label: str, size: tuple[int, int]) -> _Mover:
        solid = _random_solid(rng, size, label)
        heading = rng.uniform(0, 2 * math.pi)
        speed = size[0] * rng.uniform(0.06, 0.2)
        return cls(
            solid,
            size,
            speed * math.cos(heading),
            speed * math.sin(heading),
            *(float(v) for v in rng.uniform(-50, 50, 2)),
        )

    def at(self, moment_s: float) -> Solid:
        """The solid at that moment: it bounces off the picture's edges, and its lean swings within what is allowed."""
        solid, pose = self.start, self.start.pose
        low, high = LEAN_DEG[solid.label]
        return replace(
            solid,
            x=_bounce(solid.x + self.x_speed * moment_s, solid.radius, self.size[0] - solid.radius),
            y=_bounce(solid.y + self.y_speed * moment_s, solid.radius, self.size[1] - solid.radius),
            pose=Pose(
                turn=pose.turn + self.turn_speed * moment_s,
                lean=_bounce(pose.lean + 0.5 * abs(self.spin_speed) * moment_s, low, high),
                spin=pose.spin + self.spin_speed * moment_s,
            ),
        )


def _bounce(value: float, low: float, high: float) -> float:
    """Fold a value that runs on for ever into [low, high], as a ball between two walls."""
    span = high - low
    if span <= 0:
        return low
    turned = (value - low) % (2 * span)
    return low + min(turned, 2 * span - turned)


def _paint(picture: Picture, solids: Sequence[Solid]) -> tuple[Truth, ...]:
    """Draw the solids, the first one furthest away, and return what remains visible of each."""
    height, width = picture.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    for mark, solid in enumerate(solids, start=1):
        draw(picture, solid, mask, mark)
    truth = []
    for mark, solid in enumerate(solids, start=1):
        x, y, wide, high = cv2.boundingRect((mask == mark).view(np.uint8))
        if wide:
            truth.append(Truth(solid.label, Box(x / width, y / height, (x + wide) / width, (y + high) / height)))
    return tuple(truth)


def _place(rng: np.random.Generator, size: tuple[int, int], count: int) -> list[Solid]:
    """Up to `count` solids inside the picture that cover each other little; fewer where there is no room."""
    placed: list[Solid] = []
    for _ in range(count):
        for _ in range(_PLACING_TRIES):
            solid = _random_solid(rng, size, LABELS[int(rng.integers(len(LABELS)))])
            if all(_covered(solid, other) <= _MAX_COVERED for other in placed):
                placed.append(solid)
                break
    return placed


def _covered(one: Solid, other: Solid) -> float:
    """How much of the smaller one's bounding square the other one's covers, 0 to 1."""
    reach = one.radius + other.radius
    smaller = 2 * min(one.radius, other.radius)
    wide = min(max(reach - abs(one.x - other.x), 0.0), smaller)
    high = min(max(reach - abs(one.y - other.y), 0.0), smaller)
    return wide * high / smaller**2


def _random_solid(rng: np.random.Generator, size: tuple[int, int], label: str) -> Solid:
    width, height = size
    low, high = (math.log(fraction * width) for fraction in DIAMETER)
    radius = min(math.exp(rng.uniform(low, high)) / 2, 0.45 * height)
    turn, spin = (float(angle) for angle in rng.uniform(0, 360, 2))
    return Solid(
        label,
        x=float(rng.uniform(radius, width - radius)),
        y=float(rng.uniform(radius, height - radius)),
        radius=radius,
        pose=Pose(turn, float(rng.uniform(*LEAN_DEG[label])), spin),
        colour=_bgr(rng.uniform(0, 180), rng.uniform(90, 255), rng.uniform(150, 255)),
    )


def _background(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """A dull gradient with texture of two grains and lines that belong to nothing."""
    base = np.array(_bgr(rng.uniform(0, 180), rng.uniform(0, 90), rng.uniform(30, 200)))
    picture = np.asarray(cv2.resize(base + rng.uniform(-45, 45, (3, 3, 3)), size, interpolation=cv2.INTER_CUBIC), float)
    for grain_px in (rng.uniform(4, 9), rng.uniform(20, 60)):
        cells = (max(2, round(size[1] / grain_px)), max(2, round(size[0] / grain_px)))
        texture = rng.uniform(-1, 1, cells) * rng.uniform(0, 16)
        picture += np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_LINEAR), float)[:, :, np.newaxis]
    scene: Picture = np.clip(picture, 0, 255).astype(np.uint8)
    for _ in range(int(rng.integers(0, 11))):
        corners = rng.uniform(-0.1, 1.1, (int(rng.integers(2, 5)), 2)) * size
        colour = tuple(float(channel) for channel in np.clip(base + rng.uniform(-90, 90, 3), 0, 255))
        thickness_px = int(rng.integers(1, 2 + size[0] // 160))
        cv2.polylines(scene, [np.rint(corners).astype(np.int32)], False, colour, thickness_px, cv2.LINE_AA)
    return scene


def _add_noise(picture: Picture, uniform: Picture, strength: float) -> None:
    """Add sensor noise in place: `uniform` holds 0 to 255, and ±127 · strength is what a pixel may change by."""
    cv2.addWeighted(picture, 1.0, uniform, strength, -127.5 * strength, dst=picture)


def _bgr(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    """Colour in OpenCV's 8-bit HSV (hue 0 to 180) as BGR, 0 to 255."""
    pixel = cv2.cvtColor(np.array([[(hue % 180, saturation, value)]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0]
    return float(pixel[0]), float(pixel[1]), float(pixel[2])
