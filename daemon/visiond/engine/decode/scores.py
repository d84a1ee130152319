"""Scores: a classifier's output, one score per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Classification
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput, clamp_scores, given_roles, table_of
from visiond.engine.preprocess import Geometry
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

_MOST_RANGE: Final = 2.0  # a symmetric int16 softmax covers -1..1; nothing that holds probabilities goes further
TOP: Final = 5  # classes that are published at most
_REMEDY: Final = (
    "these look like logits: set output.activation to softmax, or to sigmoid where several classes may hold at once"
)


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
        self._info = outputs[self._position]
        self._settings = settings
        self._activation = activation
        if activation == "none":
            self._check_range()

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> tuple[Classification, ...]:  # noqa: ARG002
        """Return at most TOP classes, best first; `geometry` does not matter to a class. Raises InvalidOutput."""
        scores = self._activate(dequantize(outputs[self._position], self._info).ravel())
        settings = self._settings
        best = np.argsort(-scores, kind="stable")[: min(TOP, settings.max_objects)]
        return tuple(
            Classification(settings.labels.name(class_id), class_id, score)
            for class_id, score in zip(best.tolist(), scores[best].tolist(), strict=True)
            if score >= settings.min_score
        )

    def _activate(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring scores to 0..1; softmax and sigmoid in the forms that do not overflow."""
        if self._activation == "none":
            try:
                return clamp_scores(scores)
            except InvalidOutput as error:
                raise InvalidOutput(f"{error}; {_REMEDY}" if np.isfinite(scores).all() else str(error)) from error
        if not np.isfinite(scores).all():
            raise InvalidOutput("a logit is NaN or infinite")
        if self._activation == "softmax":
            powers = np.exp(scores.astype(np.float64) - scores.max())
            shares: NDArray[np.float32] = (powers / powers.sum()).astype(np.float32)
            return shares
        halves: NDArray[np.float32] = np.tanh(scores * np.float32(0.5))
        return (halves + np.float32(1)) * np.float32(0.5)

    def _check_range(self) -> None:
        """Refuse at once what the quantization shows: its range is what the calibration has seen."""
        info = self._info
        if info.quantization is None or info.dtype.kind == "f":
            return
        limits = np.iinfo(info.dtype)
        least, most = (
            (limit - info.quantization.zero_point) * info.quantization.scale for limit in (limits.min, limits.max)
        )
        if max(-least, most) > _MOST_RANGE:
            raise ModelError(f"output '{info.name}' runs from {least:.3g} to {most:.3g}, not from 0 to 1; {_REMEDY}")


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
