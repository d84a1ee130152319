"""`--record`: what the model finds in given pictures becomes the package's golden examples.

Only what every variant finds: a golden example is a promise for all of them.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO, TypeVar

import cv2
import numpy as np

from visiond.detection import Box, Detection, Result, Segment
from visiond.engine.golden_places import mask_cells, mask_iou
from visiond.errors import ConfigError, DataError, UnavailableError
from visiond.modelkit.consistency import contradictions
from visiond.modelkit.package import MANIFEST, Package
from visiond.modelkit.verify.files import write_whole
from visiond.modelkit.verify.golden_text import add_golden
from visiond.modelkit.verify.outcome import Outcome
from visiond.modelkit.verify.session import Subject, Verified
from visiond.yaml_source import load

_CLEAR: Final = 0.4  # a box that is less sure makes no promise
_CLEAR_CLASS: Final = 0.3
_SURE_KEYPOINT: Final = 0.3
_CLEAR_AREA: Final = 0.02
_MOST: Final = 8  # objects of one picture
_SLACK: Final = 0.1  # of a score: another runtime, another rounding, another decoder of JPEG
_MOST_IOU: Final = 0.8
_LEAST_IOU: Final = 0.5
_IOU_SLACK: Final = 0.1
_WITHIN: Final = 0.05

_T = TypeVar("_T")


@dataclass(slots=True)
class _Example:
    """One golden example that is to be written: its picture's source, its name here, masks by name."""

    source: Path
    name: str
    expect: list[dict[str, Any]] = field(default_factory=list)
    masks: dict[str, bytes] = field(default_factory=dict)

    @property
    def labels(self) -> set[str]:
        """What is in the picture."""
        return {str(each["label"]) for each in self.expect}


def record(subject: Subject, verified: Verified, most: int, err: TextIO) -> None:
    """Write at most `most` examples into model.yaml, their pictures beside it. Raises VisiondError in words.

    All of it appears or nothing: pictures first, under names that are free, then model.yaml in one step.
    """
    package = subject.package
    if not any(package.load_labels().names):
        raise DataError(f"--record: {package.name} has no labels, and a golden example names one; give it labels")
    outcomes = [each for each in verified.outcomes[1:] if each.failure is None] or [verified.outcomes[0]]
    examples = spread(list(_examples(subject, outcomes, err)), lambda each: each.labels, most)
    if not examples:
        raise DataError("--record: no picture has anything that every variant finds clearly; give others")
    written: list[Path] = []
    try:
        for example in examples:
            for name, content in ((example.name, example.source.read_bytes()), *example.masks.items()):
                write_whole(package.folder / name, content)
                written.append(package.folder / name)
        _write_manifest(package, examples)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UnavailableError(f"--record: {error.filename} cannot be read: {error.strerror}") from error
        raise
    for example in examples:
        labels = ", ".join(each["label"] for each in example.expect)
        print(f"recorded {example.name}: {labels}", file=err)


def _write_manifest(package: Package, examples: list[_Example]) -> None:
    """Check the new text as the daemon will read it, then put it in place."""
    path = package.folder / MANIFEST
    added = [{"image": example.name, "expect": example.expect} for example in examples]
    try:
        text = add_golden(path.read_text(), added)
    except ValueError as error:
        raise DataError(f"{path} cannot be added to: {error}") from error
    trial = package.folder / f".{MANIFEST}.{os.getpid()}.trial"
    try:
        write_whole(trial, text.encode())
        document = load(trial)
        changed = document.validate(Package)
        problems = [document.problem(where, what) for where, what in contradictions(changed, package.load_labels)]
        if problems:
            raise ConfigError("\n".join(problems))
    finally:
        trial.unlink(missing_ok=True)
    write_whole(path, text.encode())


def spread(found: Sequence[_T], labels_of: Callable[[_T], Set[str]], most: int) -> list[_T]:
    """Return `most` of `found`, in their order: each time the one that holds the label told least so far, the rarer.

    Folders are read by name, class by class: the first ones would all show the same.
    """
    left, chosen, told = list(range(len(found))), list[int](), Counter[str]()
    while left and len(chosen) < most:
        best = min(left, key=lambda number: min(told[label] for label in labels_of(found[number])))
        left.remove(best)
        chosen.append(best)
        told.update(labels_of(found[best]))
    return [found[number] for number in sorted(chosen)]


def _examples(subject: Subject, outcomes: list[Outcome], err: TextIO) -> Iterator[_Example]:
    """Yield one for each picture in which every variant finds something clearly."""
    package = subject.package
    taken = {_bytes(package.folder / example.image) for example in package.golden}
    names: set[str] = set()
    for number, probe in enumerate(subject.probes):
        if probe.is_drawn:
            continue
        if _bytes(probe.path) in taken:
            print(f"{probe.name} is a golden example already: left out", file=err)
            continue
        example = _Example(probe.path, _free_name(package.folder, probe.name, names))
        results = [outcome.runs[number].result for outcome in outcomes]
        _expect(example, results)
        if example.expect:
            names.add(example.name)
            yield example
        else:
            print(f"{probe.name}: nothing that every variant finds clearly: left out", file=err)


def _bytes(path: Path) -> bytes:
    """A golden picture that is missing is another matter: the daemon tells."""
    return path.read_bytes() if path.is_file() else b""


def _expect(example: _Example, results: list[Result]) -> None:
    first, others = results[0], results[1:]
    if first.classes is not None:
        best = [result.classes[0] for result in results if result.classes]
        same = len(best) == len(results) and len({each.class_id for each in best}) == 1
        if same and best[0].label and min(each.score for each in best) >= _CLEAR_CLASS:
            example.expect.append({"label": best[0].label, "min_score": _least(min(each.score for each in best))})
        return
    for each in (first.objects or ())[:_MOST]:
        partners = [_partner(each, other) for other in others]
        if each.label and each.score >= _CLEAR and all(partner is not None for partner in partners):
            example.expect.append(_object(each, [partner for partner in partners if partner is not None]))
    for segment in first.segments or ():
        if segment.label and segment.area >= _CLEAR_AREA:
            _segment(example, segment, others)


def _partner(each: Detection, other: Result) -> Detection | None:
    alike = [their for their in other.objects or () if their.class_id == each.class_id and their.score >= _CLEAR]
    best = max(alike, key=lambda their: each.box.iou(their.box), default=None)
    return best if best is not None and each.box.iou(best.box) >= _LEAST_IOU + _IOU_SLACK else None


def _object(each: Detection, partners: list[Detection]) -> dict[str, Any]:
    score = _least(min(found.score for found in (each, *partners)))
    if each.keypoints is not None:
        sure = {point.name: point for point in each.keypoints if point.name and point.score >= _SURE_KEYPOINT}
        places = {str(name): [round(point.y, 3), round(point.x, 3)] for name, point in sure.items()}
        return {"label": each.label, "min_score": score, "keypoints": places, "within": _WITHIN}
    box = _rounded(each.box)
    overlap = min((each.box.iou(partner.box) for partner in partners), default=1.0)
    return {"label": each.label, "min_score": score, "box": box, "iou": _overlap(overlap)}


def _segment(example: _Example, segment: Segment, others: list[Result]) -> None:
    cells = mask_cells(segment.mask)
    overlaps = []
    for other in others:
        theirs = next((each for each in other.segments or () if each.class_id == segment.class_id), None)
        overlaps.append(0.0 if theirs is None else mask_iou(cells, mask_cells(theirs.mask)))
    overlap = min(overlaps, default=1.0)
    if overlap < _LEAST_IOU + _IOU_SLACK:
        return
    name = f"{Path(example.name).stem}-{''.join(c if c.isalnum() else '-' for c in str(segment.label))}.png"
    _, encoded = cv2.imencode(".png", cells.astype(np.uint8) * 255)
    example.masks[name] = encoded.tobytes()
    example.expect.append({"label": segment.label, "mask": name, "iou": _overlap(overlap)})


def _least(score: float) -> float:
    """Rounded down to hundredths, with some slack."""
    return math.floor(max(0.0, score - max(_SLACK * score, 0.05)) * 100) / 100


def _overlap(iou: float) -> float:
    return max(_LEAST_IOU, min(_MOST_IOU, math.floor((iou - _IOU_SLACK) * 100) / 100))


def _rounded(box: Box) -> list[float]:
    """ymin, xmin, ymax, xmax: the order of a golden box."""
    return [round(edge, 3) for edge in (box.ymin, box.xmin, box.ymax, box.xmax)]


def _free_name(folder: Path, name: str, taken: Set[str]) -> str:
    """`name`, or, where that is taken (folders of classes may all have a 1.png), with a number."""
    stem, suffix = Path(name).stem, Path(name).suffix
    numbered = (f"{stem}-{number}{suffix}" for number in range(1, 1000))
    return next(
        each
        for each in (f"golden-{name}", *(f"golden-{each}" for each in numbered))
        if each not in taken and not (folder / each).exists()
    )
