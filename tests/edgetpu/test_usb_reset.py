import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgetpu.fake_usb import FakeUsb
from visiond.edgetpu import usb_reset
from visiond.edgetpu.stick_lock import StickBusy, StickLock
from visiond.errors import UnavailableError

USBDEVFS_RESET = 0x5514


@pytest.fixture
def usb(tmp_path: Path) -> FakeUsb:
    return FakeUsb(tmp_path)


def run(usb: FakeUsb, root: Path, how: str, port: str = "2-1") -> subprocess.CompletedProcess[str]:
    """As the parent runs it."""
    command = [sys.executable, "-m", "visiond.edgetpu.usb_reset", port, "--how", how]
    command += ["--sysfs", str(usb.sysfs), "--dev", str(usb.dev)]
    return subprocess.run(
        command, env={"PYTHONPATH": str(root / "daemon")}, capture_output=True, text=True, check=False
    )


def test_fault_18_authorized_goes_off_and_on(usb: FakeUsb, monkeypatch: pytest.MonkeyPatch) -> None:
    attribute = usb.plug("2-1") / "authorized"
    written: list[bytes] = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        assert os.path.samestat(os.fstat(fd), attribute.stat())
        written.append(bytes(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    text = usb_reset.reset_stick("2-1", "authorized", usb.sysfs, usb.dev)
    assert text == "the stick at port 2-1 was switched off and on"
    assert written == [b"0", b"1"]


def test_fault_18_a_failure_in_between_does_not_leave_it_off(usb: FakeUsb, monkeypatch: pytest.MonkeyPatch) -> None:
    attribute = usb.plug("2-1") / "authorized"
    real = os.write

    def write(fd: int, data: bytes) -> int:
        real(fd, data)
        if data == b"0":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return len(data)

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(UnavailableError, match=r"cannot be switched off and on \(Input/output error\): unplug it"):
        usb_reset.reset_stick("2-1", "authorized", usb.sysfs, usb.dev)
    assert attribute.read_text().startswith("1")


def test_fault_18_a_stick_that_was_left_off_is_switched_on(usb: FakeUsb, root: Path) -> None:
    attribute = usb.plug("2-1", authorized="0") / "authorized"
    assert run(usb, root, "reset").returncode == 1
    done = run(usb, root, "authorized")
    assert (done.returncode, done.stdout, done.stderr) == (0, "the stick at port 2-1 was switched off and on\n", "")
    assert attribute.read_text().startswith("1")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (0, "the stick at port 2-1 was reset"),
        (errno.ENODEV, "the stick at port 2-1 was reset and comes back as another device"),
    ],
)
def test_fault_18_the_port_is_reset_through_the_node(
    usb: FakeUsb, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    usb.plug("2-1")
    asked = []

    def ioctl(fd: int, request: int, argument: int) -> int:
        asked.append((os.path.samestat(os.fstat(fd), usb.node("2-1").stat()), request, argument))
        if number:
            raise OSError(number, os.strerror(number))
        return 0

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    assert usb_reset.reset_stick("2-1", "reset", usb.sysfs, usb.dev) == said
    assert asked == [(True, USBDEVFS_RESET, 0)]


def test_fault_18_a_kernel_that_refuses_is_quoted_with_the_remedy(usb: FakeUsb, root: Path) -> None:
    """The fake node is a plain file: the real ioctl on it fails."""
    usb.plug("2-1")
    done = run(usb, root, "reset")
    assert done.returncode == 1
    assert done.stdout == (
        "the stick at port 2-1 cannot be reset (Inappropriate ioctl for device): "
        "unplug it, wait 5 s, plug it in again\n"
    )


def test_fault_19_authorized_needs_its_own_rule(usb: FakeUsb, monkeypatch: pytest.MonkeyPatch) -> None:
    usb.plug("2-1")
    real = os.open

    def refuse(path: Path, flags: int, *more: int) -> int:
        if Path(path).name == "authorized":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnavailableError) as caught:
        usb_reset.reset_stick("2-1", "authorized", usb.sysfs, usb.dev)
    text = str(caught.value)
    assert "\n" not in text
    assert 'ATTR{idVendor}=="1a6e", ATTR{idProduct}=="089a", RUN+="/bin/chgrp plugdev /sys%p/authorized"' in text
    assert 'ATTR{idVendor}=="18d1", ATTR{idProduct}=="9302", RUN+="/bin/chgrp plugdev /sys%p/authorized"' in text
    assert "udevadm control --reload" in text


@pytest.mark.parametrize("how", ["reset", "authorized"])
def test_a_stick_that_somebody_uses_is_left_alone(usb: FakeUsb, root: Path, how: str) -> None:
    attribute = usb.plug("2-1") / "authorized"
    attribute.write_text("1\n")
    with StickLock.acquire("2-1", usb.sysfs):
        done = run(usb, root, how)
        assert (done.returncode, done.stderr) == (1, "")
        assert f"is used by process {os.getpid()} (" in done.stdout
        with pytest.raises(StickBusy):
            usb_reset.reset_stick("2-1", how, usb.sysfs, usb.dev)
    usb.claim("2-1", None)
    done = run(usb, root, how)
    assert done.returncode == 1
    assert done.stdout.startswith("not reset: the stick at port 2-1 is used by")
    assert attribute.read_text() == "1\n"


def test_only_a_stick_is_reset(usb: FakeUsb, root: Path) -> None:
    usb.plug("2-1", ("046d", "0825"))
    done = run(usb, root, "authorized")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "there is no stick at port 2-1: plug it in, `visiond doctor` lists the ports\n"
    assert "there is no USB port 3-1" in run(usb, root, "reset", "3-1").stdout
