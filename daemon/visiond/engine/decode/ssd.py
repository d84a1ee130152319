"""SsdPostprocess: the four outputs of the operator TFLite_Detection_PostProcess, in whatever order a file has them."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Detection
from visiond.engine.decode.decoder import (
    SCORE_CEILING,
    SCORE_FLOOR,
    DecodeSettings,
    InvalidOutput,
    clamp_scores,
)
from visiond.engine.decode.ssd_roles import MAX_CLASS_ID, Roles, resolve_by_value, resolve_roles
from visiond.engine.preprocess import Geometry
from visiond.engine.tensors import TensorInfo, dequantize

log = logging.getLogger(__name__)

_GIVE_ROLES: Final = "if the file's outputs come in another order, give output.roles"
_OTHER_ROLES: Final = "output.roles has them in another order than the file: correct it, or leave it out"


class SsdPostprocess:
    """Decodes boxes [1, N, 4] (ymin, xmin, ymax, xmax as fractions of the input), classes and scores [1, N], count [1].

    The operator has suppressed overlaps and taken the background class off. Only the first `count` rows mean anything:
    its fast path leaves the others unwritten. Boxes may leave the picture: they are clamped, and left out when outside.
    """

    def __init__(
        self, outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None, settings: DecodeSettings
    ) -> None:
        """Raises ModelError when the outputs cannot be these four."""
        self._infos = tuple(outputs)
        self._settings = settings
        self._roles = resolve_roles(roles, outputs)
        self._remedy = _GIVE_ROLES if roles is None else _OTHER_ROLES

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Detection, ...]:
        """Return what reaches `min_score`, best first. Raises InvalidOutput where the used rows make no sense."""
        used = self._count(outputs)
        if used == 0:
            return ()
        roles = self._settled(outputs, used)
        # Plain numbers from here on: for the few rows that there are, NumPy's calls cost more than they save.
        edges: list[float] = self._read(outputs, roles.boxes).ravel()[: 4 * used].tolist()
        classes, scores = (self._row(outputs, position, used).tolist() for position in (roles.classes, roles.scores))
        if not all(map(math.isfinite, edges)):
            raise InvalidOutput(f"a box among the {used} used is NaN or infinite")
        if not all(0 <= each < MAX_CLASS_ID and each.is_integer() for each in classes):
            self._doubt()
            raise InvalidOutput(f"classes are no class ids: {_some(classes)}; {self._remedy}")
        if not all(SCORE_FLOOR <= score <= SCORE_CEILING for score in scores):
            self._doubt()
            clamp_scores(np.array(scores, np.float32))  # says what is wrong with them
        return self._detections(edges, classes, scores, geometry)

    def _detections(
        self, edges: Sequence[float], classes: Sequence[float], scores: Sequence[float], geometry: Geometry
    ) -> tuple[Detection, ...]:
        settings = self._settings
        found: list[Detection] = []
        for row in sorted(range(len(scores)), key=scores.__getitem__, reverse=True):
            score, class_id = min(max(scores[row], 0.0), 1.0), int(classes[row])
            if score < settings.min_score or len(found) == settings.max_objects:
                break
            ymin, xmin, ymax, xmax = edges[4 * row : 4 * row + 4]
            box = geometry.box(xmin, ymin, xmax, ymax)
            if box.area > 0:
                found.append(Detection(settings.labels.name(class_id), class_id, score, box))
        return tuple(found)

    def _count(self, outputs: Sequence[NDArray[Any]]) -> int:
        rows = self._infos[self._roles.boxes].shape[1]
        count = float(self._read(outputs, self._roles.count).item())
        if not (0 <= count <= rows and count.is_integer()):
            raise InvalidOutput(f"count is {count:g}, where 0 to {rows} rows exist")
        return int(count)

    def _settled(self, outputs: Sequence[NDArray[Any]], used: int) -> Roles:
        """Return the roles; where names did not tell, this frame's values decide, if they can. Raises InvalidOutput."""
        roles = self._roles
        if roles.settled:
            return roles
        first, second = (self._row(outputs, position, used) for position in (roles.classes, roles.scores))
        swapped = resolve_by_value(first, second)
        self._roles = roles.settle(swapped)
        names = (self._infos[position].name for position in (self._roles.classes, self._roles.scores))
        log.info("by their values, '%s' holds the classes and '%s' the scores", *names)
        return self._roles

    def _doubt(self) -> None:
        """What one frame's values decided, another frame's may contradict: then the next one decides anew."""
        self._roles = self._roles.doubt()

    def _row(self, outputs: Sequence[NDArray[Any]], position: int, used: int) -> NDArray[np.float32]:
        return self._read(outputs, position).ravel()[:used]

    def _read(self, outputs: Sequence[NDArray[Any]], position: int) -> NDArray[np.float32]:
        return dequantize(outputs[position], self._infos[position])


def _some(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values[:4])
