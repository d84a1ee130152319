"""The frames that wait for one engine: the ring of each camera, and whose turn it is."""

from __future__ import annotations

import os
from dataclasses import dataclass

from visiond.frames import Frame, FrameRing
from visiond.messages import RingOffer


@dataclass(slots=True)
class _Ring:
    """One camera's ring with its two eventfds. `rung`: a frame may wait; `served`: the turn at which it was last taken."""

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


class Inbox:
    """Takes the newest frame of the camera that has waited longest for its turn."""

    def __init__(self) -> None:
        self._rings: dict[str, _Ring] = {}
        self._turn = 0

    def attach(self, offer: RingOffer, fds: list[int]) -> int:
        """Serve this ring from now on, in place of the camera's last one; return the doorbell to wait on."""
        memory, doorbell, taken = fds
        self.detach(offer.camera)
        max_age_ns = float("inf") if offer.max_age_ms is None else offer.max_age_ms * 1e6
        self._rings[offer.camera] = _Ring(FrameRing(memory), doorbell, taken, max_age_ns)
        return doorbell

    def detach(self, camera: str) -> None:
        """Forget a camera's ring."""
        ring = self._rings.pop(camera, None)
        if ring is not None:
            ring.close()

    def doorbell(self, camera: str) -> int | None:
        """The descriptor that becomes readable when the camera has published."""
        ring = self._rings.get(camera)
        return None if ring is None else ring.doorbell

    def answer(self, camera: str) -> None:
        """The camera's doorbell has rung: empty it, and remember."""
        ring = self._rings[camera]
        os.eventfd_read(ring.doorbell)
        ring.rung = True

    def take(self) -> tuple[str, Frame] | None:
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
                return camera, frame
        return None

    def release(self, camera: str, frame: Frame) -> None:
        """Give the frame's slot back to the camera."""
        self._rings[camera].ring.release(frame)

    def expired(self, camera: str, frame: Frame, now_ns: int) -> bool:
        """Whether the frame is too old to be worth an invoke."""
        return now_ns - frame.header.captured_ns > self._rings[camera].max_age_ns
