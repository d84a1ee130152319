"""Values to bytes: every line is one JSON object that the schema takes, and nothing is lost but digits."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbered_daemon import classified, hello, result, status
from raw_client import check_message
from visiond.detection import Box, Classification, Detection, Keypoint, Mask, Result, Segment, Stages
from visiond.publish import wire
from visiond.publish.requests import Subscribe

fractions = st.floats(0, 1)
counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=20).map(tuple)
names = st.text(max_size=30)
milliseconds = st.floats(0, 1e5)
boxes = st.builds(Box.clamped, fractions, fractions, fractions, fractions)
keypoints = st.builds(Keypoint, st.none() | names, fractions, fractions, fractions)
objects = st.builds(
    Detection,
    st.none() | names,
    st.integers(0, 2**31),
    fractions,
    boxes,
    st.none() | st.integers(0, 2**53),
    st.lists(names, max_size=3).map(tuple),
    st.none()
    | st.lists(st.builds(Keypoint, st.none() | names, fractions, fractions, fractions), max_size=4).map(tuple),
)
masks = st.builds(Mask, st.integers(1, 2000), st.integers(1, 2000), counts)
segments = st.builds(Segment, st.none() | names, st.integers(0, 2**14), fractions, boxes, masks)
classes = st.builds(Classification, st.none() | names, st.integers(0, 2**31), fractions)
nanoseconds = st.integers(0, 2**62)


def results(**what: Any) -> st.SearchStrategy[Result]:
    stages = st.builds(Stages, milliseconds, milliseconds, milliseconds, milliseconds)
    engines = st.sampled_from(["cpu", "edgetpu"])
    return st.builds(Result, names, nanoseconds, nanoseconds, engines, stages, **what)


either = (
    results(objects=st.lists(objects, max_size=8).map(tuple))
    | results(classes=st.lists(classes, max_size=8).map(tuple))
    | results(segments=st.lists(segments, max_size=8).map(tuple))
)


def encoded(message: Result, **options: Any) -> wire.Detections:
    fields = {"seq": 12, "epoch": 1, "published_ns": message.captured_ns + 11_800_000, "degraded": False, **options}
    return wire.detections(message, **fields)


@settings(deadline=None)
@given(message=either, seq=nanoseconds, epoch=nanoseconds, age_ns=st.integers(0, 10**12), missed=nanoseconds)
def test_a_result_comes_back_from_its_line(message: Result, seq: int, epoch: int, age_ns: int, missed: int) -> None:
    published_ns = message.captured_ns + age_ns
    line = encoded(message, seq=seq, epoch=epoch, published_ns=published_ns, degraded=True).line(missed)
    fields = check_message(line)
    assert (fields["camera"], fields["frame"], fields["engine"]) == (message.camera, message.frame, message.engine)
    assert (fields["seq"], fields["epoch"], fields["missed"], fields["degraded"]) == (seq, epoch, missed, True)
    assert fields["captured_ns"] == message.captured_ns
    assert fields["published_ns"] - fields["captured_ns"] == age_ns
    assert fields["age_ms"] == pytest.approx(age_ns / 1e6, abs=0.005001)
    assert fields["stages_ms"]["invoke"] == pytest.approx(message.stages_ms.invoke, abs=0.005001)
    (found,) = (fields[key] for key in ("objects", "classes", "segments") if key in fields)
    for got, wanted in zip(found, message.objects or message.classes or message.segments or (), strict=True):
        assert (got["label"], got["class_id"]) == (wanted.label, wanted.class_id)
        if not isinstance(wanted, Segment):
            assert got["score"] == pytest.approx(wanted.score, abs=0.0000501)
        if not isinstance(wanted, Classification):
            box = [wanted.box.xmin, wanted.box.ymin, wanted.box.xmax, wanted.box.ymax]
            assert got["box"] == pytest.approx(box, abs=0.00000501)
        if isinstance(wanted, Detection):
            assert (got["track_id"], tuple(got["zones"])) == (wanted.track_id, wanted.zones)
            assert_keypoints(got.get("keypoints"), wanted.keypoints)


def assert_keypoints(got: list[dict[str, Any]] | None, wanted: tuple[Keypoint, ...] | None) -> None:
    assert (got is None) == (wanted is None)
    for point, other in zip(got or [], wanted or (), strict=True):
        assert point["name"] == other.name
        assert (point["x"], point["y"]) == pytest.approx((other.x, other.y), abs=0.00000501)
        assert point["score"] == pytest.approx(other.score, abs=0.0000501)


@settings(deadline=None)
@given(message=either)
def test_a_result_comes_back_from_its_trip_between_two_processes(message: Result) -> None:
    assert Result.from_json(json.loads(json.dumps(message.to_json()))) == message


@settings(deadline=None)
@given(found=st.lists(segments, max_size=8).map(tuple), labels=st.none() | st.frozensets(names))
def test_masks_come_to_who_asks_for_them(found: tuple[Segment, ...], labels: frozenset[str] | None) -> None:
    message = Result("front", 0, 0, "cpu", Stages(0, 0, 0, 0), segments=found)
    line = encoded(message)
    plain = check_message(line.line(2, Subscribe(labels=labels)))["segments"]
    asked = check_message(line.line(2, Subscribe(labels=labels, masks=True)))["segments"]
    assert [{key: value for key, value in each.items() if key != "mask"} for each in asked] == plain
    assert all("mask" not in each for each in plain)
    wanted = [each.mask for each in found if labels is None or each.label in labels]
    for each, mask in zip(asked, wanted, strict=True):
        assert each["mask"] == {"size": [mask.height, mask.width], "counts": list(mask.counts)}
    assert check_message(line.line())["segments"] == check_message(line.line(0, Subscribe(labels=None)))["segments"]


def test_masks_that_do_not_fit_are_null_the_longest_first() -> None:
    found = tuple(
        Segment(f"class {n}", n, 0.5 - n / 100, Box(0, 0, 1, 1), Mask(999, 999, (7,) * length))
        for n, length in enumerate((100, 30_000, 5_000, 20_000))
    )
    message = Result("front", 0, 0, "cpu", Stages(0, 0, 0, 0), segments=found)
    line = encoded(message).line(10**19, Subscribe(masks=True))
    assert len(line) <= wire.MAX_LINE_BYTES
    masks = [each["mask"] for each in check_message(line)["segments"]]
    assert [mask and len(mask["counts"]) for mask in masks] == [100, None, 5_000, 20_000]


def test_segments_that_do_not_fit_are_left_out_the_smallest_first() -> None:
    found = tuple(
        Segment(f"class {n} " * 20, n, (n * 7919 % 1000) / 1000, Box(0, 0, 1, 1), Mask(1, 1, (1,))) for n in range(500)
    )
    fields = check_message(encoded(Result("f", 0, 0, "cpu", Stages(0, 0, 0, 0), segments=found)).line())
    assert len(fields["segments"]) + fields["omitted"] == 500
    kept = {each["class_id"] for each in fields["segments"]}
    assert min(each["area"] for each in fields["segments"]) >= max(s.area for s in found if s.class_id not in kept)


@settings(deadline=None)
@given(message=either, missed=st.integers(0, 5), labels=st.none() | st.frozensets(names), low=st.none() | fractions)
def test_a_filter_takes_away_what_it_names_and_nothing_else(
    message: Result, missed: int, labels: frozenset[str] | None, low: float | None
) -> None:
    line = encoded(message)
    whole = check_message(line.line(missed))
    part = check_message(line.line(missed, Subscribe(labels=labels, min_score=low)))
    (key,) = {"objects", "classes", "segments"} & set(whole)
    wanted = [
        item
        for item in whole[key]
        if (labels is None or item["label"] in labels) and (low is None or "score" not in item or item["score"] >= low)
    ]
    assert part == {**whole, key: wanted}


def test_the_line_of_the_documentation() -> None:
    found = Detection("cat", 16, 0.73, Box(0.07, 0.13, 0.72, 0.98), 4, ("door",))
    message = Result("front", 345, 1_000_000_000, "edgetpu", Stages(0.4, 0.9, 8.1, 0.3), objects=(found,))
    line = encoded(message, epoch=1).line()
    assert line == (
        b'{"type":"detections","camera":"front","seq":12,"frame":345,"epoch":1,"captured_ns":1000000000,'
        b'"published_ns":1011800000,"age_ms":11.8,"engine":"edgetpu","degraded":false,"missed":0,'
        b'"stages_ms":{"wait":0.4,"preprocess":0.9,"invoke":8.1,"decode":0.3},'
        b'"objects":[{"label":"cat","class_id":16,"score":0.7300,"box":[0.07000,0.13000,0.72000,0.98000],'
        b'"track_id":4,"zones":["door"]}]}\n'
    )


def test_nothing_seen_is_an_empty_list() -> None:
    assert check_message(encoded(result(objects=0)).line())["objects"] == []


def test_a_classification_carries_classes() -> None:
    fields = check_message(encoded(classified()).line())
    assert "objects" not in fields
    assert [item["label"] for item in fields["classes"]] == ["cat", None]


@pytest.mark.parametrize("poison", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["score", "corner", "class", "stage", "point", "area"])
def test_fault_31_what_is_no_number_never_leaves(poison: float, place: str) -> None:
    score, corner, stage = (poison if place == each else 0.5 for each in ("score", "corner", "stage"))
    stages = Stages(0, 0, stage, 0)
    message = Result("front", 0, 0, "cpu", stages, (Detection("cat", 0, score, Box(0, corner, 1, 1)),))
    if place == "class":
        message = Result("front", 0, 0, "cpu", stages, classes=(Classification("cat", 0, poison),))
    if place == "point":
        points = (Keypoint("nose", 0.5, poison, 0.5),)
        message = Result("front", 0, 0, "cpu", stages, (Detection("cat", 0, 0.5, Box(0, 0, 1, 1), keypoints=points),))
    if place == "area":
        found = Segment("cat", 0, poison, Box(0, 0, 1, 1), Mask(1, 1, (0, 1)))
        message = Result("front", 0, 0, "cpu", stages, segments=(found,))
    with pytest.raises(ValueError, match=r"NaN|infinite|JSON compliant"):
        encoded(message)


def test_a_message_of_any_size_is_an_object_and_says_what_it_leaves_out() -> None:
    labels = ["a label of some length " * 4, "another one"]
    found = tuple(
        Detection(labels[i % 2], i, 0.1 + (i * 7919 % 1000) / 1200, Box(0, 0, 1, 1), i, ("door", "floor"))
        for i in range(1000)
    )
    message = Result("front", 0, 0, "cpu", Stages(0, 0, 0, 0), objects=found)
    fields = check_message(encoded(message).line(10**19))
    kept, omitted = fields["objects"], fields["omitted"]
    assert len(kept) + omitted == 1000
    assert len(kept) > 250
    lowest_kept = min(item["score"] for item in kept)
    assert lowest_kept >= max(item.score for item in found if item.class_id not in {k["class_id"] for k in kept}) - 1e-4
    assert [item["class_id"] for item in kept] == sorted(item["class_id"] for item in kept)


def test_labels_that_do_not_fit_into_hello_become_null_the_longest_first() -> None:
    fields = hello()
    models = {
        name: {"task": "classification", "sha256": "1" * 64, "labels": [f"{name} {i}" for i in range(count)]}
        for name, count in (("few", 10), ("many", 3000), ("most", 3500))
    }
    line = wire.encode_hello({**fields, "models": models})
    told = check_message(line)["models"]
    assert told["most"]["labels"] is None
    assert len(told["many"]["labels"]) == 3000
    assert len(told["few"]["labels"]) == 10
    assert models["most"]["labels"] is not None, "the caller's own hello was changed"


def test_a_status_that_does_not_fit_keeps_its_structure_and_shortens_its_texts() -> None:
    fields = status("degraded", "golden examples are not reproduced: " + "much to say " * 3000)
    fields["engines"]["objects"]["golden"] = {"passed": 0, "failed": 900, "failures": ["wrong by much " * 20] * 900}
    told = check_message(wire.encode_status(fields))
    assert told["reason"].startswith("golden examples are not reproduced: much")
    assert told["reason"].endswith("…")
    assert len(told["engines"]["objects"]["golden"]["failures"]) == 3
    assert told["engines"]["objects"]["golden"]["failed"] == 900


def test_what_cannot_be_shortened_is_not_sent() -> None:
    with pytest.raises(wire.MessageTooLong, match="status message of"):
        wire.encode_status({"type": "status", "cameras": {f"camera{i}": {"frames": i} for i in range(5000)}})


def test_a_name_that_is_no_unicode_does_not_stop_a_message() -> None:
    line = wire.bye("no such file: \udcff.jpg")
    assert check_message(line)["reason"] == "no such file: ?.jpg"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_reason_is_one_line(reason: str) -> None:
    for line in (wire.bye(reason), wire.error(reason)):
        assert line.count(b"\n") == 1
        assert check_message(line)["reason"] == reason


@pytest.mark.parametrize("request_id", [None, 7, "seven"])
def test_a_pong_carries_the_id(request_id: str | int | None) -> None:
    assert json.loads(wire.pong(request_id)).get("id") == request_id
    check_message(wire.pong(request_id))
