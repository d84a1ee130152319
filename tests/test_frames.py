"""FrameRing: newest wins, each frame is counted for its reader, and a dead one leaves no slot behind."""

import os
import signal
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.frames import (
    _READER,
    _STATE,
    DEFAULT_SLOTS,
    MAX_READERS,
    READING,
    READY,
    Frame,
    FrameHeader,
    FrameRing,
    RingCounters,
)


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    made = FrameRing.create(4 * 2 * 3)
    yield made
    made.close()


def publish(ring: FrameRing, frame: int, fill: int = 0) -> None:
    slot, pixels = ring.claim()
    pixels[:] = bytes([fill]) * len(pixels)
    pixels.release()
    ring.publish(slot, FrameHeader(frame, captured_ns=1000 + frame, width=4, height=2))


def test_what_was_written_is_read_through_another_mapping(ring: FrameRing) -> None:
    reader = FrameRing(os.dup(ring.fd))
    publish(ring, 7, fill=42)
    frame = reader.take()
    assert frame is not None
    assert frame.header == FrameHeader(7, 1007, 4, 2)
    assert bytes(frame.pixels) == bytes([42]) * 24
    reader.release(frame)
    reader.close()


def test_the_newest_frame_wins_and_the_others_are_counted(ring: FrameRing) -> None:
    for number in range(5):
        publish(ring, number)
    frame = ring.take()
    assert frame is not None
    assert frame.header.frame == 4
    assert ring.take() is None
    ring.release(frame)
    counters = ring.counters()
    assert (counters.captured, counters.superseded, counters.taken) == (5, 4, 1)
    assert counters.last_captured_ns == 1004


def test_a_frame_being_read_is_never_written_to(ring: FrameRing) -> None:
    publish(ring, 1, fill=1)
    frame = ring.take()
    assert frame is not None
    for number in range(2, 20):
        publish(ring, number, fill=number)
    assert bytes(frame.pixels) == bytes([1]) * 24
    ring.release(frame)


def test_an_abandoned_slot_is_free_again(ring: FrameRing) -> None:
    for _ in range(10):
        slot, pixels = ring.claim()
        pixels.release()
        ring.abandon(slot)
    publish(ring, 1)
    assert ring.waiting()


def test_retire_discards_the_waiting_frame_and_counts_it(ring: FrameRing) -> None:
    publish(ring, 1)
    last = ring.retire()
    assert (last.captured, last.superseded, last.taken) == (1, 1, 0)
    assert ring.take() is None


def test_a_reader_killed_with_a_frame_leaves_its_slot_to_the_parent(ring: FrameRing) -> None:
    publish(ring, 1)
    pid = os.fork()
    if pid == 0:
        FrameRing(os.dup(ring.fd)).take()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    parent = FrameRing(os.dup(ring.fd), header_only=True)
    parent.reclaim(reader=0)
    assert parent.counters().taken == 1
    for number in range(2, 2 * DEFAULT_SLOTS):  # would run out of slots
        publish(ring, number)
        frame = ring.take()
        assert frame is not None
        ring.release(frame)
    parent.close()


def test_six_engines_read_at_once_and_each_has_a_frame_of_its_own(ring: FrameRing) -> None:
    readers = [FrameRing(os.dup(ring.fd), reader=number) for number in range(6)]
    held: list[Frame] = []
    for reader in readers:
        publish(ring, len(held), fill=len(held))
        frame = reader.take()
        assert frame is not None
        assert reader.take() is None
        held.append(frame)
    for number in range(10):  # the camera goes on all the same
        publish(ring, 10 + number)
    assert [frame.header.frame for frame in held] == list(range(6))
    assert [frame.pixels[0] for frame in held] == list(range(6))
    assert ring.counters().taken_by[:7] == (1, 1, 1, 1, 1, 1, 0)
    assert ring.counters().taken == 6
    for reader, frame in zip(readers, held, strict=True):
        reader.release(frame)
        reader.close()


def test_only_what_the_dead_reader_held_is_reclaimed(ring: FrameRing) -> None:
    dead, alive = FrameRing(os.dup(ring.fd), reader=2), FrameRing(os.dup(ring.fd), reader=3)
    publish(ring, 1, fill=1)
    lost = dead.take()
    publish(ring, 2, fill=2)
    kept = alive.take()
    assert lost is not None
    assert kept is not None
    ring.reclaim(reader=2)
    for number in range(3, 20):
        publish(ring, number, fill=number)
    assert kept.pixels[0] == 2, "what the living one holds is not written to"
    assert lost.pixels[0] != 1, "the dead one's slot is used again"
    assert ring.counters().taken_by[2:4] == (1, 1)
    lost.pixels.release()
    alive.release(kept)
    alive.close()
    dead.close()


def test_a_reader_that_died_between_a_frames_state_and_its_count_is_set_right(ring: FrameRing) -> None:
    publish(ring, 1)
    slot = ring._find(READY)
    assert slot is not None
    ring._set(slot, _READER, 4)  # as `take` does, up to the line where it was killed
    ring._set(slot, _STATE, READING)
    assert ring.counters() == RingCounters(1, 0, 0, 1001)
    ring.reclaim(reader=4)
    counters = ring.counters()
    assert (counters.captured, counters.superseded, counters.taken, counters.taken_by[4]) == (1, 0, 1, 1)


def test_when_a_frame_was_last_taken_is_known_to_every_reader(ring: FrameRing) -> None:
    other = FrameRing(os.dup(ring.fd), reader=1)
    assert other.last_taken_ns() == 0
    publish(ring, 1)
    before_ns = time.monotonic_ns()
    frame = ring.take()
    assert frame is not None
    assert before_ns <= other.last_taken_ns() <= time.monotonic_ns()
    ring.release(frame)
    other.close()


@pytest.mark.parametrize("reader", [-1, MAX_READERS])
def test_a_reader_that_cannot_be_counted_is_refused(ring: FrameRing, reader: int) -> None:
    with pytest.raises(ValueError, match=rf"reader {reader} is beyond the {MAX_READERS} that a ring counts"):
        FrameRing(ring.fd, reader=reader)


def test_the_parent_does_not_wait_for_a_lock_that_a_stopped_worker_holds(ring: FrameRing) -> None:
    ready_read, ready_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        with ring._locked():
            os.write(ready_write, b"1")
            os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.read(ready_read, 1)
    os.waitpid(pid, os.WUNTRACED)
    parent = FrameRing(os.dup(ring.fd), header_only=True)
    with pytest.raises(BlockingIOError, match="does not go on"):
        parent.counters()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert parent.counters().captured == 0  # the kernel dropped the dead one's lock
    parent.close()
    os.close(ready_read)
    os.close(ready_write)


def test_the_size_of_the_memory_is_sealed(ring: FrameRing) -> None:
    with pytest.raises(PermissionError):
        os.ftruncate(ring.fd, 0)


@given(st.lists(st.sampled_from(["publish", "take", "release", "abandon"]), max_size=60))
def test_every_frame_is_taken_superseded_or_waiting(steps: list[str]) -> None:
    ring = FrameRing.create(24)
    held = None
    published = 0
    for step in steps:
        if step == "publish":
            published += 1
            publish(ring, published)
        elif step == "abandon":
            slot, pixels = ring.claim()
            pixels.release()
            ring.abandon(slot)
        elif step == "take" and held is None:
            held = ring.take()
        elif step == "release" and held is not None:
            ring.release(held)
            held = None
        counters = ring.counters()
        assert counters.captured == published == counters.taken + counters.superseded + ring.waiting()
    if held is not None:
        held.pixels.release()
    ring.close()
