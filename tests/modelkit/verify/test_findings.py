"""What two variants find, compared."""

from __future__ import annotations

import pytest

from visiond.detection import Box, Classification, Detection, Keypoint, Mask, Result, Segment, Stages
from visiond.modelkit.verify.findings import FindingsParity, findings_parity
from visiond.modelkit.verify.order import PictureRun

Found = tuple[Detection, ...] | tuple[Classification, ...] | tuple[Segment, ...]


def run(**found: Found) -> PictureRun:
    return PictureRun(Result("", 0, 0, "cpu", Stages(0, 0, 0, 0), **found), 1.0, None)  # type: ignore[arg-type]


def box(left: float, class_id: int = 1, score: float = 0.9, keypoints: tuple[Keypoint, ...] | None = None) -> Detection:
    return Detection(None, class_id, score, Box(left, 0.0, left + 0.4, 0.5), keypoints=keypoints)


def classes(*ids: int) -> tuple[Classification, ...]:
    return tuple(Classification(None, each, 1 / (2 + n)) for n, each in enumerate(ids))


def test_classes() -> None:
    references = [run(classes=classes(1, 2, 3, 4, 5)), run(classes=classes(6, 7, 8, 9, 10))]
    found = findings_parity(references, [run(classes=classes(1, 2, 3, 4, 99)), run(classes=classes(7, 6, 8, 9, 10))])
    assert (found.top1, found.top5) == (0.5, pytest.approx(0.9))
    assert found.max_score_gap == pytest.approx(1 / 2 - 1 / 3)


def test_boxes_with_a_partner_and_without() -> None:
    found = findings_parity([run(objects=(box(0.0), box(0.5, 2)))], [run(objects=(box(0.1, score=0.7),))])
    assert found.objects == 3
    assert found.unmatched == 1, "of class 2 there is one only in the reference"
    assert found.min_iou == 0.0
    assert found.mean_iou == pytest.approx((0.6 + 0.6 + 0) / 3)
    assert found.max_score_gap == pytest.approx(0.2)


def test_what_is_not_clear_counts_for_nothing_by_itself_and_may_be_a_partner() -> None:
    assert findings_parity([run(objects=())], [run(objects=(box(0, score=0.1),))]).objects == 0
    found = findings_parity([run(objects=(box(0),))], [run(objects=(box(0, score=0.25),))])
    assert (found.objects, found.unmatched, found.min_iou) == (1, 0, 1.0)


def test_keypoints_of_which_the_model_is_sure() -> None:
    one = (Keypoint("nose", 0.5, 0.5, 0.9), Keypoint("ear", 0.5, 0.5, 0.1))
    other = (Keypoint("nose", 0.52, 0.5, 0.9), Keypoint("ear", 0.9, 0.9, 0.1))
    found = findings_parity([run(objects=(box(0, keypoints=one),))], [run(objects=(box(0, keypoints=other),))])
    assert found.max_keypoint_gap == pytest.approx(0.02)


def test_masks_by_class() -> None:
    def segment(class_id: int, counts: tuple[int, ...]) -> Segment:
        return Segment(None, class_id, 0.5, Box(0, 0, 1, 1), Mask(2, 2, counts))

    found = findings_parity(
        [run(segments=(segment(1, (0, 2, 2)),))], [run(segments=(segment(1, (0, 1, 3)), segment(2, (0, 4))))]
    )
    assert (found.min_iou, found.unmatched, found.objects) == (0.0, 1, 3)
    assert found.mean_iou == pytest.approx((0.5 + 0.5 + 0) / 3)


def test_no_pictures() -> None:
    assert findings_parity([], []) == FindingsParity(0)
