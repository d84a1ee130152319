"""The `synthetic:shapes` camera: solids that drift and bounce, for demonstrations, tests, and boards without one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

import numpy as np

from visiond.cameras.address import SourceAddress
from visiond.cameras.pacing import Pacer
from visiond.cameras.scenes import MAX_OBJECTS, MovingScene
from visiond.cameras.source import Pixels
from visiond.errors import CameraError

DEFAULT_SIZE: Final = (640, 480)
DEFAULT_FPS: Final = 30.0
DEFAULT_OBJECTS: Final = 4
_LEAST_SIDE: Final = 32


class SyntheticCamera:
    """Draws a frame before it is due and stamps it at the moment it is: a latency holds none of the drawing."""

    def __init__(self, address: SourceAddress, size: tuple[int, int] | None, fps: float | None) -> None:
        """`address` has named the one scene there is. Raises CameraError (refused) for too small a picture."""
        del address
        width, height = size or DEFAULT_SIZE
        if min(width, height) < _LEAST_SIDE:
            raise CameraError(f"a synthetic picture has sides of at least {_LEAST_SIDE} pixels", "refused")
        self.format = "drawn"
        self.skipped: Mapping[str, int] = {}
        self._scene = MovingScene((width, height), objects=min(DEFAULT_OBJECTS, MAX_OBJECTS))
        self._period_s = 1 / (fps or DEFAULT_FPS)
        self._pacer = Pacer(DEFAULT_FPS if fps is None else fps)
        self._picture = np.empty((height, width, 3), np.uint8)
        self._began_s = time.monotonic()

    def grab(self) -> int | None:
        """Draw, wait until the frame is due, and return that moment."""
        moment_s = time.monotonic() - self._began_s + self._period_s
        self._scene.draw(moment_s, self._picture)
        return self._pacer.wait()

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the frame; `destination` is left alone, for it is drawn already."""
        del destination
        return self._picture

    def close(self) -> None:
        """Nothing is held."""
