"""What a variant is worth on a dataset: accuracy or mAP with confidence, its latency, and each picture's answer."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from visiond.detection import Box, Classification, Detection
from visiond.engine.preprocess import Preprocessor, Recipe
from visiond.errors import UnavailableError
from visiond.modelkit.evaluation.average_precision import RESAMPLES, Interval, mean_average_precision
from visiond.modelkit.evaluation.dataset import CocoDataset, Dataset, LabelledFolders
from visiond.modelkit.evaluation.intervals import wilson
from visiond.modelkit.evaluation.pictures import open_picture
from visiond.modelkit.runner import Picture, Run, Runner

OnProgress = Callable[[int, int], None]  # pictures done, of how many

DETECTION_MIN_SCORE: Final = 0.01  # the whole curve of precision over recall counts, not what a threshold leaves
_TOP: Final = 5
_AGREE_SCORE: Final = 0.3
_AGREE_IOU: Final = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """One answer: `box` is xmin, ymin, xmax, ymax as fractions, None of a class."""

    class_id: int
    score: float
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """`metric` (top-1 accuracy or mAP@0.5:0.95) has `value`, 0 to 1, within `low` to `high` with 95 % confidence.

    `more` holds further metrics by name. `answers` has each picture's, best first, in the dataset's order;
    `undecoded` counts those whose output made no sense.
    """

    variant: str
    metric: str
    value: float
    low: float
    high: float
    more: dict[str, Interval]
    pictures: int
    undecoded: int
    invoke_p50_ms: float
    answers: tuple[tuple[Found, ...], ...]


def evaluate(runner: Runner, dataset: Dataset, on_progress: OnProgress = lambda _done, _of: None) -> Evaluation:
    """Run every picture of `dataset`. Give the runner min_score 0 for classes, DETECTION_MIN_SCORE for boxes.

    Raises DataError for a picture that does not open, UnavailableError when an invoke fails or pycocotools is missing.
    """
    return evaluate_recipes(runner, dataset, [runner.package.input], on_progress)[0]


def evaluate_recipes(
    runner: Runner,
    dataset: Dataset,
    recipes: Sequence[Recipe],
    on_progress: OnProgress = lambda _done, _of: None,
    resamples: int = RESAMPLES,
) -> list[Evaluation]:
    """Evaluate as if the package had each of these recipes; a picture is opened once for all. Raises as `evaluate`.

    Raises ModelError for a recipe that does not fit the model's input.
    """
    preprocessors = [runner.preprocessor(recipe) for recipe in recipes]
    paths = dataset.paths
    runs: list[list[Run]] = [[] for _ in recipes]
    sizes: list[tuple[int, int]] = []
    for number, path in enumerate(paths):
        picture = open_picture(path)
        sizes.append(_size_of(picture))
        for preprocessor, found in zip(preprocessors, runs, strict=True):
            found.append(_run(runner, picture, preprocessor, str(path)))
            found[-1].outputs.clear()  # they would fill the memory
        on_progress(number + 1, len(paths))
    return [_summed(runner, dataset, found, sizes, resamples) for found in runs]


def min_score_for(task: str) -> float:
    """Return the least score that a runner needs for `evaluate`."""
    return DETECTION_MIN_SCORE if task == "detection" else 0.0


def agreement(one: Evaluation, other: Evaluation) -> float:
    """Return how alike the answers of two variants are, 0 to 1, whatever the truth is.

    Classes: the share of pictures with the same first class. Boxes: of all those with a score of 0.3 and more, the
    share that has a partner of the same class with IoU ≥ 0.5 among the other's.
    """
    pairs = list(zip(one.answers, other.answers, strict=True))
    if one.metric.startswith("top"):
        return sum(_first(a) == _first(b) for a, b in pairs) / max(1, len(pairs))
    partnered = [_partnered(a, b) for a, b in pairs] + [_partnered(b, a) for a, b in pairs]
    count = sum(of for _, of in partnered)
    return sum(hits for hits, _ in partnered) / count if count else 1.0


def shifted_labels(evaluation: Evaluation, dataset: Dataset, shift: int) -> float:
    """Return what `value` would be if every class id were `shift` more: labels that are off by one show there."""
    moved = tuple(
        tuple(replace(each, class_id=each.class_id + shift) for each in answer) for answer in evaluation.answers
    )
    if isinstance(dataset, LabelledFolders):
        return _hits(moved, dataset, 1) / max(1, len(moved))
    sizes = [each.size or _size_of(open_picture(each.path)) for each in dataset.pictures]
    return mean_average_precision(dataset.truth, _rows(dataset, moved, sizes), resamples=0)[evaluation.metric].value


def _size_of(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels."""
    return picture.shape[1], picture.shape[0]


def _summed(
    runner: Runner, dataset: Dataset, runs: Sequence[Run], sizes: Sequence[tuple[int, int]], resamples: int
) -> Evaluation:
    if isinstance(dataset, LabelledFolders):
        answers = tuple(tuple(_found(each) for each in run.found[:_TOP]) for run in runs)
        hits = {top: _hits(answers, dataset, top) for top in (1, _TOP)}
        intervals = {
            f"top-{top}": Interval(count / len(runs), *wilson(count, len(runs))) for top, count in hits.items()
        }
        return _evaluation(runner, "top-1", intervals, runs, answers)
    answers = tuple(tuple(_found(each) for each in run.found) for run in runs)
    precisions = mean_average_precision(dataset.truth, _rows(dataset, answers, sizes), resamples)
    return _evaluation(runner, "mAP@0.5:0.95", precisions, runs, answers)


def _hits(answers: Sequence[Sequence[Found]], dataset: LabelledFolders, top: int) -> int:
    """How many pictures have a right class among their first `top`."""
    return sum(
        any(each.class_id in picture.class_ids for each in answer[:top])
        for answer, picture in zip(answers, dataset.pictures, strict=True)
    )


def _rows(
    dataset: CocoDataset, answers: Sequence[Sequence[Found]], sizes: Sequence[tuple[int, int]]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for picture, answer, size in zip(dataset.pictures, answers, sizes, strict=True):
        rows += [_row(picture.image_id, each, size) for each in answer]
    return rows


def _evaluation(
    runner: Runner,
    metric: str,
    intervals: dict[str, Interval],
    runs: Sequence[Run],
    answers: tuple[tuple[Found, ...], ...],
) -> Evaluation:
    main = intervals[metric]
    return Evaluation(
        variant=runner.variant.name,
        metric=metric,
        value=main.value,
        low=main.low,
        high=main.high,
        more={name: each for name, each in intervals.items() if name != metric},
        pictures=len(runs),
        undecoded=sum(run.problem is not None for run in runs),
        invoke_p50_ms=statistics.median(run.invoke_ms for run in runs),
        answers=answers,
    )


def _run(runner: Runner, picture: Picture, preprocessor: Preprocessor, name: str) -> Run:
    try:
        return runner.run(picture, preprocessor)
    except RuntimeError as error:
        raise UnavailableError(f"{runner.variant.name}: the invoke on {name} failed: {error}; try it again") from error


def _found(each: Any) -> Found:
    if isinstance(each, Classification):
        return Found(each.class_id, each.score)
    assert isinstance(each, Detection), "load_dataset refuses other tasks"
    box = each.box
    return Found(each.class_id, each.score, (box.xmin, box.ymin, box.xmax, box.ymax))


def _row(image_id: int, found: Found, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's result format; its boxes are x, y, width, height in pixels."""
    assert found.box is not None
    xmin, ymin, xmax, ymax = found.box
    width, height = size
    corner = [xmin * width, ymin * height, (xmax - xmin) * width, (ymax - ymin) * height]
    return {"image_id": image_id, "category_id": found.class_id, "bbox": corner, "score": found.score}


def _first(answer: Sequence[Found]) -> int | None:
    return answer[0].class_id if answer else None


def _partnered(answer: Sequence[Found], others: Sequence[Found]) -> tuple[int, int]:
    """How many of the clear ones have a partner, and how many there are."""
    clear = [each for each in answer if each.score >= _AGREE_SCORE]
    return sum(any(_alike(each, other) for other in others) for each in clear), len(clear)


def _alike(one: Found, other: Found) -> bool:
    if one.class_id != other.class_id or one.box is None or other.box is None:
        return False
    return Box(*one.box).iou(Box(*other.box)) >= _AGREE_IOU
