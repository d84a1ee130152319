"""Golden examples: pictures for which a package says what must be found, tried before the engine serves frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visiond.detection import Box, Classification, Detection, Segment
from visiond.engine.decode.decoder import Decoder, Found, InvalidOutput
from visiond.engine.decode.of_package import package_decoder
from visiond.engine.golden_places import keypoints_off, mask_overlap
from visiond.engine.interpreter import Interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.messages import GoldenReport
from visiond.modelkit.manifest import Expectation, GoldenExample
from visiond.modelkit.package import Package

# Below any threshold in use, so that a failure can say how far off the model is; and few enough to decode at once.
_MIN_SCORE: Final = 0.02
_MAX_OBJECTS: Final = 300

One = Detection | Classification | Segment


def prove(package: Package, interpreter: Interpreter, preprocessor: Preprocessor) -> GoldenReport:
    """Run the package's golden examples through the engine's own stages; thresholds of the configuration do not count.

    A failure is a sentence with the numbers, never an exception; a picture that cannot be read is one too.
    Raises ModelError when the outputs do not fit the package's decoder at all, RuntimeError where an invoke fails: a
    stick that gives an error once is no model that finds the wrong thing.
    """
    decoder = package_decoder(package, interpreter, _MIN_SCORE, _MAX_OBJECTS)
    failures = [_try(package, example, interpreter, preprocessor, decoder) for example in package.golden]
    failed = sum(1 for sentences in failures if sentences)
    return GoldenReport(len(failures) - failed, failed, tuple(sentence for each in failures for sentence in each))


def _try(
    package: Package, example: GoldenExample, interpreter: Interpreter, preprocessor: Preprocessor, decoder: Decoder
) -> list[str]:
    """Return a sentence for each expectation that one picture does not meet."""
    picture = cv2.imread(str(package.folder / example.image), cv2.IMREAD_COLOR)
    if picture is None:
        return [f"{example.image}: not there, or no picture that can be read; put it into {package.folder}"]
    geometry = preprocessor.write(picture.astype(np.uint8, copy=False), interpreter.input_view())
    interpreter.invoke()
    try:
        found = decoder(interpreter.read_outputs(), geometry)
    except InvalidOutput as error:
        return [f"{example.image}: no result: {error}"]
    return [
        f"{example.image}: {text}"
        for expected in example.expect
        for text in (*_shortfall(expected, found), *_misplaced(expected, found, package.folder))
    ]


def _misplaced(expected: Expectation, found: Found, folder: Path) -> Iterator[str]:
    """Yield how far off the keypoints are, and how little a mask overlaps, of the best of that label."""
    for each in (each for each in found if each.label == expected.label):
        if isinstance(each, Segment) and expected.mask is not None:
            yield from mask_overlap(each, folder / expected.mask, expected.iou)
        elif isinstance(each, Detection) and expected.keypoints is not None:
            yield from keypoints_off(each, expected.keypoints, expected.within)
        return


def _shortfall(expected: Expectation, found: Found) -> Iterator[str]:
    """Yield what is missing, in words, when nothing that was found meets `expected`."""
    alike = [each for each in found if each.label == expected.label]
    wanted = f"expected {expected.label}"
    if "min_score" in expected.model_fields_set:
        wanted += f" ≥ {expected.min_score:.2f}"
    if expected.box is None:
        if not any(_score(each) >= expected.min_score for each in alike):
            yield f"{wanted}; {_best(alike, found, expected.label, None)}"
        return
    ymin, xmin, ymax, xmax = expected.box
    if any(_meets(each, expected, Box(xmin, ymin, xmax, ymax)) for each in alike):
        return
    wanted += f" at {', '.join(f'{edge:.2f}' for edge in expected.box)} with IoU ≥ {expected.iou:.2f}"
    text = f"{wanted}; {_best(alike, found, expected.label, Box(xmin, ymin, xmax, ymax))}"
    if any(_meets(each, expected, Box(ymin, xmin, ymax, xmax)) for each in alike):
        text += "; it is met by xmin, ymin, xmax, ymax: a golden box is ymin, xmin, ymax, xmax"
    yield text


def _meets(found: One, expected: Expectation, box: Box) -> bool:
    return _score(found) >= expected.min_score and _iou(found, box) >= expected.iou


def _best(alike: Sequence[One], found: Found, label: str, box: Box | None) -> str:
    """Say how near the model came: the score of the nearest of that label, or what it found instead."""
    if alike and box is not None:
        nearest = max(alike, key=lambda each: (_iou(each, box), _score(each)))
        return f"nearest {label} {_measure(nearest)}, IoU {_iou(nearest, box):.2f}"
    if alike:
        return f"best {label} {_measure(max(alike, key=_score))}"
    if found:
        return f"no {label}; best is {found[0].label or f'class {found[0].class_id}'} {_measure(found[0])}"
    return "nothing found"


def _score(found: One) -> float:
    """A segment has no score: it is there or it is not."""
    return 1.0 if isinstance(found, Segment) else found.score


def _measure(found: One) -> str:
    return f"{found.area:.0%} of the picture" if isinstance(found, Segment) else f"{found.score:.2f}"


def _iou(found: One, box: Box) -> float:
    return 0.0 if isinstance(found, Classification) else found.box.iou(box)
