"""The real camera worker with a stand-in for a USB camera and OpenCV's way to it, which fails as a test tells it to.

A plain file stands for the device's node; while it is missing, the camera is unplugged. In it stands, as JSON, how the
camera does: virtual_webcam.py writes it. Run as `python -m cameras.webcam_worker`, as visiond.cameras.worker is.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from cameras.marked_pictures import marked, now_ms
from visiond.cameras import v4l2, worker
from visiond.cameras.v4l2_ioctl import Capability, FrameFormat, FrameSize

SELECT_S = 1.0  # as OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT
SIZES = ((320, 240), (640, 480))


class NodeGone(Exception):
    """The node of the device is no longer there."""


class Node:
    """A device's node: a path leads to it once, when it is opened, as in the kernel."""

    def __init__(self, path: str | Path) -> None:
        """Raises what the kernel would: FileNotFoundError."""
        self._path = Path(path).resolve()
        self._name = json.loads(self._path.read_text())["name"]

    def state(self) -> dict[str, Any]:
        try:
            state: dict[str, Any] = json.loads(self._path.read_text())
        except FileNotFoundError:
            raise NodeGone from None
        if state["name"] != self._name:
            raise NodeGone  # another camera has its number now
        return state


class StandInDevice(Node):
    """visiond.cameras.v4l2_ioctl.Device."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def capability(self) -> Capability:
        return Capability(self.state().get("driver", "uvcvideo"), "Good Webcam", "usb-1", 1)

    def is_busy(self) -> bool:
        return bool(self.state().get("busy"))

    def current_size(self) -> tuple[int, int]:
        width, height = self.state().get("size", SIZES[0])
        return width, height

    def formats(self) -> tuple[FrameFormat, ...]:
        return (FrameFormat("YUYV", "YUYV", tuple(FrameSize(size, size, (0, 0), (30,)) for size in SIZES)),)


class StandInCapture:
    """cv2.VideoCapture of a V4L2 device: pictures with noise, marked with the moment of their making."""

    def __init__(self, path: str, _: int) -> None:
        self._node = Node(path)
        self._random = np.random.default_rng(1)
        self._stamp_s = 0.0
        self._picture: Any = None

    def isOpened(self) -> bool:
        return True

    def set(self, *_: float) -> bool:
        return True

    def get(self, name: int) -> float:
        return float(cv2.VideoWriter.fourcc(*"YUYV")) if name == cv2.CAP_PROP_FOURCC else self._stamp_s * 1000

    def grab(self) -> bool:
        try:
            state = self._node.state()
            if state.get("silent"):
                time.sleep(SELECT_S)
                return False
            if state.get("hangs"):
                time.sleep(3600)
            if state.get("delivers_the_last_again") and self._stamp_s:
                return True  # at once, as drivers do that have lost their camera
            time.sleep(1 / state.get("fps", 30))
            state = self._node.state()
        except NodeGone:
            return False
        self._stamp_s = time.monotonic()
        if not state.get("shows_the_last_again"):
            self._picture = self._drawn(state)
        return True

    def retrieve(self, _: Any = None) -> tuple[bool, Any]:
        return self._picture is not None, self._picture

    def release(self) -> None: ...

    def _drawn(self, state: dict[str, Any]) -> Any:
        if state.get("broken"):
            return None
        size = tuple(state.get("size", SIZES[0]))
        grey = state.get("grey")
        drawn = marked(now_ms(), size) if grey is None else np.full((size[1], size[0], 3), grey, np.uint8)
        noise = self._random.integers(0, 6, drawn.shape, np.uint8)
        return cv2.add(drawn, noise) if grey != 255 else cv2.subtract(drawn, noise)


if __name__ == "__main__":
    v4l2.Device = StandInDevice  # type: ignore[assignment,misc]
    v4l2.cv2.VideoCapture = StandInCapture  # type: ignore[assignment,misc]
    worker.main()
