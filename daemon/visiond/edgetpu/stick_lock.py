"""One owner per stick, among all processes of this machine that ask here.

libedgetpu must not be loaded for a stick that another process has: its opening crashes the first (google-coral/edgetpu
#237, #645). So the owner locks the hub's port in sysfs, which stays when the stick re-enumerates or is unplugged. The
lock leaves nothing behind, needs no permission, and is the kernel's: it goes when its holder dies, and stays with a
holder that cannot be killed. A process in a container with a /sys of its own is not seen; its claim is, by `sticks`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

from visiond.edgetpu.device_name import is_port
from visiond.edgetpu.holders import describe, lock_holder
from visiond.errors import UnavailableError

_PAUSE_S: Final = 0.02  # flock has no deadline


class StickBusy(UnavailableError):
    """Another process owns the stick, or takes too long to open one; `pid` is None where it cannot be seen."""

    def __init__(self, text: str, pid: int | None) -> None:
        super().__init__(text)
        self.pid = pid


class StickAbsent(UnavailableError):
    """There is no such port."""


class StickLock:
    """Held until `release`, or until this process dies. Children that this process forks must not outlive it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    def acquire(cls, port: str, sysfs: Path = Path("/sys")) -> Self:
        """Take the stick at `port`, 2-1.4 say; never waits.

        Raises StickBusy with the holder, StickAbsent where there is no such port.
        """
        while True:
            folder, fd = _open(port, sysfs)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = lock_holder(os.fstat(fd))
                os.close(fd)
                raise StickBusy(
                    f"the stick at port {port} is used by {describe(pid)}; stop it, one program can use a stick", pid
                ) from None
            if _still_there(fd, folder):
                return cls(fd)
            os.close(fd)  # it re-enumerated between our open and our lock, and had only its own folder

    def release(self) -> None:
        """Let the next one in. May be called again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextmanager
def opening_turn(patience_s: float, sysfs: Path = Path("/sys")) -> Iterator[None]:
    """Hold what only one process at a time may: the way from a stick's number in libedgetpu to the opened stick.

    The number changes whenever another stick leaves the bootloader, so that a number read before is another stick's.
    Raises StickBusy after `patience_s`.
    """
    folder = sysfs / "bus" / "usb" / "devices"
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StickAbsent(f"{folder} cannot be opened ({error.strerror}): this machine has no USB") from None
    give_up_s = time.monotonic() + patience_s
    try:
        while not _try_lock(fd):
            if time.monotonic() >= give_up_s:
                pid = lock_holder(os.fstat(fd))
                raise StickBusy(f"{describe(pid)} has been opening its stick for {patience_s:g} s", pid)
            time.sleep(_PAUSE_S)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(port: str, sysfs: Path) -> tuple[Path, int]:
    for folder in _lock_folders(port, sysfs):
        try:
            return folder, os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
    raise StickAbsent(f"there is no USB port {port} under {sysfs}: plug the stick in, `visiond doctor` lists the ports")


def _lock_folders(port: str, sysfs: Path) -> tuple[Path, ...]:
    """Return the hub's port behind the device's link, the same without the device, and the device's own folder."""
    if not is_port(port):
        raise StickAbsent(f"{port!r} is no USB port, give one like 2-1.4")
    devices = sysfs / "bus" / "usb" / "devices"
    hub, dot, last = port.rpartition(".")
    bus, _, root_port = port.partition("-")
    beside = f"{hub}:1.0/{hub}-port{last}" if dot else f"{bus}-0:1.0/usb{bus}-port{root_port}"
    return devices / port / "port", devices / beside, devices / port


def _still_there(fd: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), folder.stat())
    except OSError:
        return False
