"""The frames that wait for one engine: the ring of each camera, whose turn it is, and how to wait for the next one."""

from __future__ import annotations

import os
import selectors
import time
from dataclasses import dataclass
from typing import Final

from visiond.channel import Channel
from visiond.frames import Frame, FrameRing
from visiond.messages import DropRing, RingOffer, from_json

_FOREVER_NS: Final = float("inf")


@dataclass(slots=True)
class _Ring:
    """One camera's ring and its eventfds. `rung`: a frame may wait; `served`: the turn at which one was last taken."""

    ring: FrameRing
    doorbell: int
    taken: int
    max_age_ns: float
    rung: bool = True
    served: int = 0

    def close(self) -> None:
        self.ring.close()
        os.close(self.doorbell)
        os.close(self.taken)


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame that the engine holds until it calls `Inbox.release`. `expired`: too old to be worth an invoke."""

    camera: str
    frame: Frame
    expired: bool


class Inbox:
    """Takes the newest frame of the camera that has waited longest for a turn. One thread at a time, but for `wake`."""

    def __init__(self, channel: Channel) -> None:
        """`channel` brings the cameras' rings from the parent, and their end."""
        self._channel = channel
        self._rings: dict[str, _Ring] = {}
        self._turn = 0
        self._alarm = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._listen)
        self._selector.register(self._alarm, selectors.EVENT_READ, lambda: os.eventfd_read(self._alarm))

    def wait(self, timeout_s: float | None) -> None:
        """Return when a frame may have come, when `wake` was called, or after the time-out.

        Raises ChannelClosed when the parent is gone.
        """
        for key, _ in self._selector.select(timeout_s):
            key.data()

    def wake(self) -> None:
        """End a `wait` that goes on in another thread, or the next one."""
        os.eventfd_write(self._alarm, 1)

    def take(self) -> Taken | None:
        """Take the newest frame of the camera whose turn it is, or None when none waits."""
        for camera, ring in sorted(self._rings.items(), key=lambda item: item[1].served):
            if not ring.rung:
                continue
            ring.rung = False
            frame = ring.ring.take()
            if frame is not None:
                self._turn += 1
                ring.served = self._turn
                os.eventfd_write(ring.taken, 1)
                expired = time.monotonic_ns() - frame.header.captured_ns > ring.max_age_ns
                return Taken(camera, frame, expired)
        return None

    def release(self, taken: Taken) -> None:
        """Give the frame's slot back to its camera."""
        self._rings[taken.camera].ring.release(taken.frame)

    def _listen(self) -> None:
        fields, fds = self._channel.receive()
        message = from_json(fields)
        if isinstance(message, RingOffer):
            self._attach(message, fds)
        elif isinstance(message, DropRing):
            self._detach(message.camera)

    def _attach(self, offer: RingOffer, fds: list[int]) -> None:
        memory, doorbell, taken = fds
        self._detach(offer.camera)
        max_age_ns = _FOREVER_NS if offer.max_age_ms is None else offer.max_age_ms * 1e6
        ring = _Ring(FrameRing(memory), doorbell, taken, max_age_ns)
        self._rings[offer.camera] = ring
        self._selector.register(doorbell, selectors.EVENT_READ, lambda: self._answer(ring))

    def _detach(self, camera: str) -> None:
        ring = self._rings.pop(camera, None)
        if ring is not None:
            self._selector.unregister(ring.doorbell)
            ring.close()

    @staticmethod
    def _answer(ring: _Ring) -> None:
        os.eventfd_read(ring.doorbell)
        ring.rung = True
