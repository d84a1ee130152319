"""PoseNet: several persons from raw heads, by the greedy decoding of PersonLab.

Papandreou et al. 2018, "PersonLab", section 3.1; the numbers are those of Coral's own operator (DecodeAllPoses in
libcoral's posenet_decoder.cc). Heatmaps [1, h, w, K] are logits. Short offsets [1, h, w, 2 K] lead from a cell to the
keypoint itself, all y first, then all x. Displacements lead from a keypoint to its neighbour in the body, along 16
edges and back: [1, h, w, 32] each, or both in one tensor [1, h, w, 64], again y before x. All are in pixels of the
input, of which a cell is `stride` wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection, Keypoint
from visiond.engine.decode.activation import least_raw, logit
from visiond.engine.decode.decoder import DecoderSpec, DecodeSettings
from visiond.engine.decode.pose import MAX_POSES, keypoint_names, pose
from visiond.engine.decode.posenet_heads import EDGES, Heads, Point
from visiond.engine.decode.posenet_roles import KEYPOINTS, resolve_roles
from visiond.engine.geometry import Geometry
from visiond.engine.tensors import TensorInfo

SUPPRESSION_RADIUS: Final = 20.0  # pixels of the input: TensorFlow.js's default of nmsRadius


class PoseNet:
    """Decodes raw heads into persons with 17 keypoints each."""

    def __init__(self, spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> None:
        """Raises ModelError when the outputs are not these heads; the operator's outputs are told apart in words."""
        self._roles = resolve_roles(spec.roles, outputs)
        self._infos = tuple(outputs)
        self._names = keypoint_names(spec.keypoints, KEYPOINTS)
        self._settings = settings
        heatmaps = outputs[self._roles.heatmaps]
        self._least_raw = least_raw(logit(settings.min_score), heatmaps)
        _, rows, columns, _ = heatmaps.shape
        width, height = settings.input_size
        # 257 pixels have 9 cells, 641 have 41: the first cell's centre is the first pixel, the last one's the last.
        wide = columns > 1
        steps = (width - 1) / (columns - 1) if wide else (height - 1) / max(1, rows - 1)
        self._stride = max(1, round(steps))

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return the persons that reach `min_score`, best first. Raises InvalidOutput.

        The score is the keypoints' mean; one that lies on that of a better person adds nothing to it.
        """
        heads = Heads(self._roles, self._infos, outputs, self._stride)
        roots = _local_maxima(outputs[self._roles.heatmaps][0], self._least_raw)
        order = np.argsort(-heads.heatmaps[tuple(roots.T)], kind="stable")
        found: list[NDArray[np.float64]] = []  # (17, 3): y, x in cells, score
        radius = SUPPRESSION_RADIUS / self._stride
        for row, column, keypoint in roots[order].tolist():
            if len(found) == min(MAX_POSES, self._settings.max_objects):
                break
            root = heads.refined((float(row), float(column)), keypoint)
            if all(math.dist(root, other[keypoint, :2]) > radius for other in found):
                person = _grown(heads, keypoint, root)
                if person[:, 2].mean() >= self._settings.min_score:
                    found.append(person)
        return tuple(self._persons(found, radius, geometry))

    def _persons(self, found: list[NDArray[np.float64]], radius: float, geometry: Geometry) -> list[Detection]:
        found.sort(key=lambda person: -person[:, 2].mean())
        persons = []
        for rank, person in enumerate(found):
            own = np.ones(KEYPOINTS, bool)
            for better in found[:rank]:
                own &= np.hypot(*(person - better)[:, :2].T) > radius
            score = float((person[:, 2] * own).sum() / KEYPOINTS)
            if score >= self._settings.min_score:
                persons.append(pose(self._keypoints(person, geometry), score, self._settings))
        return sorted(persons, key=lambda each: -each.score)

    def _keypoints(self, person: NDArray[np.float64], geometry: Geometry) -> list[Keypoint]:
        width, height = self._settings.input_size
        keypoints = []
        for name, (y, x, score) in zip(self._names, person.tolist(), strict=True):
            place = geometry.point(x * self._stride / width, y * self._stride / height)
            keypoints.append(Keypoint(name, *place, score))
        return keypoints


def _local_maxima(raw: NDArray[Any], least: float) -> NDArray[np.intp]:
    """Return row, column and keypoint (n, 3) of values that reach `least` and that no value around them exceeds.

    Compared as they are: what a quantized tensor's scale would do to them changes no order.
    """
    rows, columns, _ = raw.shape
    highest = raw
    for axis, length in ((0, rows), (1, columns)):
        before = np.take(highest, np.maximum(np.arange(length) - 1, 0), axis)
        after = np.take(highest, np.minimum(np.arange(length) + 1, length - 1), axis)
        highest = np.maximum(highest, np.maximum(before, after))
    return np.argwhere((raw >= least) & (raw == highest))


def _grown(heads: Heads, keypoint: int, place: Point) -> NDArray[np.float64]:
    """Follow the edges from one keypoint to all others. The body is a tree: there is one way to each."""
    person = np.zeros((KEYPOINTS, 3))
    person[keypoint] = *place, heads.score(place, keypoint)
    for source, target, edge, backward in _ways(keypoint):
        y, x, _ = person[source].tolist()
        place = heads.neighbour((y, x), edge, backward, target)
        person[target] = *place, heads.score(place, target)
    return person


def _ways(root: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yield (from, to, edge, whether against its direction), each keypoint after the one that it is reached from."""
    reached, waiting = {root}, [root]
    while waiting:
        source = waiting.pop()
        for edge, (head, tail) in enumerate(EDGES):
            for start, target, backward in ((head, tail, False), (tail, head, True)):
                if start == source and target not in reached:
                    reached.add(target)
                    waiting.append(target)
                    yield source, target, edge, backward
