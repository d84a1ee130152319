"""FrameAccounts: captured = inferred + dropped + pending, whoever dies."""

import os
from contextlib import ExitStack

from hypothesis import given
from hypothesis import strategies as st

from visiond.accounting import Account, FrameAccounts
from visiond.frames import DEFAULT_SLOTS, Frame, FrameHeader, FrameRing

TPU, CPU = 1, 0  # readers


class Camera:
    """The writer's and the readers' ends of a ring, and the parent's account of it."""

    def __init__(self, accounts: FrameAccounts) -> None:
        self.ring = FrameRing.create(12)
        self.readers = {reader: FrameRing(os.dup(self.ring.fd), reader=reader) for reader in (CPU, TPU)}
        accounts.adopt(FrameRing(os.dup(self.ring.fd), header_only=True))

    def capture(self, count: int = 1) -> None:
        for _ in range(count):
            slot, pixels = self.ring.claim()
            pixels.release()
            self.ring.publish(slot, FrameHeader(1, 5, 2, 2))

    def take(self, reader: int = CPU) -> Frame | None:
        frame = self.readers[reader].take()
        if frame is not None:
            frame.pixels.release()  # the slot stays held, as by a reader that died
        return frame

    def close(self) -> None:
        for ring in (self.ring, *self.readers.values()):
            ring.close()


def holds(account: Account) -> bool:
    return account.captured == account.inferred + sum(account.dropped.values()) + account.pending


def test_each_fate_of_a_frame_is_counted() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture(3)
    camera.take()
    assert accounts.read() == Account(3, 0, {"superseded": 2}, pending=1, last_captured_ns=5)
    assert accounts.outstanding(CPU) == 1
    accounts.inferred(CPU)
    assert accounts.read() == Account(3, 1, {"superseded": 2}, pending=0, last_captured_ns=5)
    camera.capture()
    camera.ring.reclaim(CPU)
    camera.take()
    accounts.dropped(CPU, "expired")
    assert accounts.read().dropped == {"superseded": 2, "expired": 1}
    assert accounts.outstanding(CPU) == 0


def test_an_engine_that_dies_takes_its_frames_with_it_and_they_are_counted() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture()
    camera.take()
    accounts.engine_lost(CPU)
    assert accounts.read() == Account(1, 0, {"engine_lost": 1}, pending=0, last_captured_ns=5)
    camera.capture(4)  # its slot is free again
    assert holds(accounts.read())


def test_the_counts_go_on_over_a_new_ring() -> None:
    accounts = FrameAccounts()
    first = Camera(accounts)
    first.capture(2)
    accounts.retire()
    second = Camera(accounts)
    second.capture()
    second.take()
    accounts.inferred(CPU)
    assert accounts.read() == Account(3, 1, {"superseded": 2}, pending=0, last_captured_ns=5)


def test_a_result_that_comes_after_its_ring_is_gone_still_counts() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture()
    camera.take()
    accounts.retire()
    assert accounts.read().pending == 1
    accounts.inferred(CPU)
    assert accounts.read() == Account(1, 1, {}, pending=0, last_captured_ns=5)


def test_what_one_engine_held_when_it_died_is_not_what_another_one_holds() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    for reader in (TPU, CPU, TPU):
        camera.capture()
        assert camera.take(reader)
    accounts.engine_lost(TPU)
    assert accounts.read() == Account(3, 0, {"engine_lost": 2}, pending=1, last_captured_ns=5)
    assert (accounts.outstanding(TPU), accounts.outstanding(CPU)) == (0, 1)
    accounts.engine_lost(TPU)  # once more, before it took anything again
    accounts.inferred(CPU)
    assert accounts.read() == Account(3, 1, {"engine_lost": 2}, pending=0, last_captured_ns=5)


def test_an_engine_that_dies_when_its_ring_is_gone_loses_what_it_held() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture()
    camera.take(TPU)
    accounts.retire()
    accounts.engine_lost(TPU)
    assert accounts.read() == Account(1, 0, {"engine_lost": 1}, pending=0, last_captured_ns=5)


def test_a_frame_that_nobody_takes_waits() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    assert accounts.waiting() == 0
    camera.capture(2)
    assert accounts.waiting() == 1
    camera.take()
    assert accounts.waiting() == 0
    assert accounts.read().pending == 1


MOST_HELD = DEFAULT_SLOTS - 2  # one is written, one waits
readers = st.sampled_from([CPU, TPU])
steps = st.one_of(
    st.just(("capture", CPU)),
    st.just(("new ring", CPU)),
    st.tuples(st.sampled_from(["take", "infer", "drop", "die"]), readers),
)


@given(st.lists(steps, max_size=60))
def test_nothing_is_lost_and_nothing_is_counted_twice(story: list[tuple[str, int]]) -> None:
    accounts = FrameAccounts()
    held: dict[int, list[tuple[FrameRing, Frame]]] = {CPU: [], TPU: []}
    with ExitStack() as opened:
        camera = Camera(accounts)
        opened.callback(camera.close)
        opened.callback(accounts.retire)
        for step, reader in story:
            if step == "capture":
                if sum(map(len, held.values())) < MOST_HELD:
                    camera.capture()
            elif step == "new ring":
                accounts.retire()
                camera = Camera(accounts)
                opened.callback(camera.close)
            elif step == "take" and (frame := camera.take(reader)) is not None:
                held[reader].append((camera.readers[reader], frame))
            elif step == "die":
                accounts.engine_lost(reader)
                held[reader].clear()
            elif step in ("infer", "drop") and held[reader]:
                ring, frame = held[reader].pop()
                ring.release(frame)
                if step == "infer":
                    accounts.inferred(reader)
                else:
                    accounts.dropped(reader, "expired")
            account = accounts.read()
            assert holds(account)
            assert account.pending == sum(map(len, held.values())) + accounts.waiting()
            assert [accounts.outstanding(reader) for reader in held] == list(map(len, held.values()))
