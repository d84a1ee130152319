"""Bytes from a client: exactly the requests of the schema are taken, all else is refused in one short sentence."""

import json
import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raw_client import is_request
from visiond.publish.requests import Ping, ProtocolError, StatusRequest, Subscribe, parse_request

FUZZ_CASES = int(os.environ.get("VISIOND_FUZZ_CASES", "100000"))

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["type", "cameras", "labels", "min_score", "max_hz", "masks", "id"]) | st.text(max_size=6)
kinds = st.sampled_from(["subscribe", "status", "ping", "hello", ""])
numbers = st.floats(-1, 1001, allow_nan=False) | st.integers(-1, 1001)
nearly_requests = st.dictionaries(keys, json_values | numbers | st.lists(st.text(max_size=4), max_size=3), max_size=4)


def reason_for(line: bytes) -> str:
    with pytest.raises(ProtocolError) as caught:
        parse_request(line)
    return str(caught.value)


def test_every_request() -> None:
    asked = b'{"type":"subscribe","cameras":["front"],"labels":["cat","dog"],"min_score":0.5,"max_hz":10}'
    assert parse_request(asked) == Subscribe(frozenset({"front"}), frozenset({"cat", "dog"}), 0.5, 10.0)
    assert parse_request(b'{"type":"subscribe"}\r\n') == Subscribe()
    assert parse_request(b'{"type":"subscribe","cameras":[],"labels":null}') == Subscribe(frozenset())
    assert parse_request(b'{"type":"status"}\n') == StatusRequest()
    assert parse_request(b'{"type":"ping"}') == Ping()
    assert parse_request('{"type":"ping","id":"größer"}'.encode()) == Ping("größer")
    assert parse_request(b' { "id" : 7, "type" : "ping" } ') == Ping(7)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "must be one JSON object on one line"),
        (b"hello", "must be one JSON object on one line"),
        (b'{"type":"ping"', "must be one JSON object on one line"),
        (b'{"type":"ping"}{"type":"ping"}', "must be one JSON object on one line: Extra data, column 16"),
        (b'{"type":"ping\xff"}', "must be UTF-8"),
        (b"[1]", "must be a JSON object"),
        (b"[" * 4000, "nested as deep|Expecting value"),  # Python 3.13 reads deeper than those before it
        (b'{"type":' + b"[" * 1500 + b"]" * 1500 + b"}", "nested as deep|has a"),
        (b'{"type":"ping","id":' + b"1" * 4050 + b"}", "ping: id must be a whole number up to"),
        (b'{"type":"ping","id":' + b"1" * 5000 + b"}", "more than 4096 bytes"),
        (b'{"type":"subscribe","min_score":NaN}', "NaN is not a JSON number"),
        (b'{"type":"subscribe","max_hz":-Infinity}', "-Infinity is not a JSON number"),
        (b'{"type":"subscribe","max_hz":1e999}', "max_hz must be a number from 0.001 to 1000"),
        (b'{"type":"ping","type":"status"}', 'the key "type" stands twice'),
        (b'{"type":"status","x":{"a":1,"a":2}}', 'the key "a" stands twice'),
        (b'{"cameras":["front"]}', 'has a "type", one of subscribe, status, ping'),
        (b'{"type":["ping"]}', 'has a "type"'),
        (b'{"type":"shutdown"}', 'no such request: "shutdown"; the types are subscribe, status, ping'),
        (b'{"type":"subscribe","camera":"front"}', 'unknown key "camera"; the keys are type, cameras, labels'),
        (b'{"type":"status","id":1}', 'status: unknown key "id"; the keys are type'),
        (b'{"type":"subscribe","cameras":"front"}', "cameras must be a list"),
        (b'{"type":"subscribe","cameras":[1]}', "cameras must be a list"),
        (b'{"type":"subscribe","labels":[]}', "labels is empty"),
        (b'{"type":"subscribe","min_score":1.5}', "min_score must be a number from 0 to 1"),
        (b'{"type":"subscribe","min_score":true}', "min_score must be a number"),
        (b'{"type":"subscribe","max_hz":0}', "max_hz must be a number from 0.001"),
        (b'{"type":"subscribe","masks":1}', "subscribe: masks must be true or false"),
        (b'{"type":"subscribe","max_hz":-3}', "max_hz must be a number from 0.001"),
        (b'{"type":"ping","id":1.5}', "id must be"),
        (b'{"type":"ping","id":true}', "id must be"),
        (b'{"type":"ping","id":"' + b"x" * 129 + b'"}', "id must be"),
        (b'{"type":"' + b"x" * 1000 + b'"}', 'no such request: "xxxx'),
    ],
)
def test_what_is_refused_and_why(line: bytes, reason: str) -> None:
    told = reason_for(line)
    assert any(part in told for part in reason.split("|")), told
    assert len(told) < 300
    assert "\n" not in told


@settings(deadline=None)
@given(fields=nearly_requests, kind=kinds)
def test_the_parser_and_the_schema_agree(fields: dict[str, Any], kind: str) -> None:
    fields = {**fields, "type": kind}
    line = json.dumps(fields).encode()
    try:
        parse_request(line)
    except ProtocolError:
        assert not is_request(fields)
    else:
        assert is_request(fields)


@settings(deadline=None)
@given(
    cameras=st.none() | st.frozensets(st.text(max_size=9), max_size=5),
    labels=st.none() | st.frozensets(st.text(max_size=9), min_size=1, max_size=5),
    min_score=st.none() | st.floats(0, 1),
    max_hz=st.none() | st.floats(0.001, 1000),
    masks=st.none() | st.booleans(),
)
def test_a_subscription_comes_back_from_its_line(
    cameras: frozenset[str] | None,
    labels: frozenset[str] | None,
    min_score: float | None,
    max_hz: float | None,
    masks: bool | None,
) -> None:
    asked = {
        "type": "subscribe",
        "cameras": cameras and list(cameras),
        "labels": labels and list(labels),
        "min_score": min_score,
        "max_hz": max_hz,
        "masks": masks,
    }
    if cameras is not None:
        asked["cameras"] = list(cameras)
    assert parse_request(json.dumps(asked).encode()) == Subscribe(cameras, labels, min_score, max_hz, bool(masks))


def test_a_name_that_is_not_here_is_told_with_those_that_are() -> None:
    known = {"front", "rear"}
    Subscribe(cameras=frozenset({"front"})).check(known, {"cat"})
    with pytest.raises(ProtocolError, match='there is no camera "frnt"; there is front, rear'):
        Subscribe(cameras=frozenset({"frnt", "rear"})).check(known, {"cat"})
    with pytest.raises(ProtocolError, match='no model here knows the label "Cat"'):
        Subscribe(labels=frozenset({"Cat"})).check(known, {"cat"})
    Subscribe(labels=frozenset({"Cat"})).check(known, None)
    with pytest.raises(ProtocolError, match="camera019, …"):
        Subscribe(cameras=frozenset({"x"})).check({f"camera{i:03}" for i in range(100)}, None)


def refusal(line: bytes) -> str | None:
    """Why the line is refused, None when it is taken; any other exception goes through."""
    try:
        parse_request(line)
    except ProtocolError as error:
        return str(error)
    return None


def mutants(cases: int) -> Any:
    """Requests with bytes changed, cut, doubled and spliced, and some that never were one; the same ones each time."""
    seeds = [
        b'{"type":"subscribe","cameras":["front","rear"],"labels":["cat"],"min_score":0.5,"max_hz":10}',
        b'{"type":"status"}',
        b'{"type":"ping","id":"a\\u00e9\\ud800"}',
        b'{"type":"ping","id":-1.5e300}',
        b'{"type":"ping","id":NaN,"id":Infinity}',
        '{"type":"größe\u2028"}'.encode(),
    ]
    long_seeds = [b"[" * 2000 + b"]" * 2000, b'{"a":' * 800 + b"1" + b"}" * 800, b"9" * 4096]
    alphabet = [
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b":",
        b",",
        b"\\",
        b"\0",
        b"\xff",
        b"\xc3",
        b"1e999",
        b"null",
        b"-",
        b"\\u",
    ]
    chance = random.Random(35)
    for case in range(cases):
        line = bytearray(chance.choice(long_seeds if case % 40 == 0 else seeds))
        for _ in range(chance.randrange(1, 5)):
            at = chance.randrange(len(line) + 1)
            action = chance.randrange(5)
            if action == 0:
                line[at : at + chance.randrange(1, 9)] = b""
            elif action == 1:
                line[at:at] = chance.choice(alphabet)
            elif action == 2:
                line[at : at + 1] = bytes([chance.randrange(256)])
            elif action == 3:
                line[at:at] = line[at : at + 40]
            else:
                line = line[:at] + chance.choice(seeds)[: chance.randrange(60)]
            if not line:
                line = bytearray(b" ")
        yield bytes(line)


@pytest.mark.slow
def test_fault_35_any_bytes_are_a_request_or_a_protocol_error() -> None:
    """VISIOND_FUZZ_CASES raises the number of cases."""
    refused = [outcome for line in mutants(FUZZ_CASES) if (outcome := refusal(line)) is not None]
    assert 0 < len(refused) < FUZZ_CASES
    assert all(0 < len(reason) < 400 for reason in refused)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_fault_35_random_bytes_are_never_anything_else(line: bytes) -> None:
    assert refusal(line) != ""
