import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from visiond.cameras import listing
from visiond.cameras.v4l2_ioctl import Capability, FrameFormat, FrameSize

YUYV = FrameFormat(
    "YUYV",
    "YUYV 4:2:2",
    (FrameSize((640, 480), (640, 480), (0, 0), (30, 15)), FrameSize((32, 32), (1920, 1080), (2, 2), ())),
)


class StandInDevice:
    """video0: a webcam. video1: its metadata. video2: in use. video3: forbidden. video10: of a Pi's pipeline."""

    def __init__(self, path: Path) -> None:
        self.name = path.name
        if self.name == "video3":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    def __enter__(self) -> "StandInDevice":
        return self

    def __exit__(self, *_: object) -> None: ...

    def capability(self) -> Capability:
        driver = "bcm2835-isp" if self.name == "video10" else "uvcvideo"
        return Capability(driver, "Good Webcam", "usb-1", 0x00800000 if self.name == "video1" else 1)

    def is_busy(self) -> bool:
        return self.name == "video2"

    def formats(self) -> tuple[FrameFormat, ...]:
        return (YUYV, FrameFormat("RG10", "10-bit Bayer", ()))


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("video0", "video1", "video2", "video3", "video10", "videoconf"):
        (tmp_path / name).touch()
    for kind, link in (("by-path", "pci-0-usb-1-video-index0"), ("by-id", "usb-Good_Webcam-video-index0")):
        (tmp_path / "v4l" / kind).mkdir(parents=True)
        (tmp_path / "v4l" / kind / link).symlink_to("../../video0")
    monkeypatch.setattr(listing, "Device", StandInDevice)
    return tmp_path


def test_cameras_come_with_the_name_that_follows_them(dev: Path) -> None:
    found = listing.list_cameras(dev)
    assert [camera.source for camera in found] == [
        f"v4l2:{dev}/v4l/by-id/usb-Good_Webcam-video-index0",
        f"v4l2:{dev}/video2",
        f"v4l2:{dev}/video3",
    ]
    assert found[0].names[1:] == (f"{dev}/v4l/by-path/pci-0-usb-1-video-index0", f"{dev}/video0")
    assert found[0].problem is None
    assert found[1].problem == "another program uses it"
    assert found[2].problem is not None
    assert "usermod -aG video" in found[2].problem


def show(monkeypatch: pytest.MonkeyPatch, dev: Path, as_json: bool) -> tuple[int, str]:
    found = listing.list_cameras(dev)
    out = io.StringIO()
    with monkeypatch.context() as patch:
        patch.setattr(listing, "list_cameras", lambda: found)
        return listing.cameras(as_json, out), out.getvalue()


def test_as_text_the_source_line_can_be_pasted(monkeypatch: pytest.MonkeyPatch, dev: Path) -> None:
    code, text = show(monkeypatch, dev, as_json=False)
    assert code == 0
    first = text.split("\n\n")[0]
    assert first.splitlines() == [
        "Good Webcam (uvcvideo)",
        f"  source: v4l2:{dev}/v4l/by-id/usb-Good_Webcam-video-index0",
        f"  also {dev}/v4l/by-path/pci-0-usb-1-video-index0",
        f"  also {dev}/video0",
        "  YUYV  640x480    30, 15 fps",
        "  YUYV  32x32 to 1920x1080",
        "  not used by visiond: RG10",
    ]


def test_as_json_each_camera_is_one_object_a_line(monkeypatch: pytest.MonkeyPatch, dev: Path) -> None:
    code, text = show(monkeypatch, dev, as_json=True)
    cameras = [json.loads(line) for line in text.splitlines()]
    assert code == 0
    assert len(cameras) == 3
    assert cameras[0]["formats"][0]["sizes"][0]["fps"] == [30, 15]


def test_without_any_camera_it_says_what_to_check(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, text = show(monkeypatch, tmp_path, as_json=False)
    assert code == 69
    assert text.startswith("no camera found.")
    assert "synthetic:shapes" in text
    assert show(monkeypatch, tmp_path, as_json=True) == (69, "")


def test_csi_cameras_are_listed_and_usb_ones_not_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    infos: list[dict[str, Any]] = [
        {"Model": "imx708", "Id": "/base/soc/i2c0mux/i2c@1/imx708@1a"},
        {"Model": "Good Webcam", "Id": r"/base/scb/pcie@7d500000/pci@0,0/usb@0,0-1:1.0-046d:0825"},
    ]
    module = ModuleType("picamera2")
    monkeypatch.setattr(module, "Picamera2", SimpleNamespace(global_camera_info=lambda: infos), raising=False)
    monkeypatch.setitem(sys.modules, "picamera2", module)
    (found,) = listing.list_cameras(tmp_path)
    assert (found.source, found.name) == ("csi:0", "imx708")


def test_asking_for_cameras_loads_neither_numpy_nor_opencv(root: Path) -> None:
    script = (
        "import sys; from visiond.cameras import listing; listing.list_cameras();"
        "print([name for name in ('numpy', 'cv2', 'pydantic') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "[]\n"
