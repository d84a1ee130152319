"""Opens a stick as libedgetpu does, as far as the kernel sees it: `python stick_owner.py PORT STAGE [rude]`.

Stages, each one line on standard output when it is reached: `locked` (as the engine's worker, before anything is
opened), `claimed` (the interface), `started` (firmware loaded, port reset, come back as 18d1:9302, claimed again).
It stays in STAGE until its standard input ends.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import sys
import time
from typing import Final

from visiond.edgetpu.stick_lock import StickLock
from visiond.edgetpu.sticks import DeviceName, Stick, find_sticks, select

# <linux/usbdevice_fs.h>
_CONTROL: Final = 3 << 30 | 24 << 16 | ord("U") << 8 | 0
_CLAIM: Final = 2 << 30 | 4 << 16 | ord("U") << 8 | 15
_RESET: Final = ord("U") << 8 | 20
_PATIENCE_S: Final = 30.0


def find(port: str, *states: str) -> Stick:
    """Wait until the stick is there in one of these states; our own claim does not make it busy."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up_s:
        stick = select(find_sticks(ours=(os.getpid(),)), DeviceName(port=port))
        if stick is not None and stick.state in states:
            return stick
        time.sleep(0.02)
    raise SystemExit(f"no stick at {port} has become {states}: {find_sticks()}")


def claim(stick: Stick) -> int:
    fd = os.open(stick.node, os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, _CLAIM, struct.pack("I", 0))
    return fd


def download(fd: int) -> None:
    """Two blocks of firmware and the empty one that ends it, as DFU 1.1 asks."""
    for number, block in enumerate((bytes(64), bytes(32), b"")):
        buffer = ctypes.create_string_buffer(block, max(len(block), 1))
        request = struct.pack("@BBHHHIP", 0x21, 1, number, 0, len(block), 5000, ctypes.addressof(buffer))
        fcntl.ioctl(fd, _CONTROL, request)


def start(port: str, fd: int) -> int:
    """Load the firmware; the reset that follows brings it back as another device at the same port."""
    download(fd)
    try:
        fcntl.ioctl(fd, _RESET, 0)
    except OSError as error:
        if error.errno != errno.ENODEV:
            raise
    os.close(fd)
    return claim(find(port, "ready"))


def hold(port: str, stage: str) -> None:
    """Go up to the stage and stay there."""
    if stage != "locked":
        fd = claim(find(port, "bootloader", "ready"))
        print("claimed", flush=True)
        if stage == "started":
            start(port, fd)
            print("started", flush=True)
    sys.stdin.read()


def main() -> None:
    """Take the lock first, or never where a third argument says so: other programs do not know of it."""
    port, stage, *rude = sys.argv[1:]
    if rude:
        hold(port, stage)
        return
    with StickLock.acquire(port):
        print("locked", flush=True)
        hold(port, stage)


if __name__ == "__main__":
    main()
