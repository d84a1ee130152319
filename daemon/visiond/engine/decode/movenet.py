"""MoveNet: keypoints that the graph has decoded itself.

Single pose: [1, 1, K, 3], for each keypoint y, x (fractions of the input) and score. Multipose: [1, P, 3 K + 5], for
each person the same in a row, then ymin, xmin, ymax, xmax and the person's score (TensorFlow Hub's pages of
movenet/singlepose and movenet/multipose).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Box, Detection, Keypoint
from visiond.engine.decode.activation import check_finite
from visiond.engine.decode.decoder import DecoderSpec, DecodeSettings, clamp_scores, given_roles, table_of
from visiond.engine.decode.pose import MAX_POSES, keypoint_names, pose
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

_OF_PERSON: Final = 5  # box and score


class MoveNet:
    """Decodes one pose, or several, into objects with keypoints."""

    def __init__(self, spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> None:
        """Raises ModelError when no output has one of the two forms."""
        self._position, count = _resolve(spec, outputs)
        self._info = outputs[self._position]
        self._several = len(self._info.shape) == 3
        self._names = keypoint_names(spec.keypoints, count)
        self._settings = settings

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return the persons that reach `min_score`, best first. Raises InvalidOutput.

        The score of a single pose is its keypoints' mean.
        """
        found = dequantize(outputs[self._position][0], self._info)
        check_finite(found, "keypoints")
        if self._several:
            poses = [self._person(row, geometry) for row in found]
        else:
            keypoints = self._keypoints(found[0], geometry)
            score = float(np.mean([point.score for point in keypoints]))
            poses = [pose(keypoints, score, self._settings)]
        settings = self._settings
        poses = [each for each in poses if each.score >= settings.min_score]
        return tuple(sorted(poses, key=lambda each: -each.score)[: min(MAX_POSES, settings.max_objects)])

    def _person(self, row: NDArray[np.float32], geometry: Geometry) -> Detection:
        ymin, xmin, ymax, xmax, _ = row[-_OF_PERSON:].tolist()
        box: Box = geometry.box(xmin, ymin, xmax, ymax)
        (score,) = clamp_scores(row[-1:]).tolist()
        keypoints = self._keypoints(row[:-_OF_PERSON].reshape(-1, 3), geometry)
        return pose(keypoints, score, self._settings, box)

    def _keypoints(self, rows: NDArray[np.float32], geometry: Geometry) -> list[Keypoint]:
        scores = clamp_scores(rows[:, 2]).tolist()
        places = [geometry.point(x, y) for y, x in rows[:, :2].tolist()]
        return [Keypoint(name, *place, score) for name, place, score in zip(self._names, places, scores, strict=True)]


def _resolve(spec: DecoderSpec, outputs: Sequence[TensorInfo]) -> tuple[int, int]:
    """Return the output's position and the number of keypoints. Raises ModelError."""
    roles = given_roles(spec.roles, ("keypoints",), outputs)
    candidates = range(len(outputs)) if roles is None else [roles["keypoints"]]
    found = [(position, count) for position in candidates if (count := _keypoints_in(outputs[position].shape))]
    if len(found) == 1:
        return found[0]
    raise ModelError(
        "decoder movenet expects one output [1, 1, keypoints, 3], or [1, persons, 3 for each keypoint and 5]; the "
        f"model's outputs are {table_of(outputs)}; choose one by output.roles: {{keypoints: position}}, or choose "
        "another decoder"
    )


def _keypoints_in(shape: tuple[int, ...]) -> int:
    """Return how many keypoints an output of this shape holds, 0 for one that holds none."""
    if len(shape) == 4 and shape[:2] == (1, 1) and shape[3] == 3:
        return shape[2]
    if len(shape) == 3 and shape[0] == 1 and shape[2] > _OF_PERSON and (shape[2] - _OF_PERSON) % 3 == 0:
        return (shape[2] - _OF_PERSON) // 3
    return 0
