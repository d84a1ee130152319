"""Decoder: from a model's output tensors to what was found, one class per kind of output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Classification, Detection, Segment
from visiond.engine.decode.anchors import AnchorSpec
from visiond.engine.preprocess import Geometry
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels

# A quantized head may overshoot by a few levels (a widely used YOLOv8n reaches 1.016): within these limits a score is
# clamped to 0..1, beyond them the output is broken.
SCORE_FLOOR: Final = -0.02
SCORE_CEILING: Final = 1.02


# Of segments, the largest are the best.
Found = tuple[Detection, ...] | tuple[Classification, ...] | tuple[Segment, ...]


class InvalidOutput(Exception):
    """This frame's output cannot be decoded, and why: NaN, a count beyond the rows, logits where scores should be."""


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """What a decoder needs beside the tensors: `input_size` is (width, height) of the input tensor in pixels.

    `min_score` is 0 to 1; at most `max_objects` come out, best first. `iou_threshold`: of two boxes of one class that
    overlap more, the lower score goes (only where the graph has no non-maximum suppression of its own).
    """

    labels: Labels
    min_score: float
    max_objects: int
    input_size: tuple[int, int]
    iou_threshold: float = 0.45


class DecoderSpec(Protocol):
    """The part of a model package that says how to read its outputs; `visiond.modelkit.package.OutputSpec` is one."""

    @property
    def decoder(self) -> str:
        """Kind of output, one of the package format's names."""

    @property
    def roles(self) -> Mapping[str, int] | None:
        """Role → position among the model's outputs; None to resolve them by name, shape and value."""

    @property
    def activation(self) -> str:
        """What the graph leaves to do on its scores: none, softmax or sigmoid."""

    @property
    def iou_threshold(self) -> float:
        """See DecodeSettings."""

    @property
    def anchors(self) -> AnchorSpec:
        """Of an SSD's raw heads."""

    @property
    def box_scales(self) -> Sequence[float]:
        """Of an SSD's raw heads: what y, x, height and width of a box's encoding are divided by."""

    @property
    def background(self) -> bool:
        """Whether class 0 of an SSD's raw heads, or of a segmentation, stands for nothing."""

    @property
    def keypoints(self) -> Sequence[str] | None:
        """Names of a pose's keypoints, in the model's order; None: COCO's, where there are 17."""


class Decoder(Protocol):
    """Made once per model; called once per frame."""

    def __call__(self, outputs: Sequence[NDArray[Any]], geometry: Geometry) -> Found:
        """Return what `outputs` (in the model's order, as read from the interpreter) hold, best first.

        `geometry` brings boxes, points and masks from the input tensor to the frame. Raises InvalidOutput.
        """


def make_decoder(spec: DecoderSpec, outputs: Sequence[TensorInfo], settings: DecodeSettings) -> Decoder:
    """Choose by kind of output and resolve the roles, once. Raises ModelError in words when they do not fit."""
    from visiond.engine.decode.kinds import KINDS  # which imports this file

    return KINDS[spec.decoder](spec, outputs, replace(settings, iou_threshold=spec.iou_threshold))


def clamp_scores(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return `scores` within 0..1. Raises InvalidOutput for NaN, infinity, and what is out by more than a rounding."""
    if not np.isfinite(scores).all():
        raise InvalidOutput(f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are NaN or infinite")
    least, most = float(scores.min(initial=0)), float(scores.max(initial=0))
    if least < SCORE_FLOOR or most > SCORE_CEILING:
        raise InvalidOutput(f"scores run from {least:.3g} to {most:.3g}, not from 0 to 1")
    return np.clip(scores, np.float32(0), np.float32(1))


def given_roles(
    roles: Mapping[str, int] | None, wanted: Sequence[str], outputs: Sequence[TensorInfo]
) -> Mapping[str, int] | None:
    """Check `output.roles` of a package: exactly `wanted`, each another output of the model. None stays None.

    Raises ModelError in words.
    """
    if roles is None:
        return None
    if set(roles) != set(wanted):
        raise ModelError(
            f"output.roles names {', '.join(sorted(roles)) or 'nothing'}; this decoder needs {', '.join(wanted)}"
        )
    beyond = [position for position in roles.values() if not 0 <= position < len(outputs)]
    if beyond:
        raise ModelError(f"output.roles points to output {beyond[0]}, but the model has {len(outputs)}, counted from 0")
    if len(set(roles.values())) != len(roles):
        raise ModelError("output.roles gives one output two roles; each needs its own")
    return roles


def only_output(role: str, roles: Mapping[str, int] | None, outputs: Sequence[TensorInfo], expected: str) -> int:
    """Return the position of the only output, or of the one that the package gives this role; it must be [1, a, b].

    Raises ModelError, with `expected` as its text where there is no such output.
    """
    checked = given_roles(roles, (role,), outputs)
    position = 0 if checked is None else checked[role]
    shape = outputs[position].shape
    if (checked is None and len(outputs) != 1) or len(shape) != 3 or shape[0] != 1:
        raise ModelError(expected)
    return position


def table_of(outputs: Sequence[TensorInfo]) -> str:
    """Return the model's outputs for an error message: position, name, dtype and shape of each."""
    return "; ".join(
        f"{position}: '{info.name}' {info.dtype} {list(info.shape)}" for position, info in enumerate(outputs)
    )
