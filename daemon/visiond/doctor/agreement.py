"""How far the stick's outputs are from those of the CPU's twin, for the same pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from visiond.cameras.pictures import PictureError, read_picture
from visiond.cameras.scenes import still_scene
from visiond.detection import Detection, Segment
from visiond.engine.decode.decoder import InvalidOutput
from visiond.engine.decode.of_package import package_decoder
from visiond.engine.interpreter import Interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import TensorInfo
from visiond.modelkit.package import Package

_MOST_PICTURES: Final = 4
_SCENES: Final = (1, 2)  # drawn where a package has no golden pictures
_MIN_SCORE: Final = 0.02
_CLEAR_SCORE: Final = 0.4  # below it the first of a list is noise, and another first one is no disagreement
_CLEAR_AREA: Final = 0.05  # of a segment, as a fraction of the picture
_RANKS: Final = 10  # of two that are nearly alike, a quantum decides which is first

Array = Any  # a NumPy array, by its own methods alone: nothing outside the workers imports numpy


@dataclass(frozen=True, slots=True)
class Agreement:
    """The largest and the mean difference, of quantized outputs in quanta, of others as they are.

    None where there is no such output, or none that can be compared. `top_iou` is the least overlap of the best
    object's boxes (1 is the same box), None without boxes; `top_differs` counts how often the best label of one is not
    among the first ten of the other, twice per picture at most.
    """

    pictures: int
    max_quanta: float | None
    mean_quanta: float | None
    max_real: float | None
    mean_real: float | None
    top_iou: float | None
    top_differs: int


@dataclass(slots=True)
class _Sum:
    largest: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, gaps: Array) -> None:
        if math.isfinite(float(gaps.max())):
            self.largest = max(self.largest, float(gaps.max()))
            self.total += float(gaps.sum())
            self.count += gaps.size


def compare(package: Package, stick: Interpreter, twin: Interpreter) -> Agreement:
    """Run both on the package's golden pictures, or on drawn ones. Raises RuntimeError when an invoke fails."""
    quanta, reals = _Sum(), _Sum()
    overlaps: list[float] = []
    pictures = differs = 0
    for picture in _pictures(package):
        pictures += 1
        ours, found = _run(package, stick, picture)
        theirs, twins_found = _run(package, twin, picture)
        for info, twins_info, one, other in zip(stick.outputs, twin.outputs, ours, theirs, strict=False):
            if one.shape == other.shape and one.size:
                (reals if info.quantization is None else quanta).add(_gaps(info, twins_info, one, other))
        for best, others in ((found[:1], twins_found), (twins_found[:1], found)):
            if best and _is_clear(best[0]):
                alike = [other for other in others if other.class_id == best[0].class_id]
                differs += not alike
                overlaps += [_overlap(best[0], alike)] if alike and isinstance(best[0], (Detection, Segment)) else []
    return Agreement(
        pictures,
        quanta.largest if quanta.count else None,
        quanta.total / quanta.count if quanta.count else None,
        reals.largest if reals.count else None,
        reals.total / reals.count if reals.count else None,
        min(overlaps, default=None),
        differs,
    )


def _pictures(package: Package) -> Iterator[Array]:
    given = 0
    for example in package.golden[:_MOST_PICTURES]:
        try:
            yield read_picture(package.folder / example.image)[0]
            given += 1
        except PictureError:  # the golden examples say so themselves
            continue
    if not given:
        yield from (still_scene(seed)[0] for seed in _SCENES)


def _is_clear(best: Any) -> bool:
    return best.area >= _CLEAR_AREA if isinstance(best, Segment) else bool(best.score >= _CLEAR_SCORE)


def _overlap(best: Detection | Segment, alike: Sequence[Any]) -> float:
    return max(best.box.iou(other.box) for other in alike)


def _run(package: Package, interpreter: Interpreter, picture: Array) -> tuple[Sequence[Array], Sequence[Any]]:
    """Return the raw outputs, and the best objects or classes."""
    geometry = Preprocessor(package.input, interpreter.input).write(picture, interpreter.input_view())
    interpreter.invoke()
    outputs = interpreter.read_outputs()
    try:
        found = package_decoder(package, interpreter, _MIN_SCORE, _RANKS)(outputs, geometry)
    except InvalidOutput:  # NaN, say; the golden examples fail of it in words
        return outputs, ()
    return outputs, found


def _gaps(info: TensorInfo, twins_info: TensorInfo, one: Array, other: Array) -> Array:
    """Return differences: in the stick's own quanta where the output is quantized."""
    first, second = one.astype("float64"), other.astype("float64")
    mine, twins = info.quantization, twins_info.quantization
    if mine is not None and twins is not None:
        second = (second - twins.zero_point) * (twins.scale / mine.scale) + mine.zero_point
    elif mine is not None:
        second = second / mine.scale + mine.zero_point
    elif twins is not None:
        second = (second - twins.zero_point) * twins.scale
    return abs(first - second)
