"""Channel: whole messages with their descriptors, or a clear end."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.channel import MAX_PACKET_BYTES, Channel, ChannelClosed
from visiond.detection import Box, Classification, Detection, Result, Stages
from visiond.messages import EngineReady, GoldenReport, Message, OpenCamera, from_json, to_json

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
)
cameras = st.builds(
    OpenCamera, names, names, st.none() | st.tuples(st.integers(1), st.integers(1)), st.none() | fractions, st.just(90)
)
engines = st.builds(
    EngineReady,
    st.just("cpu"),
    names,
    st.tuples(st.integers(1), st.integers(1)),
    fractions,
    st.builds(GoldenReport, st.integers(0), st.integers(0), st.lists(names).map(tuple)),
)


@given(results | cameras | engines)
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
    "fields", [{}, {"message": "Nonsense"}, {"message": "OpenCamera"}, {"message": "Result", "camera": 1}]
)
def test_fields_that_no_message_has_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        from_json(fields)
