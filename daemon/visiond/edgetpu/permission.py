"""Why this user may not open a stick's device node, and the command that mends it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path
from typing import Final

BOOTLOADER_ID: Final = "1a6e:089a"  # before the firmware is loaded; beagle_usb_driver_provider.cc of libedgetpu
READY_ID: Final = "18d1:9302"  # after
GROUP: Final = "plugdev"  # the group of libedgetpu1-std's own rules, and of a Debian desktop's first user
RULES_FILE: Final = Path("/etc/udev/rules.d/99-edgetpu-accelerator.rules")
# Both ids: with the first alone a stick opens once, loads its firmware, comes back as the other and is refused.
RULES: Final = tuple(
    f'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor}", ATTRS{{idProduct}}=="{product}", MODE="0664", GROUP="{GROUP}"'
    for vendor, product in (usb_id.split(":") for usb_id in (BOOTLOADER_ID, READY_ID))
)
_RELOAD: Final = "sudo udevadm control --reload && sudo udevadm trigger"


def permission_problem(node: Path) -> str | None:
    """Return why this process may not read and write `node`, with the remedy, in one line; None where it may."""
    if os.access(node, os.R_OK | os.W_OK):
        return None
    try:
        status = node.stat()
    except OSError:
        return (
            f"{node} is not there although the kernel has the stick: give the service or the container the folder "
            "/dev/bus/usb (systemd: PrivateDevices=no and DeviceAllow=char-usb_device rw)"
        )
    if status.st_mode & (stat.S_IRGRP | stat.S_IWGRP) == stat.S_IRGRP | stat.S_IWGRP and status.st_gid != 0:
        return f"no permission for {node}: {_join(_group_name(status.st_gid))}"
    rules = " ".join(f"'{rule}'" for rule in RULES)
    return (
        f"no permission for {node}: run printf '%s\\n' {rules} | sudo tee {RULES_FILE}; {_RELOAD}; then {_join(GROUP)}"
    )


def _join(group: str) -> str:
    """Return what brings this process into `group`: groups are read at start, so that alone may be what is missing."""
    user = _user_name()
    try:
        if user in grp.getgrnam(group).gr_mem:
            return f"user {user} has joined the group {group} since this program started: restart it, or log in again"
    except KeyError:
        return f"sudo groupadd --system {group} && sudo usermod -aG {group} {user}, then restart this program"
    return f"sudo usermod -aG {group} {user}, then restart this program (in a terminal: log in again)"


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
