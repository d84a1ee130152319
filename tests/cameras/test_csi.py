"""The logic of CSI cameras against a stand-in for picamera2. What a real one does: docs/cameras.md, "Not verified"."""

import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from visiond.cameras.source import open_camera
from visiond.errors import CameraError


class StandIn:
    """picamera2.Picamera2, as far as it is used. `requests` are the frames to come: pixels and SensorTimestamp."""

    cameras: ClassVar[list[dict[str, Any]]] = [{"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"}]
    requests: ClassVar[list[tuple[np.ndarray[Any, Any], int]]] = []
    fails_in: str = ""
    last: "StandIn"

    @classmethod
    def global_camera_info(cls) -> list[dict[str, Any]]:
        return cls.cameras

    def __init__(self, index: int) -> None:
        self._fail("open")
        self.index = index
        self.released = 0
        self.closed = False
        self.configuration: dict[str, Any] = {}
        StandIn.last = self

    def create_video_configuration(self, **settings: Any) -> dict[str, Any]:
        return settings

    def configure(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration

    def start(self) -> None:
        self._fail("start")

    def capture_request(self) -> SimpleNamespace:
        self._fail("capture")
        pixels, stamp_ns = self.requests.pop(0)
        return SimpleNamespace(
            get_metadata=lambda: {"SensorTimestamp": stamp_ns},
            make_array=lambda name: {"main": pixels}[name],
            release=self._release,
        )

    def close(self) -> None:
        self.closed = True

    def _release(self) -> None:
        self.released += 1

    def _fail(self, where: str) -> None:
        if where == self.fails_in:
            raise RuntimeError("Camera __init__ sequence did not complete.")


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[StandIn]:
    module = ModuleType("picamera2")
    stand_in = type("Picamera2", (StandIn,), {"requests": []})
    monkeypatch.setattr(module, "Picamera2", stand_in, raising=False)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return stand_in


def test_frames_come_as_they_are_in_memory_and_their_requests_go_back(picamera2: type[StandIn]) -> None:
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    stamp_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 20_000_000
    picamera2.requests.append((pixels, stamp_ns))
    camera = open_camera("csi:0", (6, 4), 30)
    captured_ns = camera.grab()
    np.testing.assert_array_equal(camera.retrieve(), pixels)
    assert captured_ns is not None
    assert 20_000_000 <= time.monotonic_ns() - captured_ns < 1_000_000_000
    assert StandIn.last.released == 1
    assert StandIn.last.configuration["main"] == {"format": "RGB888", "size": (6, 4)}  # in memory: blue, green, red
    assert StandIn.last.configuration["controls"] == {"FrameRate": 30}
    camera.close()
    assert StandIn.last.closed


@pytest.mark.parametrize("suspended_s", [0, 3600])
@pytest.mark.parametrize("clock", ["boottime", "monotonic"])
def test_stamps_of_either_kernel_clock_become_monotonic(
    picamera2: type[StandIn], monkeypatch: pytest.MonkeyPatch, suspended_s: int, clock: str
) -> None:
    now_ns = time.monotonic_ns()
    monkeypatch.setattr("time.monotonic_ns", lambda: now_ns)
    monkeypatch.setattr("time.clock_gettime_ns", lambda _: now_ns + suspended_s * 10**9)
    exposed_ns = now_ns - 15_000_000
    stamp_ns = exposed_ns + (suspended_s * 10**9 if clock == "boottime" else 0)
    picamera2.requests.append((np.zeros((4, 6, 3), np.uint8), stamp_ns))
    assert open_camera("csi:0", None, None).grab() == exposed_ns


@pytest.mark.usefixtures("picamera2")
def test_without_size_and_rate_the_defaults_are_asked() -> None:
    open_camera("csi:0", None, None)
    assert StandIn.last.configuration["main"]["size"] == (640, 480)
    assert StandIn.last.configuration["controls"] == {}


@pytest.mark.parametrize(
    ("source", "fails_in", "state", "words"),
    [
        ("csi:1", "", "absent", "libcamera sees 1 cameras"),
        ("csi:0", "open", "busy", "another program uses it"),
        ("csi:0", "start", "refused", "cannot be started"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_why(
    picamera2: type[StandIn], source: str, fails_in: str, state: str, words: str
) -> None:
    picamera2.fails_in = fails_in
    with pytest.raises(CameraError, match=words) as caught:
        open_camera(source, None, None)
    assert caught.value.state == state


def test_a_camera_that_fails_later_is_lost(picamera2: type[StandIn]) -> None:
    camera = open_camera("csi:0", None, None)
    picamera2.fails_in = "capture"
    with pytest.raises(CameraError, match="gives no frames any more") as caught:
        camera.grab()
    assert caught.value.state == "lost"


def test_without_picamera2_the_remedy_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)  # import fails
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2") as caught:
        open_camera("csi:0", None, None)
    assert caught.value.state == "refused"
