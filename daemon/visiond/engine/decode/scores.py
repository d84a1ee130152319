"""Scores: a classifier's output, one score per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Classification
from visiond.engine.decode.activation import Activation
from visiond.engine.decode.decoder import DecodeSettings, given_roles, table_of
from visiond.engine.preprocess import Geometry
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

TOP: Final = 5  # classes that are published at most


class Scores:
    """Decodes [1, N] (or [1, 1, 1, N]), any dtype, into the best classes whose score reaches `min_score`."""

    def __init__(
        self,
        outputs: Sequence[TensorInfo],
        roles: Mapping[str, int] | None,
        settings: DecodeSettings,
        activation: str = "none",
    ) -> None:
        """Raises ModelError when no output is one score per class, or its range shows unactivated logits."""
        self._position = _find_scores(outputs, given_roles(roles, ("scores",), outputs))
        self._activation = Activation(outputs[self._position], activation, settings.min_score)
        self._settings = settings

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Classification, ...]:  # noqa: ARG002
        """Return at most TOP classes, best first; `geometry` does not matter to a class. Raises InvalidOutput."""
        scores = self._activation.scores(outputs[self._position].ravel())
        settings = self._settings
        best = np.argsort(-scores, kind="stable")[: min(TOP, settings.max_objects)]
        return tuple(
            Classification(settings.labels.name(class_id), class_id, score)
            for class_id, score in zip(best.tolist(), scores[best].tolist(), strict=True)
            if score >= settings.min_score
        )


def _find_scores(outputs: Sequence[TensorInfo], roles: Mapping[str, int] | None) -> int:
    candidates = range(len(outputs)) if roles is None else [roles["scores"]]
    found = [position for position in candidates if _is_row(outputs[position].shape)]
    if len(found) == 1:
        return found[0]
    raise ModelError(
        f"decoder scores expects one output with one score per class, [1, N]; {len(found)} of the model's outputs are: "
        f"{table_of(outputs)}; choose one by output.roles: {{scores: position}}, or choose another decoder"
    )


def _is_row(shape: tuple[int, ...]) -> bool:
    return len(shape) >= 2 and all(length == 1 for length in shape[:-1])
