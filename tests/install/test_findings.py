"""What the installer tells of a device: what is there, and what is missing with the command that mends it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from edgetpu.fake_usb import BOOTLOADER, FakeUsb


@pytest.fixture(scope="module")
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("findings", root / "tools" / "install" / "findings.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def told(script: ModuleType, device: Path, config: str = "") -> str:
    path = device / "visiond.yaml"
    path.write_text(config)
    return "\n".join(script.findings(device, path))


def test_a_bare_device(script: ModuleType, tmp_path: Path) -> None:
    said = told(script, tmp_path)
    assert "found: no Edge TPU, the CPU does the work" in said
    assert "found: no libedgetpu, which only a stick needs" in said
    assert "missing: a camera: plug one in" in said
    assert "sudo apt install python3-systemd" in said
    assert "network cameras" not in said


def test_a_stick_without_its_library(script: ModuleType, tmp_path: Path) -> None:
    usb = FakeUsb(tmp_path)
    usb.plug("2-1", BOOTLOADER)
    usb.plug("1-1.2", speed="480")
    said = told(script, tmp_path)
    assert "found: Edge TPU at port 2-1, 1a6e:089a, bootloader" in said
    assert "port 1-1.2, 18d1:9302, ready, too slow: plug it into a blue USB 3 port" in said
    assert "missing: libedgetpu.so.1 is not installed: sudo apt install libedgetpu1-std" in said


def test_a_raspberry_pi_without_picamera2(script: ModuleType, tmp_path: Path) -> None:
    model = tmp_path / "proc" / "device-tree" / "model"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"Raspberry Pi 5 Model B Rev 1.0\0")
    assert "apt install --no-install-recommends python3-picamera2" in told(script, tmp_path)
    (tmp_path / "usr/lib/python3/dist-packages/picamera2").mkdir(parents=True)
    assert "picamera2" not in told(script, tmp_path)


@pytest.mark.parametrize(
    ("line", "is_network"),
    [
        ("    source: rtsp://user:password@10.0.0.2/a", True),
        ("    source: 'https://10.0.0.2/a.mjpg'", True),
        ("    # source: rtsp://10.0.0.2/a", False),
        ("    source: v4l2:/dev/video0", False),
    ],
)
def test_network_cameras_want_the_drop_in(script: ModuleType, tmp_path: Path, line: str, is_network: bool) -> None:
    said = told(script, tmp_path, f"cameras:\n  front:\n{line}\n")
    assert ("run install.sh --network-cameras" in said) == is_network
    assert "password" not in said
    drop_in = tmp_path / "etc/systemd/system/visiond.service.d/network-cameras.conf"
    drop_in.parent.mkdir(parents=True)
    drop_in.touch()
    assert "--network-cameras" not in told(script, tmp_path, f"cameras:\n  front:\n{line}\n")
