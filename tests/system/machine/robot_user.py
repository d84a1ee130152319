"""The robot: an unprivileged user of the group visiond, whose program starts with the device."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from device import SOCKET, run

ROBOT = "robot"
_FIRST = Path("/run/robot/first")
_UNIT = f"""\
[Unit]
Description=A robot that is there before visiond
After=visiond.socket

[Service]
User={ROBOT}
RuntimeDirectory=robot
RuntimeDirectoryPreserve=yes
ExecStart=/bin/sh -c 'socat -u UNIX-CONNECT:{SOCKET} - | grep --max-count 1 \\'"type":"detections"\\' >{_FIRST}'

[Install]
WantedBy=multi-user.target
"""


def make_robot() -> None:
    run("useradd", "--create-home", "--groups", "visiond", ROBOT)
    Path("/etc/systemd/system/robot.service").write_text(_UNIT)
    run("systemctl", "enable", "robot.service")


def first_detections() -> dict[str, Any] | None:
    """What it got first in this boot; None before that."""
    text = _FIRST.read_text() if _FIRST.exists() else ""
    return dict(json.loads(text)) if text else None


@contextmanager
def watching() -> Iterator[Callable[[], dict[str, Any]]]:
    """`visiond watch --json` of this user; each call gives its next line."""
    login = ("setpriv", f"--reuid={ROBOT}", f"--regid={ROBOT}", "--init-groups")
    command = (*login, "visiond", "watch", "--json")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout)
        try:
            yield lambda: dict(json.loads(next(lines)))
        finally:
            process.terminate()
