"""`csi:N`: a camera on the board's ribbon cable, through libcamera's picamera2, which comes from apt."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

from visiond.cameras.source import Pixels
from visiond.cameras.stamps import from_driver
from visiond.errors import CameraError

FORMAT: Final = (
    "RGB888"  # libcamera names it from the high byte down: in memory it is blue, green, red, as OpenCV has it
)
DEFAULT_SIZE: Final = (640, 480)
BUFFERS: Final = 4


class CsiCamera:
    """Camera number N of libcamera's list; `captured_ns` is when the sensor began to expose the first row."""

    def __init__(self, index: int, size: tuple[int, int] | None, fps: float | None) -> None:
        """Raises CameraError: refused without picamera2, absent without that camera, busy when another has it."""
        self.format = FORMAT
        self.skipped: Counter[str] = Counter()
        self.has_sensor = True
        self.name_remark: str | None = None
        self._name = f"csi:{index}"
        self._frame: Pixels | None = None
        self._camera = _open(index)
        controls = {} if fps is None else {"FrameRate": fps}
        try:
            configuration = self._camera.create_video_configuration(
                main={"format": FORMAT, "size": size or DEFAULT_SIZE}, controls=controls, buffer_count=BUFFERS
            )
            self._camera.configure(configuration)
            self._camera.start()
        except RuntimeError as error:
            self._camera.close()
            raise CameraError(f"{self._name}: cannot be started: {error}", "refused") from error

    def grab(self) -> int:
        """Wait for the next frame, which is copied out of libcamera's buffer so that the buffer can be filled again."""
        try:
            request = self._camera.capture_request()
        except RuntimeError as error:
            raise CameraError(f"{self._name}: gives no frames any more: {error}; check its cable", "lost") from error
        try:
            stamp_ns = request.get_metadata().get("SensorTimestamp", 0)
            self._frame = request.make_array("main")
        finally:
            request.release()
        return _monotonic(stamp_ns)

    def prefetch(self, destination: Pixels | None) -> None:
        """Nothing is known of a frame before it comes."""

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the grabbed frame; `destination` is left alone, for it is copied already."""
        del destination
        return self._frame

    def close(self) -> None:
        """Stop the camera and give it back."""
        self._camera.close()


def _open(index: int) -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise CameraError(
            f"csi:{index}: picamera2 is missing ({error}); sudo apt install python3-picamera2, "
            "and make visiond's environment with --system-site-packages",
            "refused",
        ) from error
    count = len(Picamera2.global_camera_info())
    if index >= count:
        raise CameraError(
            f"csi:{index}: libcamera sees {count} cameras; check the cable, and `visiond cameras`", "absent"
        )
    try:
        return Picamera2(index)
    except RuntimeError as error:  # "Camera __init__ sequence did not complete": another process has acquired it
        raise CameraError(f"csi:{index}: another program uses it, or it does not answer: {error}", "busy") from error


def _monotonic(stamp_ns: int) -> int:
    """Return libcamera's SensorTimestamp as CLOCK_MONOTONIC.

    It is defined as CLOCK_BOOTTIME, which runs on through a suspend; some pipelines give CLOCK_MONOTONIC instead.
    """
    now_ns = time.monotonic_ns()
    suspended_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - now_ns
    captured_ns = from_driver(stamp_ns - suspended_ns, now_ns)
    return captured_ns if captured_ns != now_ns else from_driver(stamp_ns, now_ns)
