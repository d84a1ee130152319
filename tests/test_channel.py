"""Channel: whole messages with their descriptors, or a clear end."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.channel import MAX_PACKET_BYTES, Channel, ChannelClosed
from visiond.detection import Box, Classification, Detection, Result, Stages
from visiond.messages import (
    DropRing,
    EngineReady,
    EngineStage,
    Fault,
    FrameDropped,
    GoldenReport,
    LoadModel,
    Message,
    ModelReady,
    OpenCamera,
    RingDropped,
    RingOffer,
    StartEngine,
    StickOrder,
    from_json,
    to_json,
)

names = st.text(max_size=20)
fractions = st.floats(0, 1)
boxes = st.builds(Box, fractions, fractions, fractions, fractions)
detections = st.builds(
    Detection,
    st.none() | names,
    st.integers(0, 90),
    fractions,
    boxes,
    st.none() | st.integers(0),
    st.lists(names, max_size=3).map(tuple),
)
results = st.builds(
    Result,
    camera=names,
    frame=st.integers(0),
    captured_ns=st.integers(0),
    engine=st.sampled_from(["cpu", "edgetpu"]),
    stages_ms=st.builds(Stages, fractions, fractions, fractions, fractions),
    objects=st.none() | st.lists(detections, max_size=5).map(tuple),
    classes=st.none() | st.lists(st.builds(Classification, names, st.integers(0), fractions), max_size=5).map(tuple),
    swapped=st.booleans(),
)
cameras = st.builds(
    OpenCamera, names, names, st.none() | st.tuples(st.integers(1), st.integers(1)), st.none() | fractions, st.just(90)
)
loads = st.builds(
    LoadModel,
    names,
    names,
    st.sampled_from(["cpu", "edgetpu", "onnx"]),
    st.integers(1, 16),
    fractions,
    st.integers(1),
    st.sampled_from(["auto", "litert"]),
)
options = st.dictionaries(names, st.booleans() | st.integers(0, 255), max_size=3)
sticks = st.builds(StickOrder, names, names, names, st.none() | names, options, names)
orders = st.builds(
    StartEngine, st.lists(loads, max_size=3).map(tuple), st.none() | sticks, st.lists(names, max_size=3).map(tuple)
)
ready_models = st.builds(
    ModelReady,
    name=names,
    engine=st.sampled_from(["cpu", "edgetpu"]),
    runtime=names,
    why=st.none() | names,
    library=st.none() | names,
    input_size=st.tuples(st.integers(1), st.integers(1)),
    invoke_ms=fractions,
    golden=st.builds(GoldenReport, st.integers(0), st.integers(0), st.lists(names).map(tuple)),
    remark=st.none() | names,
)
engines = st.builds(EngineReady, st.lists(ready_models, max_size=3).map(tuple))
short = (
    st.builds(RingOffer, names, names, st.integers(0, 15), st.none() | fractions)
    | st.builds(DropRing, names)
    | st.builds(RingDropped, names)
    | st.builds(EngineStage, names, st.none() | names, st.none() | names)
    | st.builds(FrameDropped, names, st.integers(0), names, st.none() | names)
    | st.builds(Fault, names, st.booleans())
)


@given(results | cameras | orders | engines | short)
def test_a_message_arrives_as_it_was_sent(message: Message) -> None:
    parent, child_socket = Channel.pair()
    child = Channel(child_socket)
    child.send(to_json(message))
    fields, fds = parent.receive()
    assert from_json(fields) == message
    assert fds == []
    parent.close()
    child.close()


def test_descriptors_travel_beside_the_message() -> None:
    parent, child_socket = Channel.pair()
    child = Channel(child_socket)
    read_fd, write_fd = os.pipe()
    child.send({"message": "x"}, (write_fd,))
    _, (received,) = parent.receive()
    os.write(received, b"through")
    assert os.read(read_fd, 10) == b"through"
    for fd in (read_fd, write_fd, received):
        os.close(fd)
    parent.close()
    child.close()


def test_the_end_of_the_other_side_is_told_and_not_waited_for() -> None:
    parent, child_socket = Channel.pair()
    with pytest.raises(BlockingIOError):
        parent.receive()
    child_socket.close()
    with pytest.raises(ChannelClosed):
        parent.receive()
    with pytest.raises(ChannelClosed):
        parent.send({})
    parent.close()


@pytest.mark.parametrize("packet", [b"[1]", b"{", b"\xff", b"1" * (MAX_PACKET_BYTES + 1)])
def test_what_is_no_message_raises_value_error(packet: bytes) -> None:
    parent, child_socket = Channel.pair()
    child_socket.send(packet)
    with pytest.raises(ValueError):
        parent.receive()
    parent.close()
    child_socket.close()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"message": "Nonsense"},
        {"message": "OpenCamera"},
        {"message": "Result", "camera": 1},
        {"message": "StartEngine", "models": [{"name": 1}], "stick": None, "avoid": []},
        {"message": "StartEngine", "models": [], "stick": {"device": "usb:0"}, "avoid": []},
        {"message": "EngineReady", "models": [{"golden": None, "input_size": [1, 1]}]},
        {"message": "EngineReady", "models": 1},
        {"message": "RingOffer", "camera": "front", "reeder": 1},
    ],
)
def test_fields_that_no_message_has_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        from_json(fields)
