"""`images:FOLDER`: the pictures of a folder, in the order of their names, as frames."""

from __future__ import annotations

import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from PIL import Image, ImageOps

from visiond.cameras.address import SourceAddress
from visiond.cameras.environment import MAX_PIXELS
from visiond.cameras.player import Player
from visiond.cameras.sizing import resized
from visiond.cameras.source import Camera, Pixels
from visiond.errors import CameraError

FORMATS: Final = ("PNG", "JPEG", "BMP", "WEBP", "PPM")
SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm")
DEFAULT_FPS: Final = 5.0  # pictures have no rate of their own


class PictureError(Exception):
    """A file that gives no frame; the text is the reason it is counted under: unreadable, truncated, too_large."""


def open_pictures(address: SourceAddress, size: tuple[int, int] | None, fps: float | None) -> Camera:
    """Play a folder: each picture in its own size unless `size` is given, at `fps`, once or for ever (`?loop=1`).

    Raises CameraError when the folder is missing (absent) or holds no picture that can be read (refused).
    """
    folder = _Folder(Path(address.target), size, loop=address.options.get("loop") == "1")
    return Player(folder.frames(), DEFAULT_FPS if fps is None else fps, lambda: folder.format, folder.skipped)


def read_picture(path: Path) -> tuple[Pixels, str]:
    """Return a picture as a viewer shows it (turned as its EXIF says, transparency ignored), and its format's name.

    Pillow reads it: OpenCV would give the missing half of a truncated JPEG as grey, with nothing but a warning.
    Raises PictureError.
    """
    Image.MAX_IMAGE_PIXELS = None  # the limit below is lower than Pillow's, which only warns at first
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise PictureError("too_large")
            picture.load()
            return _pixels(ImageOps.exif_transpose(picture)), (picture.format or "").lower()
    except MemoryError as error:
        raise PictureError("too_large") from error
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error) as error:
        raise PictureError("truncated" if "truncat" in str(error).lower() else "unreadable") from error


class _Folder:
    """What is in the folder, and what could not be read of it."""

    def __init__(self, path: Path, size: tuple[int, int] | None, loop: bool) -> None:
        self.format = ""
        self.skipped: Counter[str] = Counter()
        self._path = path
        self._size = size
        self._loop = loop

    def frames(self) -> Iterator[Pixels]:
        """Every picture in turn; a folder that loops is looked through again each time."""
        while True:
            found = False
            for path in self._pictures():
                try:
                    frame, self.format = read_picture(path)
                except PictureError as error:
                    self.skipped[str(error)] += 1
                    continue
                found = True
                yield resized(frame, self._size)
            if not found:
                reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
                raise CameraError(f"{self._path}: no picture in it can be read ({reasons})", "refused")
            if not self._loop:
                return

    def _pictures(self) -> list[Path]:
        try:
            paths = sorted(path for path in self._path.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
        except OSError as error:
            raise CameraError(f"{self._path}: cannot be read as a folder: {error.strerror}", "absent") from error
        if not paths:
            raise CameraError(
                f"{self._path}: no picture in the folder, put some there ({' '.join(SUFFIXES)})", "refused"
            )
        return paths


def _pixels(picture: Image.Image) -> Pixels:
    if picture.mode.startswith("I"):  # 16 bits of grey; converting would clip them
        grey: Pixels = np.clip(np.asarray(picture, np.int32) >> 8, 0, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    return cv2.cvtColor(np.asarray(picture.convert("RGB")), cv2.COLOR_RGB2BGR)  # type: ignore[return-value]
