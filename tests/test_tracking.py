"""Tracking: ids that stay with their object, as long as they should and no longer."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiond.detection import Box, Classification, Detection, Keypoint, Result, Stages
from visiond.tracking import KEEP_MS, MAX_TRACKS, Tracker

CAT, DOG = 16, 17


def at(x: float, y: float = 0.5, class_id: int = CAT, side: float = 0.2) -> Detection:
    return Detection({CAT: "cat", DOG: "dog"}[class_id], class_id, 0.9, Box(x, y, x + side, y + side))


def seen(at_ms: float, *objects: Detection) -> Result:
    return Result("front", round(at_ms), round(at_ms * 1e6), "cpu", Stages(0, 0, 0, 0), objects)


def ids(result: Result) -> list[int | None]:
    assert result.objects is not None
    return [found.track_id for found in result.objects]


def test_an_object_that_moves_keeps_its_id() -> None:
    tracker = Tracker()
    for step in range(20):
        assert ids(tracker.update(seen(step * 33, at(0.03 * step)))) == [1]


def test_objects_that_change_places_in_the_list_keep_theirs() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(0, at(0.1), at(0.5)))) == [1, 2]
    assert ids(tracker.update(seen(33, at(0.52), at(0.12)))) == [2, 1]
    assert ids(tracker.update(seen(66, at(0.9, 0.1), at(0.53)))) == [3, 2]


def test_a_cat_does_not_become_a_dog() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(0, at(0.1)))) == [1]
    assert ids(tracker.update(seen(33, at(0.1, class_id=DOG)))) == [2]
    assert ids(tracker.update(seen(66, at(0.1), at(0.1, class_id=DOG)))) == [1, 2]


def test_classes_without_a_label_are_told_apart_by_their_number() -> None:
    tracker = Tracker()
    one, other = replace(at(0.1), label=None), replace(at(0.1, class_id=DOG), label=None)
    assert ids(tracker.update(seen(0, one, other))) == [1, 2]
    assert ids(tracker.update(seen(33, other, one))) == [2, 1]


def test_the_greatest_overlap_wins_whatever_the_order() -> None:
    tracker = Tracker()
    tracker.update(seen(0, at(0.10), at(0.20)))
    assert ids(tracker.update(seen(33, at(0.19), at(0.13)))) == [2, 1]


def test_too_little_overlap_is_a_new_object() -> None:
    tracker = Tracker(min_iou=0.3)
    assert ids(tracker.update(seen(0, at(0.1)))) == [1]
    assert ids(tracker.update(seen(33, at(0.1 + 0.2 * 0.6)))) == [2]  # 0.4 of it is common: IoU 0.25
    assert ids(tracker.update(seen(66, at(0.22 + 0.2 * 0.5)))) == [2]  # 0.5: IoU 0.33


def test_an_id_outlives_frames_without_its_object_by_time_and_not_by_count() -> None:
    for frame_ms in (5, 33, 200):
        tracker = Tracker()
        tracker.update(seen(0, at(0.1)))
        missed_ms = 0.0
        while missed_ms + frame_ms < KEEP_MS:
            missed_ms += frame_ms
            assert ids(tracker.update(seen(missed_ms))) == []
        assert ids(tracker.update(seen(KEEP_MS, at(0.11)))) == [1]
        assert ids(tracker.update(seen(2 * KEEP_MS + 1, at(0.11)))) == [2]


def test_what_was_seen_last_is_continued_before_what_has_long_been_gone() -> None:
    tracker = Tracker()
    tracker.update(seen(0, at(0.1)))
    tracker.update(seen(33, at(0.4, 0.1), at(0.1, 0.1)))
    tracker.update(seen(66, at(0.1, 0.1)))
    tracker = Tracker()
    tracker.update(seen(0, at(0.3)))
    tracker.update(seen(33, at(0.1)))  # 1 is gone, 2 is new
    assert ids(tracker.update(seen(66, at(0.2)))) == [2]  # as far from the one as from the other


def test_after_a_reset_all_are_new_and_no_id_comes_again() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(0, at(0.1), at(0.5)))) == [1, 2]
    tracker.reset()
    assert ids(tracker.update(seen(33, at(0.1), at(0.5)))) == [3, 4]


def test_nothing_else_of_a_result_changes() -> None:
    result = seen(0, at(0.1))
    assert result.objects is not None
    tracked = Tracker().update(result)
    assert tracked == replace(result, objects=(replace(result.objects[0], track_id=1),))
    points = (Keypoint("nose", 0.2, 0.3, 0.9),)
    posed = replace(result, objects=(replace(result.objects[0], keypoints=points),))
    assert Tracker().update(posed) == replace(result, objects=(replace(posed.objects[0], track_id=1),))
    classified = replace(result, objects=None, classes=(Classification("cat", CAT, 0.5),))
    assert Tracker().update(classified) is classified
    assert Tracker().update(seen(0)).objects == ()


def test_flickering_detections_leave_no_endless_list_behind() -> None:
    tracker = Tracker()
    for frame in range(50):
        tracker.update(seen(frame, *(at(0.001 * frame, 0.01 * n, side=0.0005) for n in range(20))))
    assert len(tracker._tracks) == MAX_TRACKS


boxes = st.builds(at, st.floats(0, 0.8), st.floats(0, 0.8), st.sampled_from([CAT, DOG]), st.floats(0, 0.2))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 3000), st.lists(boxes, max_size=8)), max_size=12))
def test_ids_are_unique_in_a_frame_never_fall_and_are_the_same_every_time(
    frames: list[tuple[int, list[Detection]]],
) -> None:
    one, other = Tracker(), Tracker()
    now_ms, highest = 0, 0
    owner: dict[int, int] = {}
    for gap_ms, objects in frames:
        now_ms += gap_ms
        tracked = one.update(seen(now_ms, *objects))
        assert tracked == other.update(seen(now_ms, *objects))
        given_ids = [track_id for track_id in ids(tracked) if track_id is not None]
        assert len(set(given_ids)) == len(objects)
        new = [track_id for track_id in given_ids if track_id > highest]
        assert new == list(range(highest + 1, highest + 1 + len(new)))
        highest += len(new)
        for track_id, found in zip(given_ids, objects, strict=True):
            assert owner.setdefault(track_id, found.class_id) == found.class_id


def test_boxes_too_small_to_have_an_area_are_new_each_time() -> None:
    tracker = Tracker()
    assert ids(tracker.update(seen(0, at(0, 0, side=5e-324)))) == [1]
    assert ids(tracker.update(seen(33, at(0, 0, side=5e-324)))) == [2]
