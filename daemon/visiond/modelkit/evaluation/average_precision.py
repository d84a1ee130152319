"""mAP of COCO: pycocotools matches boxes to the truth, and a bootstrap over pictures says how sure the number is."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.runtimes.installed import pip
from visiond.errors import UnavailableError

RESAMPLES: Final = 200
MAX_DETECTIONS: Final = 100  # of a picture, as COCO counts
_RECALLS: Final = np.linspace(0, 1, 101)
_SEED: Final = 5


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and what 95 of 100 samples of pictures like these would give."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Matches:
    """One class: its detections over all pictures, best first, and whether each is right, for each IoU threshold.

    `hit` and `ignored` are (thresholds, detections); `picture` says of which picture each detection is; `truths`
    counts the objects of each picture.
    """

    picture: NDArray[np.intp]
    hit: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truths: NDArray[np.int64]


def mean_average_precision(
    truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]], resamples: int = RESAMPLES
) -> dict[str, Interval]:
    """Return mAP@0.5:0.95 and mAP@0.5, the mean over the classes that the truth has, each 0 to 1.

    `truth` is COCO's annotation file, `found` its result format (image_id, category_id, bbox in pixels, score).
    Raises UnavailableError where pycocotools is not installed.
    """
    matches = _match(truth, found)
    pictures = len(truth["images"])
    rng = np.random.default_rng(_SEED)
    whole = _mean(matches, np.ones(pictures, np.int64))
    drawn = [_mean(matches, rng.multinomial(pictures, np.full(pictures, 1 / pictures))) for _ in range(resamples)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5], axis=0) if drawn else (whole, whole)
    names = ("mAP@0.5:0.95", "mAP@0.5")
    return {
        name: Interval(float(whole[n]), min(float(low[n]), float(whole[n])), max(float(high[n]), float(whole[n])))
        for n, name in enumerate(names)
    }


def require_pycocotools() -> None:
    """Raise UnavailableError where it is not installed; ask before hours of work."""
    try:
        import pycocotools.mask  # noqa: F401 - its compiled part
    except ImportError as error:
        raise UnavailableError(f"mAP needs pycocotools ({error}); {pip('install pycocotools')}") from error


def _match(truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> list[_Matches]:
    """Let COCOeval match, over all areas, and put its findings picture by picture into one row a class."""
    evaluation, settings = _evaluated(truth, found)
    positions = {image_id: position for position, image_id in enumerate(settings.imgIds)}
    matches = []
    for number in range(len(settings.catIds)):
        start = number * len(settings.imgIds)
        parts = [each for each in evaluation[start : start + len(settings.imgIds)] if each is not None]
        truths = np.zeros(len(settings.imgIds), np.int64)
        for each in parts:
            truths[positions[each["image_id"]]] = int((np.asarray(each["gtIgnore"]) == 0).sum())
        if not parts:
            continue
        scores = np.concatenate([np.asarray(each["dtScores"], np.float64) for each in parts])
        order = np.argsort(-scores, kind="mergesort")  # stable, as COCOeval.accumulate
        picture = np.concatenate([np.full(len(each["dtScores"]), positions[each["image_id"]]) for each in parts])
        hit = np.concatenate([np.asarray(each["dtMatches"]) for each in parts], axis=1) != 0
        ignored = np.concatenate([np.asarray(each["dtIgnore"]) for each in parts], axis=1).astype(bool)
        matches.append(_Matches(picture[order].astype(np.intp), hit[:, order], ignored[:, order], truths))
    return matches


def _evaluated(truth: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> tuple[list[Any], Any]:
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it tells its progress
        known = COCO()
        known.dataset = dict(truth)
        known.createIndex()
        rows = known.loadRes([dict(each) for each in found]) if found else COCO()
        if not found:
            rows.dataset = {**truth, "annotations": []}
            rows.createIndex()
        evaluation = COCOeval(known, rows, "bbox")
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
        evaluation.params.maxDets = [MAX_DETECTIONS]
        evaluation.evaluate()
    return evaluation.evalImgs, evaluation.params


def _mean(matches: Sequence[_Matches], weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return mAP@0.5:0.95 and mAP@0.5 where picture n counts `weights[n]` times; NaN where no class has an object."""
    precisions = [_average_precision(each, weights) for each in matches if int((each.truths * weights).sum())]
    if not precisions:
        return np.full(2, np.nan)
    by_threshold = np.mean(precisions, axis=0)
    return np.array([by_threshold.mean(), by_threshold[0]])


def _average_precision(matches: _Matches, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the average precision at each IoU threshold: COCOeval.accumulate, with a weight for each picture.

    Precision is made monotonic and read at 101 recalls; what is ignored counts neither for nor against.
    """
    objects = int((matches.truths * weights).sum())
    weight = weights[matches.picture]
    right = np.cumsum(np.where(matches.hit & ~matches.ignored, weight, 0), axis=1)
    wrong = np.cumsum(np.where(~matches.hit & ~matches.ignored, weight, 0), axis=1)
    recall = right / objects
    precision = right / np.maximum(right + wrong, 1)
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    precision = np.pad(precision, ((0, 0), (0, 1)))  # beyond the last recall it is 0
    at = [np.searchsorted(row, _RECALLS, side="left") for row in recall]
    return np.array([row[where].mean() for row, where in zip(precision, at, strict=True)])
