"""Activation: which raw values of a score tensor can matter, and what their scores are.

A threshold is brought to the tensor instead of the tensor to the threshold: of tens of thousands of quantized values
a handful pass, and only they are ever converted.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.decode.decoder import InvalidOutput, clamp_scores
from visiond.engine.tensors import TensorInfo, dequantize
from visiond.errors import ModelError

ACTIVATION_REMEDY: Final = (
    "these look like logits: set output.activation to softmax, or to sigmoid where several classes may hold at once"
)
_MOST_RANGE: Final = 2.0  # a symmetric int16 softmax covers -1..1; nothing that holds probabilities goes further


class Activation:
    """Turns raw values of one tensor into scores from 0 to 1, as the package's `output.activation` says."""

    def __init__(self, info: TensorInfo, kind: str, min_score: float, alone: bool = True) -> None:
        """`kind`: none, sigmoid or softmax (over the last axis). `alone`: the tensor holds nothing but scores.

        Raises ModelError when the range then shows logits.
        """
        self._info = info
        self._kind = kind
        if kind == "none":
            if alone:
                check_range(info)
            self.least_raw = least_raw(min_score, info)
        elif kind == "sigmoid":
            self.least_raw = least_raw(logit(min_score), info)
        else:  # what a logit's share is, its neighbours decide
            self.least_raw = -math.inf

    def scores(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Return scores of the shape of `raw`, float32 from 0 to 1. Raises InvalidOutput for what cannot be one."""
        real = dequantize(raw, self._info)
        if self._kind == "none":
            return checked_scores(real)
        check_finite(real, "logits")
        return sigmoid(real) if self._kind == "sigmoid" else softmax(real)


def checked_scores(real: NDArray[np.float32]) -> NDArray[np.float32]:
    """Clamp as `clamp_scores`; where values are far out, its InvalidOutput names the key that is probably missing."""
    try:
        return clamp_scores(real)
    except InvalidOutput as error:
        raise InvalidOutput(f"{error}; {ACTIVATION_REMEDY}" if np.isfinite(real).all() else str(error)) from error


def check_finite(real: NDArray[np.float32], what: str) -> None:
    """Raise InvalidOutput when any value is NaN or infinite."""
    if not np.isfinite(real).all():
        raise InvalidOutput(f"{int((~np.isfinite(real)).sum())} of {real.size} {what} are NaN or infinite")


def check_range(info: TensorInfo) -> None:
    """Raise ModelError when the quantization shows that these are no scores: its range is what calibration has seen."""
    if info.quantization is None or info.dtype.kind == "f":
        return
    limits = np.iinfo(info.dtype)
    least, most = (
        (limit - info.quantization.zero_point) * info.quantization.scale for limit in (limits.min, limits.max)
    )
    if max(-least, most) > _MOST_RANGE:
        raise ModelError(
            f"output '{info.name}' runs from {least:.3g} to {most:.3g}, not from 0 to 1; {ACTIVATION_REMEDY}"
        )


def least_raw(real: float, info: TensorInfo) -> float:
    """Return the least raw value whose real value reaches `real`, less half a level: what passes is compared again."""
    if info.quantization is None or not math.isfinite(real):
        return real
    return real / info.quantization.scale + info.quantization.zero_point - 0.5


def logit(score: float) -> float:
    """The inverse of the sigmoid; -inf for 0, inf for 1."""
    if score <= 0:
        return -math.inf
    return math.inf if score >= 1 else math.log(score / (1 - score))


def sigmoid(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 / (1 + e^-x), in the form that does not overflow."""
    halves: NDArray[np.float32] = np.float32(0.5) * (np.float32(1) + np.tanh(np.float32(0.5) * logits))
    return halves


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """e^x / Σ e^x over the last axis, less the greatest first, so that nothing overflows."""
    powers = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    return shares
