"""FrameAccounts: captured = inferred + dropped + pending, whoever dies."""

import os

from visiond.accounting import Account, FrameAccounts
from visiond.frames import FrameHeader, FrameRing


class Camera:
    """The writer's and the reader's end of a ring, and the parent's account of it."""

    def __init__(self, accounts: FrameAccounts) -> None:
        self.ring = FrameRing.create(12)
        accounts.adopt(FrameRing(os.dup(self.ring.fd), header_only=True))

    def capture(self, count: int = 1) -> None:
        for _ in range(count):
            slot, pixels = self.ring.claim()
            pixels.release()
            self.ring.publish(slot, FrameHeader(1, 5, 2, 2))

    def take(self) -> None:
        frame = self.ring.take()
        assert frame is not None
        frame.pixels.release()


def holds(account: Account) -> bool:
    return account.captured == account.inferred + sum(account.dropped.values()) + account.pending


def test_each_fate_of_a_frame_is_counted() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture(3)
    camera.take()
    assert accounts.read() == Account(3, 0, {"superseded": 2}, pending=1, last_captured_ns=5)
    assert accounts.outstanding() == 1
    accounts.inferred()
    assert accounts.read() == Account(3, 1, {"superseded": 2}, pending=0, last_captured_ns=5)
    camera.capture()
    camera.ring.reclaim()
    camera.take()
    accounts.dropped("expired")
    assert accounts.read().dropped == {"superseded": 2, "expired": 1}
    assert accounts.outstanding() == 0


def test_an_engine_that_dies_takes_its_frames_with_it_and_they_are_counted() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture()
    camera.take()
    accounts.engine_lost()
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
    accounts.inferred()
    assert accounts.read() == Account(3, 1, {"superseded": 2}, pending=0, last_captured_ns=5)


def test_a_result_that_comes_after_its_ring_is_gone_still_counts() -> None:
    accounts = FrameAccounts()
    camera = Camera(accounts)
    camera.capture()
    camera.take()
    accounts.retire()
    assert accounts.read().pending == 1
    accounts.inferred()
    assert accounts.read() == Account(1, 1, {}, pending=0, last_captured_ns=5)
