"""`python -m visiond.edgetpu.usb_reset PORT --how reset|authorized`: reset a stick that does not open any more.

The parent runs it as a child, because the kernel may take seconds. It prints one sentence and exits with 0 where it
was done, with 1 where it was refused: then the sentence says why and what to do.
"""

from __future__ import annotations

import errno
import fcntl
import os
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from visiond.edgetpu.device_name import DeviceName
from visiond.edgetpu.permission import BOOTLOADER_ID, READY_ID, RULES_FILE
from visiond.edgetpu.stick_lock import StickLock
from visiond.edgetpu.sticks import Stick, find_sticks, select
from visiond.errors import UnavailableError

_USBDEVFS_RESET: Final = ord("U") << 8 | 20  # <linux/usbdevice_fs.h>: _IO('U', 20)
# Root alone may write `authorized`; this lets the group of the sticks' own rules write theirs.
_AUTHORIZED_RULES: Final = " ".join(
    f"""'ACTION=="add", SUBSYSTEM=="usb", ENV{{DEVTYPE}}=="usb_device", ATTR{{idVendor}}=="{vendor}", """
    f"""ATTR{{idProduct}}=="{product}", RUN+="/bin/chgrp plugdev /sys%p/authorized", """
    """RUN+="/bin/chmod g+w /sys%p/authorized"'"""
    for vendor, product in (usb_id.split(":") for usb_id in (BOOTLOADER_ID, READY_ID))
)


def reset_stick(port: str, how: str, sysfs: Path = Path("/sys"), dev: Path = Path("/dev")) -> str:
    """Reset the stick at `port` and return a sentence about it; blocks for as long as the kernel takes.

    `how` is `reset` (USBDEVFS_RESET: the port's own reset) or `authorized` (its configuration is taken away and given
    back). Raises UnavailableError where it is absent, used by anyone, or may not be reset.
    """
    with StickLock.acquire(port, sysfs):
        stick = select(find_sticks(sysfs, dev), DeviceName(port=port))
        if stick is None:
            raise UnavailableError(f"there is no stick at port {port}: plug it in, `visiond doctor` lists the ports")
        if stick.state == "busy":
            raise UnavailableError(f"not reset: {stick.reason}")
        return _switch_off_and_on(stick, sysfs) if how == "authorized" else _reset_port(stick)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what came of it; return the exit code."""
    parser = ArgumentParser(prog="python -m visiond.edgetpu.usb_reset", description="Reset a Coral USB stick.")
    parser.add_argument("port", help="where it is plugged in, 2-1.4")
    parser.add_argument("--how", choices=("reset", "authorized"), default="reset")
    parser.add_argument("--sysfs", type=Path, default=Path("/sys"))
    parser.add_argument("--dev", type=Path, default=Path("/dev"))
    given = parser.parse_args(arguments)
    try:
        print(reset_stick(given.port, given.how, given.sysfs, given.dev))
    except UnavailableError as error:
        print(error)
        return 1
    return 0


def _reset_port(stick: Stick) -> str:
    if stick.state == "no_permission":
        raise UnavailableError(f"not reset: {stick.reason}")
    try:
        fd = os.open(stick.node, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.ioctl(fd, _USBDEVFS_RESET, 0)
        finally:
            os.close(fd)
    except OSError as error:
        # The kernel's answer where the device came back as another one: it is enumerated anew (usb_reset_device).
        if error.errno == errno.ENODEV:
            return f"the stick at port {stick.port} was reset and comes back as another device"
        raise UnavailableError(
            f"the stick at port {stick.port} cannot be reset ({error.strerror}): unplug it, wait 5 s, plug it in again"
        ) from None
    return f"the stick at port {stick.port} was reset"


def _switch_off_and_on(stick: Stick, sysfs: Path) -> str:
    attribute = sysfs / "bus" / "usb" / "devices" / stick.port / "authorized"
    try:
        try:
            _write(attribute, "0")
        finally:
            _write(attribute, "1")
    except PermissionError:
        raise UnavailableError(
            f"no permission to write {attribute}: run printf '%s\\n' {_AUTHORIZED_RULES} | sudo tee -a {RULES_FILE}; "
            "sudo udevadm control --reload && sudo udevadm trigger --action=add --subsystem-match=usb"
        ) from None
    except OSError as error:
        raise UnavailableError(
            f"the stick at port {stick.port} cannot be switched off and on ({error.strerror}): "
            "unplug it, wait 5 s, plug it in again"
        ) from None
    return f"the stick at port {stick.port} was switched off and on"


def _write(attribute: Path, text: str) -> None:
    fd = os.open(attribute, os.O_WRONLY | os.O_CLOEXEC)  # never create: the attribute goes with the device
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


if __name__ == "__main__":
    raise SystemExit(main())
