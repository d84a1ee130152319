"""Drawn solids: six bodies, turned, lit and painted with OpenCV's polygons. `scenes.py` puts them into pictures.

A body is a set of flat faces inside the unit sphere, in x right, y down, z towards the viewer; its own axis is z. Seen
along z without perspective, so a face is a polygon, and hidden where its normal points away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float64]

LABELS: Final = ("ball", "cube", "pyramid", "star", "ring", "cross")

# How far a body's own axis may lean away from the viewer, in degrees: beyond it, the body cannot be told from another.
LEAN_DEG: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"ball": (0, 0), "cube": (0, 180), "pyramid": (25, 100), "star": (0, 45), "ring": (0, 50), "cross": (0, 45)}
)

_LIGHT: Final = (-0.42, -0.64, 0.64)  # unit vector towards the lamp: above, to the left, in front
_AMBIENT: Final = 0.42
_SUBPIXEL_BITS: Final = 4
_BALL_STEP_PX: Final = 2.5


@dataclass(frozen=True, slots=True)
class Pose:
    """How a body stands, in degrees: turned about its own axis, leant back from the viewer, spun in the picture."""

    turn: float
    lean: float
    spin: float

    def matrix(self) -> _Floats:
        """Rotation, 3×3: spin about z, after lean about x, after turn about z."""
        turn, lean, spin = (math.radians(angle) for angle in (self.turn, self.lean, self.spin))
        return _about_z(spin) @ _about_x(lean) @ _about_z(turn)


@dataclass(frozen=True, slots=True)
class Solid:
    """One body in a picture: centre and radius of the sphere around it in pixels, colour as BGR, 0 to 255."""

    label: str
    x: float
    y: float
    radius: float
    pose: Pose
    colour: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class _Face:
    """`outline` is (n, 3); `hole` too, or None; `normal` points outwards and has length 1."""

    outline: _Floats
    normal: _Floats
    hole: _Floats | None = None


def draw(picture: Picture, solid: Solid, mask: Picture | None = None, mark: int = 255) -> None:
    """Paint `solid` into `picture`; where `mask` (one byte per pixel) is given, write `mark` wherever it covers."""
    if solid.label == "ball":
        return _draw_ball(picture, solid, mask, mark)
    rotation = solid.pose.matrix()
    visible = [(face, normal) for face in _faces(solid.label) if (normal := rotation @ face.normal)[2] > 0]
    turned = [(face.outline @ rotation.T, face.hole, normal) for face, normal in visible]
    for outline, hole, normal in sorted(turned, key=lambda face: float(face[0][:, 2].mean())):
        polygon = [_pixels(outline, solid)] + ([] if hole is None else [_pixels(hole @ rotation.T, solid)])
        cv2.fillPoly(picture, polygon, _lit(solid.colour, normal), cv2.LINE_AA, _SUBPIXEL_BITS)
        if mask is not None:
            cv2.fillPoly(mask, polygon, (mark,), cv2.LINE_8, _SUBPIXEL_BITS)
    return None


def _draw_ball(picture: Picture, solid: Solid, mask: Picture | None, mark: int) -> None:
    """Discs that shrink towards the point that faces the lamp, each as bright as the sphere is along its edge."""
    steps = max(4, round(solid.radius / _BALL_STEP_PX))
    for step in range(steps):
        inward = step / steps
        centre = tuple(
            round((at + inward * solid.radius * light) * (1 << _SUBPIXEL_BITS))
            for at, light in ((solid.x, _LIGHT[0]), (solid.y, _LIGHT[1]))
        )
        radius = round(solid.radius * (1 - inward) * (1 << _SUBPIXEL_BITS))
        brightness = _AMBIENT + (1 - _AMBIENT) * math.sin(inward * math.pi / 2)
        colour = tuple(brightness * channel for channel in solid.colour)
        cv2.circle(picture, centre, radius, colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS)
        if mask is not None and step == 0:
            cv2.circle(mask, centre, radius, (mark,), -1, cv2.LINE_8, _SUBPIXEL_BITS)


def _pixels(points: _Floats, solid: Solid) -> npt.NDArray[np.int32]:
    """Project points of the unit sphere into the picture, in OpenCV's fixed point."""
    flat = points[:, :2] * solid.radius + (solid.x, solid.y)
    return np.rint(flat * (1 << _SUBPIXEL_BITS)).astype(np.int32)


def _lit(colour: tuple[float, float, float], normal: _Floats) -> tuple[float, ...]:
    """Lambert's law over an ambient light: colour times ambient + (1 - ambient) · max(0, normal · light)."""
    brightness = _AMBIENT + (1 - _AMBIENT) * max(0.0, float(normal @ _LIGHT))
    return tuple(brightness * channel for channel in colour)


@cache
def _faces(label: str) -> tuple[_Face, ...]:
    if label == "cube":
        half = 1 / math.sqrt(3)
        return _prism(_polygon(4, half * math.sqrt(2)), half)
    if label == "pyramid":
        return _pyramid(sides=4, base_radius=0.84, base_z=-0.54, apex_z=1.0)
    if label == "star":
        return _prism(_polygon(5, 0.97, inner_radius=0.42), 0.22)
    if label == "ring":
        return _prism(_polygon(28, 0.96), 0.2, hole=_polygon(28, 0.55))
    if label == "cross":
        return _prism(_plus(0.93, arm=0.29), 0.2)
    raise ValueError(f"no solid named {label}")


def _prism(outline: _Floats, half_depth: float, hole: _Floats | None = None) -> tuple[_Face, ...]:
    """Extrude a flat outline, (n, 2), to ±half_depth; the walls of a hole face inwards."""
    front = _Face(_at(outline, half_depth), np.array((0.0, 0.0, 1.0)), None if hole is None else _at(hole, half_depth))
    back = _Face(
        _at(outline, -half_depth), np.array((0.0, 0.0, -1.0)), None if hole is None else _at(hole, -half_depth)
    )
    walls = _walls(outline, half_depth) + (() if hole is None else _walls(hole[::-1], half_depth))
    return (front, back, *walls)


def _walls(outline: _Floats, half_depth: float) -> tuple[_Face, ...]:
    walls = []
    for start, end in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        corners = np.concatenate((_at(np.stack((start, end)), half_depth), _at(np.stack((end, start)), -half_depth)))
        walls.append(_Face(corners, np.array((along[1], -along[0], 0.0))))
    return tuple(walls)


def _pyramid(sides: int, base_radius: float, base_z: float, apex_z: float) -> tuple[_Face, ...]:
    base = _at(_polygon(sides, base_radius), base_z)
    apex = np.array((0.0, 0.0, apex_z))
    faces = [_Face(base, np.array((0.0, 0.0, -1.0)))]
    for start, end in zip(base, np.roll(base, -1, axis=0), strict=True):
        normal = np.cross(end - start, apex - start)
        faces.append(_Face(np.stack((start, end, apex)), normal / np.linalg.norm(normal)))
    return tuple(faces)


def _polygon(corners: int, radius: float, inner_radius: float | None = None) -> _Floats:
    """Regular polygon, (n, 2), running from x to y; with `inner_radius` a star of that many points."""
    count = corners if inner_radius is None else 2 * corners
    angles = np.arange(count) * (2 * math.pi / count)
    radii = np.where(np.arange(count) % 2 == 0, radius, radius if inner_radius is None else inner_radius)
    return np.stack((radii * np.cos(angles), radii * np.sin(angles)), axis=1)


def _plus(reach: float, arm: float) -> _Floats:
    """Outline of a plus sign, (12, 2): arms of half width `arm` that end `reach` from the centre."""
    corner = np.array(((reach, -arm), (reach, arm), (arm, arm)))
    turns = (_about_z(quarter * math.pi / 2)[:2, :2] for quarter in range(4))
    return np.concatenate([corner @ turn.T for turn in turns])


def _at(outline: _Floats, z: float) -> _Floats:
    return np.column_stack((outline, np.full(len(outline), z)))


def _about_z(angle: float) -> _Floats:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array(((cosine, -sine, 0.0), (sine, cosine, 0.0), (0.0, 0.0, 1.0)))


def _about_x(angle: float) -> _Floats:
    cosine, sine = math.cos(angle), math.sin(angle)
    return np.array(((1.0, 0.0, 0.0), (0.0, cosine, -sine), (0.0, sine, cosine)))
