"""What two variants find in the same picture, compared as a robot would: classes, boxes, masks, keypoints."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from visiond.detection import Classification, Detection, Result, Segment
from visiond.engine.golden_places import mask_cells, mask_iou
from visiond.modelkit.verify.order import PictureRun

CLEAR_SCORE: Final = 0.3  # of a box or a pose; below, two variants may well find different things
CLEAR_KEYPOINT: Final = 0.2
CLEAR_AREA: Final = 0.01  # of a segment, as a fraction of the picture
_TOP: Final = 5


@dataclass(frozen=True, slots=True)
class FindingsParity:
    """Over all real pictures; None where there is nothing of the kind.

    `top1` is the share of pictures with the same first class, `top5` the mean share of the first five that both have.
    `min_iou` and `mean_iou` are those of boxes or masks, each clear one with its partner of the same class; one without
    a partner counts 0 and in `unmatched`. `max_score_gap` is the largest difference of two partners' scores, or of the
    first class's. `max_keypoint_gap` is a fraction of the picture.
    """

    pictures: int
    top1: float | None = None
    top5: float | None = None
    objects: int = 0
    unmatched: int = 0
    min_iou: float | None = None
    mean_iou: float | None = None
    max_score_gap: float | None = None
    max_keypoint_gap: float | None = None
    undecoded: int = 0


@dataclass(slots=True)
class _Pair:
    """One clear object of either side, and how near its partner is."""

    iou: float
    score_gap: float | None = None
    keypoint_gap: float | None = None


def findings_parity(references: Sequence[PictureRun], runs: Sequence[PictureRun]) -> FindingsParity:
    """Compare picture by picture, in both directions: what only one of them finds counts."""
    both = [(one.result, other.result) for one, other in zip(runs, references, strict=False)]
    undecoded = sum(run.problem is not None for run in runs)
    if not both:
        return FindingsParity(0)
    if both[0][0].classes is not None:
        return _classes(both, undecoded)
    pairs = [each for one, other in both for each in (*_pairs(one, other), *_pairs(other, one))]
    gaps = [each.score_gap for each in pairs if each.score_gap is not None]
    keypoints = [each.keypoint_gap for each in pairs if each.keypoint_gap is not None]
    return FindingsParity(
        pictures=len(both),
        objects=len(pairs),
        unmatched=sum(each.iou == 0.0 for each in pairs),
        min_iou=min((each.iou for each in pairs), default=None),
        mean_iou=statistics.fmean(each.iou for each in pairs) if pairs else None,
        max_score_gap=max(gaps, default=None),
        max_keypoint_gap=max(keypoints, default=None),
        undecoded=undecoded,
    )


def _classes(both: Sequence[tuple[Result, Result]], undecoded: int) -> FindingsParity:
    firsts, shares, gaps = [], [], []
    for one, other in both:
        ours, theirs = one.classes or (), other.classes or ()
        firsts.append(_ids(ours[:1]) == _ids(theirs[:1]))
        if theirs:
            shares.append(len(_ids(ours[:_TOP]) & _ids(theirs[:_TOP])) / min(_TOP, len(theirs)))
            scores = {each.class_id: each.score for each in ours}
            gaps.append(abs(scores.get(theirs[0].class_id, 0.0) - theirs[0].score))
    return FindingsParity(
        pictures=len(both),
        top1=statistics.fmean(firsts),
        top5=statistics.fmean(shares) if shares else None,
        max_score_gap=max(gaps, default=None),
        undecoded=undecoded,
    )


def _ids(classes: Iterable[Classification]) -> set[int]:
    return {each.class_id for each in classes}


def _pairs(one: Result, other: Result) -> Iterator[_Pair]:
    """Yield each clear object of `one` with the nearest of its class in `other`."""
    for each in one.objects or ():
        if each.score >= CLEAR_SCORE:
            yield _nearest(each, [their for their in other.objects or () if their.class_id == each.class_id])
    theirs = {segment.class_id: segment for segment in other.segments or ()}
    for segment in one.segments or ():
        if segment.area >= CLEAR_AREA:
            yield _Pair(_masks(segment, theirs.get(segment.class_id)))


def _nearest(each: Detection, others: Sequence[Detection]) -> _Pair:
    if not others:
        return _Pair(0.0)
    partner = max(others, key=lambda other: (each.box.iou(other.box), other.score))
    gap = abs(each.score - partner.score)
    return _Pair(each.box.iou(partner.box), gap, _keypoints(each, partner))


def _keypoints(one: Detection, other: Detection) -> float | None:
    """The largest distance, in x or y, of a keypoint of which the first is sure."""
    if one.keypoints is None or other.keypoints is None:
        return None
    gaps = [
        max(abs(a.x - b.x), abs(a.y - b.y))
        for a, b in zip(one.keypoints, other.keypoints, strict=True)
        if a.score >= CLEAR_KEYPOINT
    ]
    return max(gaps, default=None)


def _masks(one: Segment, other: Segment | None) -> float:
    if other is None:
        return 0.0
    return mask_iou(mask_cells(one.mask), mask_cells(other.mask))
