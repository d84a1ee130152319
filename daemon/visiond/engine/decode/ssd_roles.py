"""Which output of TFLite_Detection_PostProcess is which: by the package's word, by name and shape, or by value.

The operator's own order is boxes, classes, scores, count (detection_postprocess.cc in tflite/kernels). TensorFlow 1's
files and the older ones of TensorFlow 2 keep it; newer ones and Model Maker's EfficientDet-Lite give scores, boxes,
count, classes (tensorflow#52259). Boxes and count show by their shape, but classes and scores are both [1, N], and
taking one for the other would publish nonsense that looks right: where nothing tells them apart, nothing is published.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.decode.decoder import SCORE_CEILING, SCORE_FLOOR, InvalidOutput, given_roles, table_of
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

ROLES: Final = ("boxes", "classes", "scores", "count")
MAX_CLASS_ID: Final = 1 << 16
_NUMBERED = re.compile(r"(.*?)(?::(\d+))?")


@dataclass(frozen=True, slots=True)
class Roles:
    """Positions among the outputs. While not `settled`, `classes` and `scores` may be the other way round."""

    boxes: int
    classes: int
    scores: int
    count: int
    settled: bool = True
    by_value: bool = False

    def settle(self, swapped: bool) -> Roles:
        """A frame's values have decided."""
        classes, scores = (self.scores, self.classes) if swapped else (self.classes, self.scores)
        return replace(self, classes=classes, scores=scores, settled=True, by_value=True)

    def doubt(self) -> Roles:
        """A frame contradicts: what values decided is open again; names and the package's word stand."""
        return replace(self, settled=not self.by_value)


def resolve_roles(given: Mapping[str, int] | None, outputs: Sequence[TensorInfo]) -> Roles:
    """Resolve by the package's `output.roles`, else by shape and name. Raises ModelError in words."""
    roles = given_roles(given, ROLES, outputs)
    if roles is not None:
        return _checked(Roles(roles["boxes"], roles["classes"], roles["scores"], roles["count"]), outputs)
    boxes = [position for position, info in enumerate(outputs) if _holds_boxes(info.shape)]
    count = [position for position, info in enumerate(outputs) if info.shape == (1,)]
    rest = [position for position in range(len(outputs)) if position not in (*boxes, *count)]
    if (len(boxes), len(count), len(rest)) != (1, 1, 2):
        raise ModelError(_misfit(outputs))
    found = _checked(Roles(boxes[0], rest[0], rest[1], count[0]), outputs)
    swapped = _tell_by_name(found, [info.name for info in outputs])
    return replace(found, settled=False) if swapped is None else replace(found.settle(swapped), by_value=False)


def resolve_by_value(first: NDArray[np.float32], second: NDArray[np.float32]) -> bool:
    """Decide from the used rows of one frame: False when `first` holds the classes and `second` the scores, else True.

    Decided only when one reading is possible and the other is not: class ids are whole numbers from 0, scores lie in
    0..1. Raises InvalidOutput when both are possible (all values 0 or 1), or none is.
    """
    straight = are_class_ids(first) and _are_scores(second)
    swapped = are_class_ids(second) and _are_scores(first)
    if straight == swapped:
        why = "both could be either" if straight else "neither reading makes sense"
        raise InvalidOutput(f"cannot tell classes from scores by this frame's values, {why}; give output.roles")
    return swapped


def are_class_ids(values: NDArray[np.float32]) -> bool:
    """Whether all are whole numbers that a class id can be."""
    return bool(((values >= 0) & (values < MAX_CLASS_ID) & (values == np.floor(values))).all())


def _are_scores(values: NDArray[np.float32]) -> bool:
    return bool(((values >= SCORE_FLOOR) & (values <= SCORE_CEILING)).all())


def _tell_by_name(roles: Roles, names: Sequence[str]) -> bool | None:
    """Say whether names show `classes` and `scores` the other way round; None when they do not tell."""
    for word, position, other in (
        ("score", roles.scores, roles.classes),
        ("class", roles.classes, roles.scores),
    ):
        named = word in names[position].lower(), word in names[other].lower()
        if named[0] != named[1]:
            return named[1]
    return _tell_by_number(roles, names)


def _tell_by_number(roles: Roles, names: Sequence[str]) -> bool | None:
    """The operator's outputs are numbered in its order (name, name:1, name:2, name:3), TensorFlow 2's calls in reverse.

    Boxes and count, known by shape, show which of the two it is: they are the first and the last, or the numbers mean
    something else.
    """
    parts = [match.groups() for name in names if (match := _NUMBERED.fullmatch(name))]
    numbers = [int(number or 0) for _, number in parts]
    if len({base for base, _ in parts}) != 1 or len(set(numbers)) != len(names):
        return None
    order = sorted(range(len(names)), key=numbers.__getitem__)
    if order[0] == roles.count:
        order.reverse()
    if (order[0], order[3]) != (roles.boxes, roles.count):
        return None
    return order[1] == roles.scores


def _checked(roles: Roles, outputs: Sequence[TensorInfo]) -> Roles:
    boxes, classes, scores, count = (
        outputs[position].shape for position in (roles.boxes, roles.classes, roles.scores, roles.count)
    )
    if not _holds_boxes(boxes) or classes != boxes[:2] or scores != boxes[:2] or count not in ((1,), (1, 1)):
        raise ModelError(_misfit(outputs))
    return roles


def _holds_boxes(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[0] == 1 and shape[2] == 4


def _misfit(outputs: Sequence[TensorInfo]) -> str:
    return (
        "decoder ssd_postprocess expects boxes [1, N, 4], classes and scores [1, N] and count [1]; "
        f"the model's outputs are {table_of(outputs)}; correct output.roles, or choose another decoder"
    )
