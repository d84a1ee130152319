"""What one client gets, in which order, and what is counted as missed."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from numbered_daemon import result
from visiond.publish import wire
from visiond.publish.outbox import Outbox, RepliesNotRead
from visiond.publish.requests import Subscribe

SECOND_NS = 1_000_000_000


def numbered(camera: str, number: int, published_ns: int = 0) -> wire.Detections:
    message = result(camera, number, objects=2, captured_ns=published_ns)
    return wire.detections(message, seq=number, epoch=0, published_ns=published_ns, degraded=False)


def taken(outbox: Outbox) -> dict[str, Any] | None:
    line = outbox.take()
    return None if line is None else json.loads(line)


def drained(outbox: Outbox) -> list[dict[str, Any]]:
    messages = []
    while (message := taken(outbox)) is not None:
        messages.append(message)
    return messages


def test_the_newest_result_wins_and_the_others_are_counted() -> None:
    outbox = Outbox(8)
    for number in range(5):
        outbox.offer(numbered("front", number))
    assert [(m["seq"], m["missed"]) for m in drained(outbox)] == [(4, 4)]
    outbox.offer(numbered("front", 5))
    assert [(m["seq"], m["missed"]) for m in drained(outbox)] == [(5, 0)]
    assert not outbox


def test_replies_go_first_then_status_then_the_cameras_in_turn() -> None:
    outbox = Outbox(8)
    for number in range(3):
        outbox.offer(numbered("front", number))
        outbox.offer(numbered("rear", number))
    outbox.put_status(b'{"type":"status","old":true}')
    outbox.put_status(b'{"type":"status"}')
    outbox.put_reply(wire.pong(1))
    outbox.put_reply(wire.pong(2))
    assert taken(outbox) == {"type": "pong", "id": 1}
    assert taken(outbox) == {"type": "pong", "id": 2}
    assert taken(outbox) == {"type": "status"}
    assert (taken(outbox) or {})["camera"] == "front"
    outbox.offer(numbered("front", 3))
    assert [m["camera"] for m in drained(outbox)] == ["rear", "front"], "a fast camera does not keep a slow one waiting"


def test_a_status_that_was_asked_for_keeps_its_turn_among_the_replies_and_no_older_one_follows() -> None:
    outbox = Outbox(8)
    outbox.put_status(b'{"type":"status","old":true}')
    outbox.put_reply(wire.pong(1))
    outbox.answer_status(b'{"type":"status"}')
    outbox.put_reply(wire.pong(2))
    assert drained(outbox) == [{"type": "pong", "id": 1}, {"type": "status"}, {"type": "pong", "id": 2}]


def test_a_result_that_is_replaced_keeps_its_turn() -> None:
    outbox = Outbox(8)
    outbox.offer(numbered("front", 0))
    outbox.offer(numbered("rear", 0))
    outbox.offer(numbered("front", 1))
    assert [(m["camera"], m["seq"]) for m in drained(outbox)] == [("front", 1), ("rear", 0)]


def test_a_subscription_chooses_cameras_labels_and_scores() -> None:
    outbox = Outbox(8)
    outbox.offer(numbered("rear", 0))
    outbox.subscribe(Subscribe(cameras=frozenset({"front"}), labels=frozenset({"dog"}), min_score=0.3))
    outbox.offer(numbered("front", 1))
    outbox.offer(numbered("rear", 1))
    (message,) = drained(outbox)
    assert (message["camera"], [item["label"] for item in message["objects"]]) == ("front", ["dog"])
    outbox.subscribe(Subscribe(min_score=0.95))
    outbox.offer(numbered("rear", 2))
    (message,) = drained(outbox)
    assert (message["camera"], message["missed"], message["objects"]) == ("rear", 0, [])
    outbox.subscribe(Subscribe(cameras=frozenset()))
    outbox.offer(numbered("rear", 3))
    assert not outbox


@pytest.mark.parametrize(("fps", "max_hz", "wanted"), [(30, 10, 100), (30, 20, 200), (30, 60, 300), (9, 10, 90)])
def test_max_hz_thins_each_camera_and_costs_no_rate(fps: int, max_hz: float, wanted: int) -> None:
    outbox = Outbox(8)
    outbox.subscribe(Subscribe(max_hz=max_hz))
    got: dict[str, list[dict[str, Any]]] = {"front": [], "rear": []}
    for number in range(10 * fps):
        jitter_ns = (number * 7919 % 9 - 4) * 1_000_000
        for camera in got:
            outbox.offer(numbered(camera, number, 5 * SECOND_NS + number * SECOND_NS // fps + jitter_ns))
            got[camera] += drained(outbox)
    for messages in got.values():
        assert len(messages) == pytest.approx(wanted, abs=1)
        assert not any(message["missed"] for message in messages), "what was asked for is not missed"


def test_a_slow_reader_with_max_hz_still_gets_the_newest_and_misses_turns_not_frames() -> None:
    outbox = Outbox(8)
    outbox.subscribe(Subscribe(max_hz=10))
    for number in range(30):  # a second of 30 fps in which nothing is read: ten turns
        outbox.offer(numbered("front", number, SECOND_NS + number * SECOND_NS // 30))
    assert [(m["seq"], m["missed"]) for m in drained(outbox)] == [(29, 9)]


def test_after_a_long_silence_max_hz_does_not_let_a_burst_through() -> None:
    outbox = Outbox(8)
    outbox.subscribe(Subscribe(max_hz=1))
    got = []
    for number, at_ms in enumerate((0, 100, 60_000, 60_100, 60_900, 61_000)):
        outbox.offer(numbered("front", number, SECOND_NS + at_ms * 1_000_000))
        got += [message["seq"] for message in drained(outbox)]
    assert got == [0, 2, 5]


def test_replies_are_bounded() -> None:
    outbox = Outbox(3)
    for number in range(3):
        outbox.put_reply(wire.pong(number))
    with pytest.raises(RepliesNotRead):
        outbox.put_reply(wire.pong(3))


def test_last_words_follow_the_replies_and_nothing_follows_them() -> None:
    outbox = Outbox(3)
    outbox.offer(numbered("front", 0))
    outbox.put_status(b'{"type":"status"}')
    outbox.put_reply(wire.error("no"))
    outbox.end_with(wire.bye("why"))
    outbox.offer(numbered("front", 1))
    outbox.put_status(b'{"type":"status"}')
    outbox.put_reply(wire.pong(3))
    assert [message["type"] for message in drained(outbox)] == ["error", "bye"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["front", "rear", "take"]), max_size=60))
def test_seq_and_missed_account_for_every_result(events: list[str]) -> None:
    """For each camera: what was produced up to a message = what was received and missed up to it."""
    outbox, produced = Outbox(8), {"front": 0, "rear": 0}
    got: dict[str, list[dict[str, Any]]] = {"front": [], "rear": []}
    for event in events:
        if event == "take":
            message = taken(outbox)
            if message is not None:
                got[message["camera"]].append(message)
        else:
            outbox.offer(numbered(event, produced[event]))
            produced[event] += 1
    for message in drained(outbox):
        got[message["camera"]].append(message)
    for camera, messages in got.items():
        assert sum(1 + message["missed"] for message in messages) == produced[camera]
        for earlier, later in pairwise(messages):
            assert later["seq"] - earlier["seq"] == 1 + later["missed"]
