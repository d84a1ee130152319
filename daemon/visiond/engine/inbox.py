"""The frames that wait for one engine: the ring of each camera, whose turn it is, and how to wait for the next one."""

from __future__ import annotations

import os
import select
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Final

from visiond.channel import Channel
from visiond.engine.turns import Seat, Turns
from visiond.frames import Frame, FrameRing
from visiond.messages import DropRing, RingDropped, RingOffer, from_json, to_json

_FOREVER_NS: Final = float("inf")


@dataclass(slots=True)
class _Ring:
    """One camera's ring and its eventfds. `rung`: a frame may wait."""

    camera: str
    model: str
    ring: FrameRing
    doorbell: int
    taken: int
    max_age_ns: float
    rung: bool = True

    def close(self) -> None:
        self.ring.close()
        os.close(self.doorbell)
        os.close(self.taken)


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame that the engine holds until it calls `Inbox.release`. `expired`: too old to be worth an invoke."""

    camera: str
    model: str
    frame: Frame
    expired: bool


class Inbox:
    """Takes the newest frame of the camera whose turn it is. One thread at a time, but for `wake` and `answered`."""

    def __init__(self, channel: Channel, turns: Turns) -> None:
        """`channel` brings the cameras' rings from the parent, and their end."""
        self._channel = channel
        self._turns = turns
        self._rings: dict[str, _Ring] = {}
        self._by_doorbell: dict[int, _Ring] = {}
        self._unanswered: Counter[str] = Counter()  # frames that were taken, by camera
        self._leaving: set[str] = set()  # dropped cameras with unanswered frames
        self._counting = threading.Lock()
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(channel, select.EPOLLIN)
        self._epoll.register(self._alarm, select.EPOLLIN)

    @property
    def cameras(self) -> list[tuple[str, str]]:
        """Each camera that feeds the engine, with its model."""
        return [(ring.camera, ring.model) for ring in list(self._rings.values())]

    def wait(self, timeout_s: float | None) -> None:
        """Return when a frame may have come, when `wake` was called, or after the time-out.

        Raises ChannelClosed when the parent is gone.
        """
        for fd, _ in self._epoll.poll(timeout_s):
            if fd == self._alarm:
                os.eventfd_read(self._alarm)
            elif fd == self._channel.fileno():
                self._listen()
            elif fd in self._by_doorbell:  # it is gone where the channel's message dropped it a moment ago
                self._by_doorbell[fd].rung = True

    def wake(self) -> None:
        """End a `wait` that goes on in another thread, or the next one."""
        os.eventfd_write(self._alarm, 1)

    def take(self) -> Taken | None:
        """Take the newest frame of the camera whose turn it is, or None when none waits."""
        while (seat := self._turns.choose(self._seats())) is not None:
            ring = self._rings[seat.camera]
            ring.rung = False
            frame = ring.ring.take()
            if frame is not None:
                self._turns.took(seat)
                with self._counting:
                    self._unanswered[seat.camera] += 1
                os.eventfd_write(ring.taken, 1)
                expired = time.monotonic_ns() - frame.header.captured_ns > ring.max_age_ns
                return Taken(seat.camera, seat.model, frame, expired)
        return None

    def release(self, taken: Taken) -> None:
        """Give the frame's slot back to its camera."""
        self._rings[taken.camera].ring.release(taken.frame)

    def answered(self, camera: str) -> None:
        """The parent has been told what became of a frame of this camera."""
        with self._counting:
            self._unanswered[camera] -= 1
            if camera not in self._leaving or self._unanswered[camera]:
                return
            self._leaving.discard(camera)
        self._channel.send(to_json(RingDropped(camera)))

    def _seats(self) -> list[Seat]:
        rings = self._rings.values()
        return [Seat(ring.camera, ring.model, ring.ring.last_taken_ns()) for ring in rings if ring.rung]

    def _listen(self) -> None:
        fields, fds = self._channel.receive()
        message = from_json(fields)
        if isinstance(message, RingOffer):
            self._attach(message, fds)
        elif isinstance(message, DropRing):
            self._detach(message.camera)
            with self._counting:
                self._leaving.add(message.camera)
                self._unanswered[message.camera] += 1  # this message: answered at once where no frame is out
            self.answered(message.camera)

    def _attach(self, offer: RingOffer, fds: list[int]) -> None:
        memory, doorbell, taken = fds
        self._detach(offer.camera)
        with self._counting:
            self._leaving.discard(offer.camera)
        max_age_ns = _FOREVER_NS if offer.max_age_ms is None else offer.max_age_ms * 1e6
        ring = _Ring(offer.camera, offer.model, FrameRing(memory, reader=offer.reader), doorbell, taken, max_age_ns)
        self._rings[offer.camera] = self._by_doorbell[doorbell] = ring
        # Edge-triggered, and never read: every engine that reads this ring is woken by each frame.
        self._epoll.register(doorbell, select.EPOLLIN | select.EPOLLET)

    def _detach(self, camera: str) -> None:
        ring = self._rings.pop(camera, None)
        if ring is not None:
            del self._by_doorbell[ring.doorbell]
            self._epoll.unregister(ring.doorbell)
            ring.close()
