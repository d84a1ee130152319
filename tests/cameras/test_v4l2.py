"""What can be said of V4L2 without a device; tests/system/machine/v4l2_check.py does the rest on a real kernel."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from visiond.cameras import v4l2
from visiond.cameras.source import open_camera
from visiond.cameras.v4l2 import V4L2Camera
from visiond.cameras.v4l2_formats import choose_format
from visiond.cameras.v4l2_ioctl import Capability, FrameFormat, FrameSize
from visiond.errors import CameraError


def sizes(**fps: tuple[float, ...]) -> tuple[FrameSize, ...]:
    """sizes(w640h480=(30, 15)) and so on."""
    found = []
    for name, rates in fps.items():
        width, height = map(int, name.removeprefix("w").split("h"))
        found.append(FrameSize((width, height), (width, height), (0, 0), rates))
    return tuple(found)


WEBCAM = (
    FrameFormat("MJPG", "Motion-JPEG", sizes(w640h480=(30, 15), w1280h720=(30,), w1920h1080=(30,))),
    FrameFormat("YUYV", "YUYV 4:2:2", sizes(w640h480=(30, 15), w1280h720=(10,))),
)
SENSOR = (FrameFormat("RG10", "10-bit Bayer", (FrameSize((16, 16), (4056, 3040), (1, 1), ()),)),)
STEPWISE = (FrameFormat("YUYV", "YUYV 4:2:2", (FrameSize((32, 32), (1920, 1080), (2, 2), (60, 1)),)),)


@pytest.mark.parametrize(
    ("formats", "size", "fps", "expected"),
    [
        (WEBCAM, (640, 480), 30, "YUYV"),  # raw: nothing to decode
        (WEBCAM, (640, 480), None, "YUYV"),
        (WEBCAM, (1280, 720), 30, "MJPG"),  # raw would come at 10
        (WEBCAM, (1280, 720), 10, "YUYV"),
        (WEBCAM, (1280, 720), None, "MJPG"),  # raw is slower than what anyone expects
        (WEBCAM, (1920, 1080), 5, "MJPG"),  # offered in no other
        (WEBCAM, (1280, 720), 120, "MJPG"),  # no format is so fast: the fastest
        (WEBCAM, (800, 600), 30, "YUYV"),  # no format has this size: the driver takes the nearest
        (STEPWISE, (642, 480), 30, "YUYV"),
        (SENSOR, (640, 480), 30, None),
        ((), (640, 480), 30, None),
    ],
)
def test_the_format_is_raw_unless_size_or_rate_need_a_compressed_one(
    formats: tuple[FrameFormat, ...], size: tuple[int, int], fps: float | None, expected: str | None
) -> None:
    assert choose_format(formats, size, fps) == expected


@pytest.mark.parametrize(("size", "offered"), [((640, 480), True), ((641, 480), False), ((4000, 480), False)])
def test_a_range_of_sizes_offers_its_steps(size: tuple[int, int], offered: bool) -> None:
    assert STEPWISE[0].sizes[0].offers(size) == offered


def test_a_device_that_is_not_there_is_absent(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such camera; is it plugged in") as caught:
        open_camera(f"v4l2:{tmp_path}/video0", None, None)
    assert caught.value.state == "absent"


@pytest.mark.parametrize("path", ["/dev/null", "/dev/zero"])
def test_a_device_that_is_no_camera_is_refused(path: str) -> None:
    with pytest.raises(CameraError, match="not a camera") as caught:
        open_camera(f"v4l2:{path}", None, None)
    assert caught.value.state == "refused"


def test_a_plain_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("x")
    with pytest.raises(CameraError, match="not a camera"):
        open_camera(f"v4l2:{path}", None, None)


@pytest.mark.parametrize(
    ("number", "state", "words"),
    [
        (errno.EACCES, "refused", "usermod -aG video"),
        (errno.EBUSY, "busy", "another program uses it"),
        (errno.ENODEV, "absent", "is it plugged in"),
        (errno.EIO, "lost", "cannot be opened"),
    ],
)
def test_each_refusal_of_the_kernel_has_its_words(
    monkeypatch: pytest.MonkeyPatch, number: int, state: str, words: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(v4l2, "Device", refuse)
    with pytest.raises(CameraError, match=words) as caught:
        open_camera("v4l2:/dev/video0", None, None)
    assert caught.value.state == state


class StandInDevice:
    """Answers like a webcam; a test changes what it needs."""

    captures = True
    busy = False
    formats_offered: tuple[FrameFormat, ...] = WEBCAM

    def __init__(self, _: Path) -> None: ...

    def __enter__(self) -> "StandInDevice":
        return self

    def __exit__(self, *_: object) -> None: ...

    def capability(self) -> Capability:
        return Capability("uvcvideo", "Webcam", "usb-1", 1 if self.captures else 0)

    def is_busy(self) -> bool:
        return self.busy

    def current_size(self) -> tuple[int, int]:
        return (640, 480)

    def formats(self) -> tuple[FrameFormat, ...]:
        return self.formats_offered


class StandInCapture:
    """What OpenCV's VideoCapture does with a V4L2 device; `grabs` are the answers of grab()."""

    def __init__(self, grabs: Iterator[bool], frame: Any, fourcc: str = "YUYV") -> None:
        self.grabs = grabs
        self.frame = frame
        self.settings: dict[int, float] = {}
        self.fourcc = fourcc
        self.released = False

    def isOpened(self) -> bool:
        return True

    def set(self, name: int, value: float) -> bool:
        self.settings[name] = value
        return True

    def get(self, name: int) -> float:
        return float(cv2.VideoWriter.fourcc(*self.fourcc)) if name == cv2.CAP_PROP_FOURCC else 0.0

    def grab(self) -> bool:
        return next(self.grabs)

    def retrieve(self, _: Any = None) -> tuple[bool, Any]:
        return self.frame is not None, self.frame

    def release(self) -> None:
        self.released = True


OpenWith = Callable[..., tuple[V4L2Camera, StandInCapture]]


@pytest.fixture
def open_with(monkeypatch: pytest.MonkeyPatch) -> OpenWith:
    def open_it(grabs: list[bool], frame: Any, **settings: Any) -> tuple[V4L2Camera, StandInCapture]:
        capture = StandInCapture(iter(grabs), frame, settings.pop("fourcc", "YUYV"))
        monkeypatch.setattr(v4l2, "Device", type("Device", (StandInDevice,), settings.pop("device", {})))
        monkeypatch.setattr(v4l2.cv2, "VideoCapture", lambda *_: capture)
        return V4L2Camera("/dev/null", settings.get("size"), settings.get("fps")), capture

    return open_it


FRAME = np.zeros((480, 640, 3), np.uint8)


def test_format_size_rate_and_buffers_are_asked_for(open_with: OpenWith) -> None:
    camera, capture = open_with([True], FRAME, size=(1280, 720), fps=30, fourcc="MJPG")
    assert camera.format == "MJPG"
    assert capture.settings == {
        cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*"MJPG"),
        cv2.CAP_PROP_FRAME_WIDTH: 1280,
        cv2.CAP_PROP_FRAME_HEIGHT: 720,
        cv2.CAP_PROP_FPS: 30,
        cv2.CAP_PROP_BUFFERSIZE: 3,
    }


def test_without_a_size_the_camera_keeps_its_own(open_with: OpenWith) -> None:
    _, capture = open_with([True], FRAME)
    assert capture.settings[cv2.CAP_PROP_FRAME_WIDTH] == 640
    assert cv2.CAP_PROP_FPS not in capture.settings


@pytest.mark.parametrize(
    ("device", "fourcc", "state", "words"),
    [
        ({"captures": False}, "YUYV", "refused", "gives no pictures"),
        ({"busy": True}, "YUYV", "busy", "uses it; "),
        ({"formats_offered": SENSOR}, "YUYV", "refused", r"\(RG10\) can be used; read a raw sensor with csi:0"),
        ({}, "BGR3", "refused", "gives BGR3 although YUYV was asked"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words(
    open_with: OpenWith, device: dict[str, object], fourcc: str, state: str, words: str
) -> None:
    with pytest.raises(CameraError, match=words) as caught:
        open_with([True], FRAME, device=device, fourcc=fourcc)
    assert caught.value.state == state


def test_a_camera_that_is_slow_to_start_is_waited_for(open_with: OpenWith, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, _ = open_with([False, False, True], FRAME)
    opened_s = v4l2.time.monotonic()
    moments = iter([opened_s + 1.1, opened_s + 2.2])
    monkeypatch.setattr(v4l2.time, "monotonic", lambda: next(moments))
    assert camera._grab_next() > 0


def test_a_camera_that_stops_giving_frames_is_lost(open_with: OpenWith) -> None:
    camera, _ = open_with([True, False], FRAME)
    camera.grab()
    with pytest.raises(CameraError, match="gives no frames any more") as caught:
        camera.grab()
    assert caught.value.state == "lost"


@pytest.mark.parametrize("frame", [None, np.zeros((1, 1000, 3), np.uint8), np.zeros((480, 640, 2), np.uint8)])
def test_a_broken_frame_is_skipped_and_counted(open_with: OpenWith, frame: Any) -> None:
    camera, _ = open_with([True], frame)
    camera.grab()
    assert camera.retrieve() is None
    assert camera.skipped == {"corrupt": 1}


def test_a_grey_camera_gives_three_channels(open_with: OpenWith) -> None:
    camera, _ = open_with([True], np.full((480, 640), 7, np.uint8))
    camera.grab()
    frame = camera.retrieve()
    assert frame is not None
    assert frame.shape == (480, 640, 3)
    assert (frame == 7).all()


@pytest.mark.parametrize(("driver", "has_sensor"), [("uvcvideo", True), ("vivid", False), ("v4l2 loopback", False)])
def test_pictures_that_a_driver_draws_need_no_noise(open_with: OpenWith, driver: str, has_sensor: bool) -> None:
    device = {"capability": lambda _: Capability(driver, "Webcam", "usb-1", 1)}
    assert open_with([True], FRAME, device=device)[0].has_sensor is has_sensor


def test_fault_04_a_stamp_that_does_not_advance_is_no_new_frame(open_with: OpenWith) -> None:
    camera, capture = open_with([True] * 6, FRAME)
    stamps_ms = iter([10.0, 10.0, 10.0, 20.0, 20.0, 30.0])
    capture.get = lambda _: next(stamps_ms)  # type: ignore[method-assign]
    camera.grab()
    assert camera.skipped == {"repeated": 2}  # the first is only looked at: it may be older than the opening
    camera.grab()
    assert camera.skipped == {"repeated": 3}
    assert next(stamps_ms, None) is None
    assert next(capture.grabs, None) is None


def test_fault_10_a_number_in_the_configuration_is_remarked_on(
    open_with: OpenWith, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v4l2, "numbered_remark", lambda path: f"{path} may be another camera")
    assert open_with([True], FRAME)[0].name_remark == "/dev/null may be another camera"
