"""Inbox: the newest frame of whose turn it is, from rings that other engines may read as well."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from visiond.channel import Channel, ChannelClosed
from visiond.engine.inbox import Inbox, Taken
from visiond.engine.turns import Turns
from visiond.frames import FrameHeader, FrameRing
from visiond.messages import DropRing, FrameDropped, Message, RingDropped, RingOffer, from_json, to_json

PATIENCE_S = 20.0

# Another process, which takes what it can, and tells each frame's number and first pixel.
READER = """
import socket, sys
from visiond.channel import Channel, ChannelClosed
from visiond.engine.inbox import Inbox
from visiond.engine.turns import Turns
from visiond.messages import FrameDropped, to_json

channel = Channel(socket.socket(fileno=int(sys.argv[1])))
inbox = Inbox(channel, Turns())
try:
    while True:
        while (taken := inbox.take()) is None:
            inbox.wait(None)
        number, value = taken.frame.header.frame, taken.frame.pixels[0]
        inbox.release(taken)
        channel.send(to_json(FrameDropped(taken.camera, number, str(value))))
        inbox.answered(taken.camera)
except ChannelClosed:
    sys.exit(0)
"""


class Camera:
    """The camera worker's side of a ring."""

    def __init__(self, name: str = "front") -> None:
        self.name = name
        self.ring = FrameRing.create(4 * 2 * 3)
        self.doorbell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.taken = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def publish(self, frame: int, captured_ns: int | None = None) -> None:
        slot, pixels = self.ring.claim()
        pixels[:] = bytes([frame % 256]) * len(pixels)
        pixels.release()
        captured_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        self.ring.publish(slot, FrameHeader(frame, captured_ns, width=4, height=2))
        os.eventfd_write(self.doorbell, 1)

    def answers(self) -> int:
        """How many frames were taken since the last time; the camera's worker paces itself by it."""
        try:
            return os.eventfd_read(self.taken)
        except BlockingIOError:
            return 0

    def close(self) -> None:
        self.ring.close()
        os.close(self.doorbell)
        os.close(self.taken)


class Parent:
    """The parent's end of an engine's channel."""

    def __init__(self) -> None:
        self.channel, self.worker_socket = Channel.pair()

    def offer(self, camera: Camera, model: str = "m", reader: int = 0, max_age_ms: float | None = None) -> None:
        offer = RingOffer(camera.name, model, reader, max_age_ms)
        self.channel.send(to_json(offer), (camera.ring.fd, camera.doorbell, camera.taken))

    def drop(self, camera: Camera) -> None:
        self.channel.send(to_json(DropRing(camera.name)))

    def told(self) -> Message | None:
        try:
            return from_json(self.channel.receive()[0])
        except BlockingIOError:
            return None


class Engine(Parent):
    """An inbox in this process, and the parent that it hears from."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox(Channel(self.worker_socket), Turns())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        self.worker_socket.close()

    def take(self) -> Taken | None:
        """Take and release what is there, without waiting."""
        self.inbox.wait(0)
        taken = self.inbox.take()
        if taken is not None:
            self.inbox.release(taken)
        return taken

    def number(self) -> int | None:
        taken = self.take()
        return None if taken is None else taken.frame.header.frame


@pytest.fixture
def camera() -> Iterator[Camera]:
    made = Camera()
    yield made
    made.close()


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made


def test_the_newest_frame_is_taken_once_and_the_camera_learns_it(camera: Camera, engine: Engine) -> None:
    camera.publish(1)
    engine.offer(camera, "objects")
    engine.inbox.wait(PATIENCE_S)
    assert engine.inbox.cameras == [("front", "objects")]
    camera.publish(2)
    taken = engine.inbox.take()
    assert taken is not None
    assert (taken.camera, taken.model, taken.frame.header.frame, taken.expired) == ("front", "objects", 2, False)
    assert bytes(taken.frame.pixels) == bytes([2]) * 24
    engine.inbox.release(taken)
    assert camera.answers() == 1
    assert engine.number() is None


def test_a_frame_ends_the_wait(camera: Camera, engine: Engine) -> None:
    engine.offer(camera)
    engine.inbox.wait(PATIENCE_S)
    assert engine.inbox.take() is None
    threading.Timer(0.05, camera.publish, [7]).start()
    engine.inbox.wait(PATIENCE_S)
    assert engine.number() == 7


def test_wake_ends_the_wait_of_another_thread(engine: Engine) -> None:
    waiting = threading.Thread(target=engine.inbox.wait, args=(PATIENCE_S,))
    waiting.start()
    engine.inbox.wake()
    waiting.join(PATIENCE_S / 2)
    assert not waiting.is_alive()


def test_the_end_of_the_parent_is_told(engine: Engine) -> None:
    engine.channel.close()
    with pytest.raises(ChannelClosed):
        engine.inbox.wait(PATIENCE_S)


def test_a_frame_that_is_too_old_is_said_to_be(camera: Camera, engine: Engine) -> None:
    engine.offer(camera, max_age_ms=500)
    camera.publish(1, captured_ns=time.monotonic_ns() - 600_000_000)
    taken = engine.take()
    assert taken is not None
    assert taken.expired
    camera.publish(2)
    taken = engine.take()
    assert taken is not None
    assert not taken.expired


def test_cameras_of_one_engine_take_turns(engine: Engine) -> None:
    with ExitStack() as closing:
        cameras = [Camera(name) for name in ("a", "b", "c")]
        for camera in cameras:
            closing.callback(camera.close)
            engine.offer(camera)
            engine.inbox.wait(PATIENCE_S)
        order = []
        for number in range(12):
            for camera in cameras:
                camera.publish(number)
            taken = engine.take()
            assert taken is not None
            order.append(taken.camera)
        assert "".join(order) == "abc" * 4


def test_the_newest_ring_of_a_camera_replaces_the_one_before(camera: Camera, engine: Engine) -> None:
    engine.offer(camera)
    engine.inbox.wait(PATIENCE_S)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    successor = Camera()
    camera.publish(1)
    successor.publish(2)
    engine.offer(successor)
    assert engine.number() == 2
    assert engine.number() is None, "nobody reads the old one any more"
    successor.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


# several engines at one ring


def test_each_frame_wakes_every_engine_and_one_of_them_gets_it(camera: Camera) -> None:
    with Engine() as one, Engine() as other:
        for number, engine in enumerate((one, other)):
            engine.offer(camera, reader=number + 1)
            engine.inbox.wait(PATIENCE_S)
        for frame in range(6):
            camera.publish(frame)
            first, second = (one, other) if frame % 3 else (other, one)
            first.inbox.wait(PATIENCE_S)  # returns: it was rung
            assert first.number() == frame
            second.inbox.wait(PATIENCE_S)
            assert second.number() is None
        assert camera.ring.counters().taken_by[:3] == (0, 4, 2)


class OtherProcess(Parent):
    """An engine in a process of its own, and what it has told."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, str(self.worker_socket.fileno())],
            pass_fds=[self.worker_socket.fileno()],
            env={"PYTHONPATH": str(root / "daemon")},
        )
        self.worker_socket.close()
        self.frames: list[FrameDropped] = []
        self.dropped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        assert self.process.wait(PATIENCE_S) == 0

    def listen(self) -> None:
        while (message := self.told()) is not None:
            if isinstance(message, FrameDropped):
                assert not self.dropped, "it answered a frame after it said that none was left"
                self.frames.append(message)
            else:
                assert isinstance(message, RingDropped)
                self.dropped = True


def test_two_processes_share_a_rings_frames_and_none_is_taken_twice(root: Path, camera: Camera) -> None:
    with OtherProcess(root) as one, OtherProcess(root) as other:
        engines = [one, other]
        give_up_s = time.monotonic() + PATIENCE_S

        def listen() -> None:
            assert time.monotonic() < give_up_s, [len(engine.frames) for engine in engines]
            select.select([engine.channel for engine in engines], [], [], 0.001)
            for engine in engines:
                engine.listen()

        for reader, engine in enumerate(engines, 1):
            engine.offer(camera, reader=reader)
        number = 0
        while any(len(engine.frames) < 100 for engine in engines):
            number += 1
            camera.publish(number)
            listen()
        for engine in engines:
            engine.drop(camera)
        while not all(engine.dropped for engine in engines):
            listen()
        counters = camera.ring.retire()
        told = [message for engine in engines for message in engine.frames]
        assert counters.taken_by[1:3] == (len(one.frames), len(other.frames))
        assert counters.captured == number == counters.superseded + len(told)
        assert len({message.frame for message in told}) == len(told), "a frame was taken twice"
        assert all(int(message.reason) == message.frame % 256 for message in told), "a frame was written to while read"


# a ring's end, at the border of a frame


def test_a_ring_is_dropped_at_once_where_no_frame_is_out(camera: Camera, engine: Engine) -> None:
    engine.offer(camera)
    engine.inbox.wait(PATIENCE_S)
    camera.publish(1)
    engine.drop(camera)
    engine.inbox.wait(PATIENCE_S)
    assert engine.told() == RingDropped("front")
    assert engine.number() is None, "what still waits is left to others"
    assert engine.inbox.cameras == []


def test_a_ring_is_dropped_when_every_frame_that_was_taken_is_answered(camera: Camera, engine: Engine) -> None:
    engine.offer(camera)
    for number in (1, 2):  # one is decoded while the next one is in the interpreter
        camera.publish(number)
        engine.inbox.wait(PATIENCE_S)
        assert engine.number() == number
    engine.drop(camera)
    engine.inbox.wait(PATIENCE_S)
    assert engine.told() is None
    engine.inbox.answered("front")
    assert engine.told() is None, "one is still out"
    engine.inbox.answered("front")
    assert engine.told() == RingDropped("front")
    assert engine.told() is None, "once"


def test_the_other_cameras_of_an_engine_go_on(camera: Camera, engine: Engine) -> None:
    rear = Camera("rear")
    for each in (camera, rear):
        engine.offer(each)
        engine.inbox.wait(PATIENCE_S)
        each.publish(1)
        engine.number()
    engine.drop(camera)
    engine.inbox.wait(PATIENCE_S)
    engine.inbox.answered("rear")
    assert engine.told() is None, "that was the other camera's frame"
    rear.publish(2)
    assert engine.number() == 2
    engine.inbox.answered("front")
    assert engine.told() == RingDropped("front")
    rear.close()


def test_a_ring_that_comes_again_after_its_end_is_read(camera: Camera, engine: Engine) -> None:
    for number in (1, 2, 3):
        engine.offer(camera)
        engine.inbox.wait(PATIENCE_S)
        camera.publish(number)
        assert engine.number() == number
        engine.inbox.answered("front")
        engine.drop(camera)
        engine.inbox.wait(PATIENCE_S)
        assert engine.told() == RingDropped("front")


def test_a_ring_that_was_never_there_is_dropped_all_the_same(camera: Camera, engine: Engine) -> None:
    engine.drop(camera)
    engine.inbox.wait(PATIENCE_S)
    assert engine.told() == RingDropped("front")
