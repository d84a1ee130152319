"""Clients that a fault needs for a moment."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from system.soak.device import SOCKET

MALFORMED: Final = (
    b"\xff\xfe\n",
    b"[" * 4000 + b"\n",
    b'{"type":"subscribe","min_score":NaN}\n',
    b'{"type":"subscribe","max_hz":' + b"9" * 3000 + b"}\n",
    b"x" * 5000 + b"\n",
)
_READER: Final = (
    "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\nwhile s.recv(65536): pass"
)


def connection() -> socket.socket:
    """A connection that reads nothing."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(SOCKET))
    return made


@contextmanager
def connected(count: int) -> Iterator[list[socket.socket]]:
    """So many connections, and those that are added. One that is refused at once has been connected all the same."""
    connections: list[socket.socket] = []
    try:
        connections.extend(connection() for _ in range(count))
        yield connections
    finally:
        for each in connections:
            each.close()


def greeted(connections: Sequence[socket.socket]) -> bool:
    """Whether all of them have been sent something."""
    return len(select.select(connections, [], [], 0)[0]) == len(connections)


def reader() -> subprocess.Popen[bytes]:
    """A process that reads everything."""
    return subprocess.Popen([sys.executable, "-S", "-c", _READER, str(SOCKET)])


def sent_away(data: bytes, patience_s: float = 5.0) -> bool:
    """Send this, and read until the daemon hangs up; False where it does not in time."""
    give_up_s = time.monotonic() + patience_s
    with connection() as client:
        with suppress(BrokenPipeError):  # sent away before all was sent
            client.sendall(data)
        while (left_s := give_up_s - time.monotonic()) > 0:
            client.settimeout(left_s)
            try:
                if not client.recv(65536):
                    return True
            except ConnectionResetError:
                return True
            except TimeoutError:
                break
    return False
