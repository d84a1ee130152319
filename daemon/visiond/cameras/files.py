"""`file:VIDEO`: a video as frames, decoded by OpenCV's FFmpeg."""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2

from visiond.cameras import fourcc
from visiond.cameras.address import SourceAddress
from visiond.cameras.player import Player
from visiond.cameras.sizing import resized
from visiond.cameras.source import Camera, Pixels
from visiond.errors import CameraError

FALLBACK_FPS: Final = 25.0  # where the file does not say, or what it says is nonsense
MAX_FPS: Final = 1000.0


def open_video(address: SourceAddress, size: tuple[int, int] | None, fps: float | None) -> Camera:
    """Play a video at its own rate and size unless `fps` and `size` are given, once or for ever (`?loop=1`).

    Raises CameraError when the file is missing (absent), or is no video or one without frames (refused).
    """
    video = _Video(Path(address.target), size, loop=address.options.get("loop") == "1")
    return Player(video.frames(), video.fps if fps is None else fps, lambda: video.format, video.skipped)


class _Video:
    def __init__(self, path: Path, size: tuple[int, int] | None, loop: bool) -> None:
        self.skipped: Counter[str] = Counter()
        self._path = path
        self._size = size
        self._loop = loop
        self._capture = self._open()
        own_fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = own_fps if 0 < own_fps <= MAX_FPS else FALLBACK_FPS
        self.format = fourcc.text(self._capture.get(cv2.CAP_PROP_FOURCC))

    def frames(self) -> Iterator[Pixels]:
        """Every frame in turn. Each is an array of its own: the one before is still being used."""
        try:
            while True:
                found = False
                while self._capture.grab():
                    ok, frame = self._capture.retrieve()
                    if not ok:
                        self.skipped["unreadable"] += 1
                        continue
                    found = True
                    yield resized(frame, self._size)  # type: ignore[arg-type]
                if not found:
                    raise CameraError(f"{self._path}: the video has no frame that can be decoded", "refused")
                if not self._loop:
                    return
                self._capture.release()
                self._capture = self._open()  # seeking back is not possible in every container
        finally:
            self._capture.release()

    def _open(self) -> cv2.VideoCapture:
        try:
            if not stat.S_ISREG(self._path.stat().st_mode):
                raise CameraError(f"{self._path}: not a file; images:FOLDER plays the pictures of a folder", "refused")
            self._path.open("rb").close()
        except OSError as error:
            state = "absent" if isinstance(error, FileNotFoundError) else "refused"
            raise CameraError(f"{self._path}: cannot be read: {error.strerror}", state) from error
        capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        if not capture.isOpened():
            raise CameraError(f"{self._path}: not a video that FFmpeg can play, or one that is cut short", "refused")
        return capture
