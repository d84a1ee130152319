"""Player: a Camera that plays decoded frames, the next one being decoded while the engine works on the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from visiond.cameras.pacing import Pacer
from visiond.cameras.source import Pixels
from visiond.errors import CameraError


class Player:
    """Frames out of an iterator, at `fps`; 0 plays as fast as they are fetched. A stamp is the moment of playing."""

    def __init__(
        self,
        frames: Iterator[Pixels],
        fps: float,
        format_now: Callable[[], str],
        skipped: Mapping[str, int],
    ) -> None:
        """Decode the first frame, so that what cannot be played raises its CameraError here.

        `format_now` is asked again and again: it may differ from frame to frame. `skipped` is the iterator's own count.
        """
        self.skipped = skipped
        self.has_sensor = False
        self.name_remark: str | None = None
        self._frames = frames
        self._format_now = format_now
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._next = self._decode_ahead()
        self._frame: Pixels | None = None
        try:
            self._next.result()
        except CameraError:
            self.close()
            raise
        self._pacer = Pacer(fps)

    @property
    def format(self) -> str:
        """What the frames are decoded from."""
        return self._format_now()

    def prefetch(self, destination: Pixels | None) -> None:
        """Wait for the next frame's decoding, and copy it to where it is wanted."""
        self._frame = self._next.result()
        if self._frame is None:
            return
        self._next = self._decode_ahead()
        if destination is not None and destination.shape == self._frame.shape:
            np.copyto(destination, self._frame)
            self._frame = destination

    def grab(self) -> int | None:
        """Wait until the frame is due."""
        return None if self._frame is None else self._pacer.wait()

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the frame, which is where `prefetch` has put it."""
        del destination
        return self._frame

    def close(self) -> None:
        """Wait for the frame that is being decoded, and forget it."""
        self._decoder.shutdown(wait=True, cancel_futures=True)

    def _decode_ahead(self) -> Future[Pixels | None]:
        return self._decoder.submit(next, self._frames, None)
