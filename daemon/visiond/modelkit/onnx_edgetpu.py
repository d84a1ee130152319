"""What of an ONNX model would not run on an Edge TPU once it is converted to TFLite: by the names of its operators.

A rough forecast: the converter folds some of them away, and shapes are not looked at. `inspect` of the converted file
tells more, the compiler's log has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from visiond.modelkit.edgetpu_remedies import remedy_of
from visiond.modelkit.onnx_model import STANDARD, OperatorKind

# What onnx2tf makes of them, where that is an operator that the Edge TPU has not.
_BECOMES: Final[Mapping[str, str]] = {
    "Abs": "ABS",
    "ArgMax": "ARG_MAX",
    "ArgMin": "ARG_MIN",
    "Cos": "COS",
    "CumSum": "CUMSUM",
    "DepthToSpace": "DEPTH_TO_SPACE",
    "Div": "DIV",
    "Elu": "ELU",
    "Equal": "EQUAL",
    "Exp": "EXP",
    "Floor": "FLOOR",
    "Gather": "GATHER",
    "GatherND": "GATHER_ND",
    "Gelu": "GELU",
    "Greater": "GREATER",
    "GridSample": "GATHER_ND",
    "HardSwish": "HARD_SWISH",
    "LeakyRelu": "LEAKY_RELU",
    "Less": "LESS",
    "Log": "LOG",
    "Loop": "WHILE",
    "Neg": "NEG",
    "NonMaxSuppression": "NON_MAX_SUPPRESSION_V4",
    "Pow": "POW",
    "ScatterND": "SCATTER_ND",
    "Sin": "SIN",
    "Sqrt": "SQRT",
    "Tile": "TILE",
    "TopK": "TOPK_V2",
    "Where": "SELECT_V2",
}
_NOT_SUPPORTED: Final = "is not supported"


@dataclass(frozen=True, slots=True)
class StaysOnCpu:
    """`count` operators of one kind that would not run on the Edge TPU."""

    kind: OperatorKind
    count: int
    reason: str
    remedy: str


def stays_on_cpu(operators: Mapping[OperatorKind, int]) -> Iterator[StaysOnCpu]:
    """Yield the kinds of operators that would not run on the Edge TPU, in the order of `operators`."""
    for kind, count in operators.items():
        becomes = _BECOMES.get(kind.name)
        if kind.domain == STANDARD and becomes is not None:
            yield StaysOnCpu(
                kind, count, f"becomes {becomes}, which {_NOT_SUPPORTED}", remedy_of(becomes, _NOT_SUPPORTED)
            )
