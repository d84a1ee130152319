"""The `synthetic:` cameras: solids that drift and bounce, or stand still, for tests and for boards without a camera."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from visiond.cameras.address import SourceAddress
from visiond.cameras.pacing import Pacer
from visiond.cameras.scenes import MAX_OBJECTS, MovingScene, still_scene
from visiond.cameras.source import Pixels
from visiond.errors import CameraError

DEFAULT_SIZE: Final = (640, 480)
DEFAULT_FPS: Final = 30.0
DEFAULT_OBJECTS: Final = 4
_LEAST_SIDE: Final = 32
_SEED: Final = 1  # of the still scene


class SyntheticCamera:
    """Draws a frame before it is due and stamps it at the moment it is: a latency holds none of the drawing.

    `shapes` moves. `still` is drawn once and offered again and again, for measuring: it costs no more than the copy.
    """

    def __init__(self, address: SourceAddress, size: tuple[int, int] | None, fps: float | None) -> None:
        """`address` names the scene. Raises CameraError (refused) for too small a picture."""
        width, height = size or DEFAULT_SIZE
        if min(width, height) < _LEAST_SIDE:
            raise CameraError(f"a synthetic picture has sides of at least {_LEAST_SIDE} pixels", "refused")
        self.format = "drawn"
        self.skipped: Mapping[str, int] = {}
        self.has_sensor = False
        self.name_remark: str | None = None
        self._still = still_scene(_SEED, (width, height))[0] if address.target == "still" else None
        self._scene = MovingScene((width, height), objects=min(DEFAULT_OBJECTS, MAX_OBJECTS))
        self._period_s = 1 / (fps or DEFAULT_FPS)
        self._pacer = Pacer(DEFAULT_FPS if fps is None else fps)
        self._own = np.empty((height, width, 3), np.uint8)
        self._picture = self._own
        self._began_s = time.monotonic()

    def prefetch(self, destination: Pixels | None) -> None:
        """Draw the next frame, where it is wanted if that is of its shape."""
        fits = destination is not None and destination.shape == self._own.shape
        self._picture = destination if destination is not None and fits else self._own
        if self._still is not None:
            np.copyto(self._picture, self._still)
        else:
            self._scene.draw(time.monotonic() - self._began_s + self._period_s, self._picture)

    def grab(self) -> int | None:
        """Wait until the frame is due, and return that moment."""
        return self._pacer.wait()

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the frame, which is where `prefetch` has drawn it."""
        del destination
        return self._picture

    def close(self) -> None:
        """Nothing is held."""
