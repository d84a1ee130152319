"""FrameOutlet: the camera worker's end of the FrameRing. Slots for the camera to fill; rings offered to the parent."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np

from visiond.cameras.environment import MAX_PIXELS
from visiond.cameras.source import Camera, Pixels
from visiond.channel import Channel
from visiond.errors import CameraError
from visiond.frames import FrameHeader, FrameRing
from visiond.messages import RingOffer, to_json

_TURNS: Final = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
_POLL_MS: Final = 1000


class FrameOutlet:
    """Publishes frames, turned clockwise by `rotate` degrees. A frame that fits no slot gets a new, larger ring."""

    def __init__(self, camera: str, rotate: int, channel: Channel) -> None:
        self._name = camera
        self._turn = _TURNS.get(rotate)
        self._sideways = rotate in (90, 270)
        self._channel = channel
        self._doorbell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._taken = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._frame = 0
        self._ring: FrameRing | None = None
        self._slot = 0  # claimed ahead, so that a frame that turns out broken costs nothing
        self._memory = memoryview(b"")
        self._shape: tuple[int, ...] | None = None  # as the camera gave the last frame
        self._unturned: Pixels | None = None

    def prefetch(self, camera: Camera) -> None:
        """Let `camera` write what it knows of its next frame already."""
        camera.prefetch(self._destination())

    def retrieve(self, camera: Camera) -> Pixels | None:
        """Return the frame that `camera` has grabbed, in the slot where it fits; None where it was broken."""
        return camera.retrieve(self._destination())

    def publish(self, frame: Pixels, captured_ns: int) -> tuple[int, int]:
        """Publish what `retrieve` gave; return its (width, height).

        Raises CameraError (refused) for a frame of more than MAX_PIXELS.
        """
        height, width = frame.shape[1::-1] if self._sideways else frame.shape[:2]
        header = FrameHeader(self._frame + 1, captured_ns, width, height)
        ring = self._ring_for(header)
        self._shape = frame.shape
        upright = self._upright(height, width)
        if self._turn is not None:
            cv2.rotate(frame, self._turn, dst=upright)
        elif not np.may_share_memory(frame, upright):
            np.copyto(upright, frame)
        self._frame += 1
        ring.publish(self._slot, header)
        os.eventfd_write(self._doorbell, 1)
        self._slot, self._memory = ring.claim()
        return width, height

    def wait_until_taken(self, tick: Callable[[], None]) -> None:
        """Wait until the engine has taken the last frame; `tick` is called about once a second meanwhile."""
        poll = select.poll()
        poll.register(self._taken, select.POLLIN)
        while self._ring is not None and self._ring.waiting():
            if poll.poll(_POLL_MS):
                os.eventfd_read(self._taken)
            tick()

    def _destination(self) -> Pixels | None:
        """Where the next frame goes if it is like the last: into the slot, or beside it when it must be turned yet."""
        if self._shape is None:
            return None
        if self._turn is None:
            return self._upright(*self._shape[:2])
        if self._unturned is None or self._unturned.shape != self._shape:
            self._unturned = np.empty(self._shape, np.uint8)
        return self._unturned

    def _upright(self, height: int, width: int) -> Pixels:
        return np.frombuffer(self._memory, np.uint8, height * width * 3).reshape(height, width, 3)

    def _ring_for(self, header: FrameHeader) -> FrameRing:
        """Return the ring, a new one if the frame does not fit."""
        if self._ring is not None and header.nbytes <= self._ring.slot_bytes:
            return self._ring
        if header.width * header.height > MAX_PIXELS:
            raise CameraError(
                f"frames of {header.width}x{header.height} are over {MAX_PIXELS // 1_000_000} megapixels; "
                "set a smaller size",
                "refused",
            )
        if self._ring is not None:
            self._memory.release()
            self._ring.close()
        self._ring = FrameRing.create(header.nbytes)
        self._channel.send(to_json(RingOffer(self._name)), [self._ring.fd, self._doorbell, self._taken])
        self._slot, self._memory = self._ring.claim()
        return self._ring
