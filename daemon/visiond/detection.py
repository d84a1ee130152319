"""What the engine found in one frame: immutable values, plain Python, no arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
class Keypoint:
    """A point of a pose, as fractions of the frame, clamped to it; `name` is None when nothing tells it."""

    name: str | None
    x: float
    y: float
    score: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One object: `label` is None when the label file has no line for `class_id`; `score` is 0 to 1.

    A pose is one with `keypoints`, in the model's order; of any other object nothing is known of them: None.
    """

    label: str | None
    class_id: int
    score: float
    box: Box
    track_id: int | None = None
    zones: tuple[str, ...] = ()
    keypoints: tuple[Keypoint, ...] | None = None


@dataclass(frozen=True, slots=True)
class Classification:
    """One class of a classifier's ranking; `score` is 0 to 1."""

    label: str | None
    class_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Mask:
    """Which cells of a grid over the whole frame are part of something: run lengths as COCO's annotations have them.

    `counts` are the lengths of runs in turn, cells outside first (0 where the first cell is inside), column by column
    from the top left; they add up to height · width.
    """

    height: int
    width: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Segment:
    """All of a frame that belongs to one class: `area` is its fraction of the frame, `box` encloses it."""

    label: str | None
    class_id: int
    area: float
    box: Box
    mask: Mask


@dataclass(frozen=True, slots=True)
class Stages:
    """Where one frame's time went, in milliseconds. `wait`: from capture to invoke, less preprocess."""

    wait: float
    preprocess: float
    invoke: float
    decode: float


@dataclass(frozen=True, slots=True)
class Result:
    """One frame's outcome. Exactly one of `objects` (detection, pose), `classes` and `segments` is not None.

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
    segments: tuple[Segment, ...] | None = None

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
            self.segments,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON, compact: a result crosses two processes for every frame."""
        stages, objects, classes, segments = self.stages_ms, self.objects, self.classes, self.segments
        return {
            "camera": self.camera,
            "frame": self.frame,
            "captured_ns": self.captured_ns,
            "engine": self.engine,
            "stages_ms": (stages.wait, stages.preprocess, stages.invoke, stages.decode),
            "objects": None if objects is None else [_pack_object(each) for each in objects],
            "classes": None if classes is None else [(c.label, c.class_id, c.score) for c in classes],
            "swapped": self.swapped,
            "segments": None if segments is None else [_pack_segment(each) for each in segments],
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Build from what `to_json` gave, after a trip through JSON."""
        objects, classes, segments = fields["objects"], fields["classes"], fields["segments"]
        return cls(
            camera=fields["camera"],
            frame=fields["frame"],
            captured_ns=fields["captured_ns"],
            engine=fields["engine"],
            stages_ms=Stages(*fields["stages_ms"]),
            objects=None if objects is None else tuple(_unpack_object(*each) for each in objects),
            classes=None if classes is None else tuple(Classification(*each) for each in classes),
            swapped=fields["swapped"],
            segments=None if segments is None else tuple(_unpack_segment(*each) for each in segments),
        )


def _pack_object(found: Detection) -> tuple[Any, ...]:
    box, keypoints = found.box, found.keypoints
    points = None if keypoints is None else [(point.name, point.x, point.y, point.score) for point in keypoints]
    corners = (box.xmin, box.ymin, box.xmax, box.ymax)
    return found.label, found.class_id, found.score, corners, found.track_id, found.zones, points


def _unpack_object(
    label: str | None,
    class_id: int,
    score: float,
    corners: Sequence[float],
    track_id: int | None,
    zones: Sequence[str],
    points: Sequence[Sequence[Any]] | None,
) -> Detection:
    keypoints = None if points is None else tuple(Keypoint(*point) for point in points)
    return Detection(label, class_id, score, Box(*corners), track_id, tuple(zones), keypoints)


def _pack_segment(found: Segment) -> tuple[Any, ...]:
    box, mask = found.box, found.mask
    corners = (box.xmin, box.ymin, box.xmax, box.ymax)
    return found.label, found.class_id, found.area, corners, mask.height, mask.width, mask.counts


def _unpack_segment(
    label: str | None,
    class_id: int,
    area: float,
    corners: Sequence[float],
    height: int,
    width: int,
    counts: Sequence[int],
) -> Segment:
    return Segment(label, class_id, area, Box(*corners), Mask(height, width, tuple(counts)))
