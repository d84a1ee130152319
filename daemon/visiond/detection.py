"""What the engine found in one frame: immutable values, plain Python, no arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Box:
    """Corners as fractions of the frame, origin at the top left: 0 ≤ xmin ≤ xmax ≤ 1, likewise y."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float

    @classmethod
    def clamped(cls, xmin: float, ymin: float, xmax: float, ymax: float) -> Self:
        """Put each corner inside the frame; a reversed pair collapses to its first corner."""
        xmin, ymin = min(max(xmin, 0.0), 1.0), min(max(ymin, 0.0), 1.0)
        return cls(xmin, ymin, max(xmin, min(max(xmax, 0.0), 1.0)), max(ymin, min(max(ymax, 0.0), 1.0)))

    @property
    def area(self) -> float:
        """Fraction of the frame that the box covers."""
        return (self.xmax - self.xmin) * (self.ymax - self.ymin)

    def iou(self, other: Box) -> float:
        """Intersection over union, 0 to 1; two empty boxes have 0."""
        width = min(self.xmax, other.xmax) - max(self.xmin, other.xmin)
        height = min(self.ymax, other.ymax) - max(self.ymin, other.ymin)
        if width <= 0 or height <= 0:
            return 0.0
        intersection = width * height
        union = self.area + other.area - intersection
        return intersection / union if union > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Detection:
    """One object: `label` is None when the label file has no line for `class_id`; `score` is 0 to 1."""

    label: str | None
    class_id: int
    score: float
    box: Box
    track_id: int | None = None
    zones: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Classification:
    """One class of a classifier's ranking; `score` is 0 to 1."""

    label: str | None
    class_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Stages:
    """Where one frame's time went, in milliseconds. `wait`: from capture to invoke, less preprocess."""

    wait: float
    preprocess: float
    invoke: float
    decode: float


@dataclass(frozen=True, slots=True)
class Result:
    """One frame's outcome. Exactly one of `objects` (detection) and `classes` (classification) is not None.

    `captured_ns` is CLOCK_MONOTONIC; `engine` says what computed it: "cpu" or "edgetpu". `swapped`: the accelerator
    had computed another model before, and loaded this one's parameters anew.
    """

    camera: str
    frame: int
    captured_ns: int
    engine: str
    stages_ms: Stages
    objects: tuple[Detection, ...] | None = None
    classes: tuple[Classification, ...] | None = None
    swapped: bool = False

    def with_objects(self, objects: tuple[Detection, ...]) -> Result:
        """Return the same result with other objects."""
        return Result(
            self.camera,
            self.frame,
            self.captured_ns,
            self.engine,
            self.stages_ms,
            objects,
            self.classes,
            self.swapped,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON, compact: a result crosses two processes for every frame."""
        stages, objects, classes = self.stages_ms, self.objects, self.classes
        return {
            "camera": self.camera,
            "frame": self.frame,
            "captured_ns": self.captured_ns,
            "engine": self.engine,
            "stages_ms": (stages.wait, stages.preprocess, stages.invoke, stages.decode),
            "objects": None
            if objects is None
            else [
                (o.label, o.class_id, o.score, (o.box.xmin, o.box.ymin, o.box.xmax, o.box.ymax), o.track_id, o.zones)
                for o in objects
            ],
            "classes": None if classes is None else [(c.label, c.class_id, c.score) for c in classes],
            "swapped": self.swapped,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Build from what `to_json` gave, after a trip through JSON."""
        objects, classes = fields["objects"], fields["classes"]
        return cls(
            camera=fields["camera"],
            frame=fields["frame"],
            captured_ns=fields["captured_ns"],
            engine=fields["engine"],
            stages_ms=Stages(*fields["stages_ms"]),
            objects=None
            if objects is None
            else tuple(
                Detection(label, class_id, score, Box(*corners), track_id, tuple(zones))
                for label, class_id, score, corners, track_id, zones in objects
            ),
            classes=None if classes is None else tuple(Classification(*each) for each in classes),
            swapped=fields["swapped"],
        )
