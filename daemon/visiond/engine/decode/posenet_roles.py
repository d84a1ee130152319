"""Which output of a PoseNet is which: by the package's word, else by shape and name.

Files that end in Coral's operator PosenetDecoderOp give decoded poses, if a runtime has the operator: none does without
Coral's own plugin, and such a file is refused when it is loaded (runtimes/tflite_words.py). Its outputs are recognised
here all the same, as a runtime that has it would hand them over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from visiond.engine.decode.decoder import given_roles, table_of
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError

KEYPOINTS: Final = 17
EDGES: Final = 16
_LENGTHS: Final = {"heatmaps": KEYPOINTS, "offsets": 2 * KEYPOINTS, "displacements": 4 * EDGES}
_HALF: Final = 2 * EDGES
_WORDS: Final = {"forward": ("fwd", "forward"), "backward": ("bwd", "backward")}


@dataclass(frozen=True, slots=True)
class PosenetRoles:
    """Positions among the outputs; `displacements` is one with both directions, or forward and backward."""

    heatmaps: int
    offsets: int
    displacements: tuple[int, ...]


def resolve_roles(given: Mapping[str, int] | None, outputs: Sequence[TensorInfo]) -> PosenetRoles:
    """Resolve by the package's `output.roles`, else by shape and name. Raises ModelError in words."""
    wanted: tuple[str, ...] = ("heatmaps", "offsets", "displacements")
    if given is not None and "displacements" not in given:
        wanted = ("heatmaps", "offsets", "forward", "backward")
    roles = given_roles(given, wanted, outputs) or _by_shape(outputs)
    middle = ("displacements",) if "displacements" in roles else ("forward", "backward")
    found = PosenetRoles(roles["heatmaps"], roles["offsets"], tuple(roles[role] for role in middle))
    grid = outputs[found.heatmaps].shape[:3]
    for role, position in roles.items():
        shape = outputs[position].shape
        if len(shape) != 4 or shape[:3] != grid or shape[0] != 1 or shape[3] != _LENGTHS.get(role, _HALF):
            raise ModelError(_misfit(outputs))
    return found


def _by_shape(outputs: Sequence[TensorInfo]) -> dict[str, int]:
    if [info.shape[2:] for info in outputs[:1]] == [(KEYPOINTS, 2)] and len(outputs) >= 4:
        raise ModelError(
            "these are the outputs of the operator PosenetDecoderOp, poses that are decoded already; give the "
            f"package the model without the operator, whose outputs are the raw heads; {_expected()}"
        )
    roles: dict[str, int] = {}
    for role, length in _LENGTHS.items():
        fitting = _of_length(length, outputs)
        if len(fitting) == 1:
            roles[role] = fitting[0]
    if "displacements" not in roles:
        roles |= _by_name(outputs)
    if not {"heatmaps", "offsets"} <= set(roles):
        raise ModelError(_misfit(outputs))
    return roles


def _by_name(outputs: Sequence[TensorInfo]) -> dict[str, int]:
    """Tell the two directions, which have one shape, by the words that TensorFlow's own files have in their names."""
    roles = {}
    for role, words in _WORDS.items():
        halves = _of_length(_HALF, outputs)
        fitting = [place for place in halves if any(word in outputs[place].name.lower() for word in words)]
        if len(fitting) == 1:
            roles[role] = fitting[0]
    if len(roles) < len(_WORDS):
        raise ModelError(_misfit(outputs))
    return roles


def _of_length(length: int, outputs: Sequence[TensorInfo]) -> list[int]:
    return [place for place, info in enumerate(outputs) if len(info.shape) == 4 and info.shape[3] == length]


def _expected() -> str:
    return (
        f"decoder posenet expects heatmaps [1, h, w, {KEYPOINTS}], offsets [1, h, w, {2 * KEYPOINTS}] and "
        f"displacements [1, h, w, {4 * EDGES}], or forward and backward ones [1, h, w, {_HALF}]"
    )


def _misfit(outputs: Sequence[TensorInfo]) -> str:
    return (
        f"{_expected()}; the model's outputs are {table_of(outputs)}; give output.roles: {{heatmaps: position, "
        "offsets: position, forward: position, backward: position}, or choose another decoder"
    )
