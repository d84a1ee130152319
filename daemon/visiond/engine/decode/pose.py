"""Pose: what all kinds of pose outputs share: the names of keypoints, and the object that they make up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from visiond.detection import Box, Detection, Keypoint
from visiond.engine.decode.decoder import DecodeSettings
from visiond.errors import ModelError

# COCO's order, which MoveNet and PoseNet have too.
COCO_KEYPOINTS: Final = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)
MAX_POSES: Final = 20  # of one frame: each takes 1.5 kB, and a result must fit between two processes and on the socket
CLASS_ID: Final = 0  # a pose model knows one class
BOXED_SCORE: Final = 0.2  # a keypoint that counts for the box: MIN_CROP_KEYPOINT_SCORE of MoveNet's own tutorial
_LEAST_SURE: Final = 3


def keypoint_names(given: Sequence[str] | None, count: int) -> tuple[str | None, ...]:
    """Return the names of `count` keypoints: the package's, else COCO's for 17, else None. Raises ModelError."""
    if given is not None and len(given) != count:
        raise ModelError(f"output.keypoints has {len(given)} names, and the model gives {count} keypoints")
    if given is not None:
        return tuple(given)
    return COCO_KEYPOINTS if count == len(COCO_KEYPOINTS) else (None,) * count


def pose(keypoints: Sequence[Keypoint], score: float, settings: DecodeSettings, box: Box | None = None) -> Detection:
    """Return an object with these keypoints; without a `box`, that of the keypoints of which the model is not unsure.

    Where it is sure of fewer than three, which enclose nothing, they all count.
    """
    if box is None:
        sure = [point for point in keypoints if point.score >= BOXED_SCORE]
        counted = sure if len(sure) >= _LEAST_SURE else keypoints
        x, y = [point.x for point in counted], [point.y for point in counted]
        box = Box(min(x), min(y), max(x), max(y))
    return Detection(settings.labels.name(CLASS_ID), CLASS_ID, score, box, keypoints=tuple(keypoints))
