"""Numeric parity: how far one variant's outputs are from the reference's, for the same pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.tensors import TensorInfo, dequantize
from visiond.modelkit.verify.outcome import Outcome

RANKED: Final = "ranked"  # rows by falling score: two that are nearly alike change places, and every value differs
IDS: Final = "ids"  # class ids: they are the same or not, and no distance means anything
VALUES: Final = "values"
_BINS: Final = 11  # of the histogram: 0, 1, … 9, and all beyond
_REAL_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class OutputParity:
    """One output, over all pictures. `kind` is values, ids or ranked.

    `max_quanta` and `mean_quanta` count in the output's own quanta, None where it is not quantized; `max_real` and
    `mean_real` in its real values. `cosine` is that of the real values, the least of all pictures. `allclose`: all
    within one quantum, or, of real values, within 0.001 of the reference's largest. `equal` is the share of equal
    values, in quanta where there are any; `histogram` counts differences of 0, 1, … 9 and more quanta.
    """

    name: str
    kind: str
    max_quanta: float | None
    mean_quanta: float | None
    max_real: float
    mean_real: float
    cosine: float
    allclose: bool
    equal: float
    histogram: tuple[int, ...]


def numeric_parity(reference: Outcome, outcome: Outcome, decoder: str) -> Iterator[OutputParity]:
    """Compare each output that has the reference's shape; nothing is yielded for the others. Pairs are by position.

    Where the outputs come in another order (ONNX against TFLite, say), the first unused one of that shape is taken.
    """
    if reference.opened is None or outcome.opened is None:
        return
    partners = _partners(reference.opened.outputs, outcome.opened.outputs)
    count = min(len(reference.runs), len(outcome.runs))
    for position, partner in partners.items():
        info, reference_info = outcome.opened.outputs[position], reference.opened.outputs[partner]
        pairs = [(outcome.outputs(n)[position], reference.outputs(n)[partner]) for n in range(count)]
        if pairs:
            kind = _kind(info, reference_info, decoder, len(outcome.opened.outputs))
            yield _parity(info, reference_info, pairs, kind)


def _partners(references: Sequence[TensorInfo], infos: Sequence[TensorInfo]) -> dict[int, int]:
    left = list(range(len(references)))
    partners: dict[int, int] = {}
    for position, info in enumerate(infos):
        alike = [each for each in left if references[each].shape == info.shape]
        if alike:
            partners[position] = position if position in alike else alike[0]
            left.remove(partners[position])
    return partners


def _kind(info: TensorInfo, reference: TensorInfo, decoder: str, outputs: int) -> str:
    """Ranked are the rows of a suppression in the graph: TFLite_Detection_PostProcess, YOLO's end to end [1, R, 6]."""
    end_to_end = decoder == "yolov8" and outputs == 1 and len(info.shape) == 3 and info.shape[-1] == 6
    if decoder == "ssd_postprocess" or end_to_end:
        return RANKED
    whole = [each for each in (info, reference) if each.dtype.kind in "iu" and each.quantization is None]
    return IDS if whole and info.dtype.itemsize >= 4 else VALUES


def _parity(
    info: TensorInfo, reference_info: TensorInfo, pairs: Sequence[tuple[NDArray[Any], NDArray[Any]]], kind: str
) -> OutputParity:
    """Both are compared as real values; a quantum is that of `info`, or the reference's where only it has one."""
    quantization = info.quantization or reference_info.quantization
    gaps = np.concatenate([_gap(info, reference_info, one, other) for one, other in pairs])
    cosines = [_cosine(_real(one, info), _real(other, reference_info)) for one, other in pairs]
    if quantization is None:
        largest = max(float(np.abs(_real(other, reference_info)).max(initial=0)) for _, other in pairs)
        step, allclose = _REAL_TOLERANCE * max(largest, 1e-12), bool((gaps <= _REAL_TOLERANCE * largest).all())
    else:
        step = quantization.scale
        allclose = bool((gaps <= step * 1.001).all())  # a difference of two float32 is not exact
    quanta = gaps / step
    counts = np.bincount(np.minimum(np.rint(np.nan_to_num(quanta, nan=_BINS)), _BINS - 1).astype(int), minlength=_BINS)
    counted = quantization is not None and kind != IDS
    return OutputParity(
        name=info.name,
        kind=kind,
        max_quanta=float(quanta.max()) if counted else None,
        mean_quanta=float(quanta.mean()) if counted else None,
        max_real=float(gaps.max()),
        mean_real=float(gaps.mean()),
        cosine=min(cosines),
        allclose=allclose,
        equal=float((quanta < 0.5).mean()) if counted else float((gaps == 0).mean()),
        histogram=tuple(int(each) for each in counts),
    )


def _gap(info: TensorInfo, reference: TensorInfo, one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    return np.abs(_real(one, info) - _real(other, reference)).ravel()


def _real(raw: NDArray[Any], info: TensorInfo) -> NDArray[np.float64]:
    return dequantize(raw, info).astype(np.float64)


def _cosine(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """1 is the same direction; two that are all zeros have 1, a zero and another 0."""
    lengths = float(np.linalg.norm(one)), float(np.linalg.norm(other))
    if not np.isfinite(lengths).all():
        return 0.0
    if 0.0 in lengths:
        return 1.0 if lengths == (0.0, 0.0) else 0.0
    return float(np.dot(one.ravel(), other.ravel()) / (lengths[0] * lengths[1]))
