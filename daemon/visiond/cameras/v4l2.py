"""`v4l2:/dev/…`: a camera of the kernel's, through OpenCV."""

from __future__ import annotations

import errno
import time
from collections import Counter
from pathlib import Path
from typing import Final

import cv2

from visiond.cameras import fourcc
from visiond.cameras.device_names import busy_text, numbered_remark
from visiond.cameras.inspection import FROZEN_S
from visiond.cameras.source import Pixels
from visiond.cameras.stamps import from_driver, newest
from visiond.cameras.v4l2_formats import USED, choose_format
from visiond.cameras.v4l2_ioctl import Device
from visiond.errors import CameraError

BUFFERS: Final = 3  # one being filled, one ready, one being read
FIRST_FRAME_S: Final = 5.0  # some cameras take seconds to start
TIMEOUT_S: Final = 1.0  # OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT
REPEAT_PAUSE_S: Final = 0.005  # a driver that gives the same buffer again and again does so without waiting
NO_SENSOR: Final = ("vivid", "vimc", "v4l2 loopback")  # drivers whose pictures are drawn, and may be equal


class V4L2Camera:
    """A device at the size and rate that it grants; `captured_ns` is the driver's own stamp.

    `size` None leaves the device at the size it is set to.
    """

    def __init__(self, path: str, size: tuple[int, int] | None, fps: float | None) -> None:
        """Raises CameraError: absent, busy, or refused where it may not be opened or gives nothing that can be used."""
        self.skipped: Counter[str] = Counter()
        self.name_remark = numbered_remark(Path(path))
        self._path = path
        self._last_ns: int | None = None
        self._stamp_ns: int | None = None  # the driver's, of the buffer before
        self._new_ns = 0  # when a buffer last came that was not the one before
        self._opened_s: float | None = time.monotonic()  # None once a frame has come
        code, size, driver = _choose(Path(path), size, fps)
        self.has_sensor = driver not in NO_SENSOR
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(f"{path}: OpenCV cannot open it; another program may just have taken it", "busy")
        self._set(code, size, fps)
        self.format = fourcc.text(self._capture.get(cv2.CAP_PROP_FOURCC))
        if self.format not in USED:
            self.close()
            raise CameraError(
                f"{path}: gives {self.format} although {code} was asked; unplug it and try again", "refused"
            )

    def grab(self) -> int:
        """Wait for the newest frame and return the driver's stamp of it."""
        self._last_ns = newest(self._grab_next, self._last_ns)
        return self._last_ns

    def prefetch(self, destination: Pixels | None) -> None:
        """Nothing is known of a frame before it comes."""

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the grabbed frame as BGR."""
        ok, frame = self._capture.retrieve(destination)
        if ok and frame.ndim == 2:
            return cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
        if not ok or frame.ndim != 3 or frame.shape[2] != 3 or frame.shape[0] == 1:
            self.skipped["corrupt"] += 1
            return None
        return frame  # type: ignore[return-value]

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()

    def _grab_next(self) -> int:
        """Wait for a buffer that is not the one before: some drivers deliver the last one for ever after an unplug.

        The first one since the opening is only looked at, for it may be such a one. A stamp of 0 is a driver without.
        """
        while True:
            while not self._capture.grab():
                self._check_patience()
            self._opened_s = None
            stamp_ns, before_ns = round(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6), self._stamp_ns
            now_ns = time.monotonic_ns()
            self._stamp_ns = stamp_ns
            if stamp_ns != 0 and stamp_ns == before_ns:
                self._wait_for_another(now_ns)
                continue
            self._new_ns = now_ns
            if stamp_ns == 0 or before_ns is not None:
                return from_driver(stamp_ns, now_ns)

    def _wait_for_another(self, now_ns: int) -> None:
        self.skipped["repeated"] += 1
        if now_ns - self._new_ns > FROZEN_S * 1e9:
            raise CameraError(
                f"{self._path}: gives the same frame again and again; unplug it and plug it in again", "frozen"
            )
        time.sleep(REPEAT_PAUSE_S)

    def _check_patience(self) -> None:
        """A read has failed: that is a loss, unless the camera is only slow to start."""
        if not Path(self._path).exists():
            raise CameraError(f"{self._path}: unplugged", "lost")
        if self._opened_s is None:
            raise CameraError(f"{self._path}: gives no frames any more; check its plug and power", "lost")
        waited_s = time.monotonic() - self._opened_s
        if waited_s < TIMEOUT_S or waited_s > FIRST_FRAME_S:
            raise CameraError(f"{self._path}: opened, but gives no frames; unplug it and plug it in again", "lost")

    def _set(self, code: str, size: tuple[int, int], fps: float | None) -> None:
        """Ask for a format. OpenCV says True to everything; what it came to is seen in the frames."""
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code.ljust(4)))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        if fps is not None:
            self._capture.set(cv2.CAP_PROP_FPS, fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, BUFFERS)


def _choose(path: Path, size: tuple[int, int] | None, fps: float | None) -> tuple[str, tuple[int, int], str]:
    """Look at the device before OpenCV does, which only says that it did not open.

    Returns format and size to ask, and the name of the driver.
    """
    try:
        with Device(path) as device:
            capability = device.capability()
            if not capability.captures:
                raise CameraError(
                    f"{path}: gives no pictures ({capability.card}); `visiond cameras` lists those that do", "refused"
                )
            is_busy = device.is_busy()
            size = size or device.current_size()
            formats = device.formats()
    except OSError as error:
        raise _refusal(path, error) from error
    if is_busy:  # who has it is looked up when this process no longer has it open itself
        raise CameraError(busy_text(path), "busy")
    code = choose_format(formats, size, fps)
    if code is None:
        offered = ", ".join(offer.fourcc for offer in formats) or "none"
        raise CameraError(
            f"{path}: none of its formats ({offered}) can be used; read a raw sensor with csi:0", "refused"
        )
    return code, size, capability.driver


def _refusal(path: Path, error: OSError) -> CameraError:
    if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return CameraError(f"{path}: no such camera; is it plugged in? `visiond cameras` lists what is there", "absent")
    if error.errno in (errno.EACCES, errno.EPERM):
        return CameraError(
            f"{path}: no permission; add this user to the group video: sudo usermod -aG video USER", "refused"
        )
    if error.errno == errno.EBUSY:
        return CameraError(busy_text(path), "busy")
    if error.errno in (errno.ENOTTY, errno.EINVAL):
        return CameraError(f"{path}: not a camera; `visiond cameras` lists what is there", "refused")
    return CameraError(f"{path}: cannot be opened: {error.strerror}", "lost")
