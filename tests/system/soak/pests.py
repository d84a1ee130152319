"""Clients that behave badly all the time: one that stalls, one that comes and goes, one that floods."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from system.soak.device import SOCKET

_PINGS: Final = b'{"type":"ping"}\n' * 500
READ_S: Final = 3.0
STALL_S: Final = 33.0  # the daemon closes whoever reads nothing for 30 s


class Pest:
    """Misbehaves in a thread of its own, except while it is paused: then it has no connection."""

    def __init__(self, counts: Counter[str]) -> None:
        self.counts = counts
        self.paused = threading.Event()
        self.at_rest = threading.Event()
        threading.Thread(target=self._run, name=type(self).__name__, daemon=True).start()

    def misbehave(self, connection: socket.socket) -> None:
        """Once; may raise OSError."""
        raise NotImplementedError

    def _run(self) -> None:
        while True:
            if self.paused.is_set():
                self.at_rest.set()
                time.sleep(0.02)
                continue
            self.at_rest.clear()
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(5)
                connection.connect(str(SOCKET))
                self.misbehave(connection)

    def wait(self, seconds: float) -> None:
        """Sleep, unless paused meanwhile."""
        self.paused.wait(seconds)


class Staller(Pest):
    """Connects and reads nothing, until the daemon has had enough."""

    def misbehave(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        began_s = time.monotonic()
        self.wait(STALL_S)
        if (stalled_s := time.monotonic() - began_s) >= STALL_S:
            while connection.recv(65536):  # what has waited, and then the end
                if time.monotonic() - began_s > stalled_s + READ_S:
                    return  # the daemon itself stood still for a while, and did not see it stall for so long
            self.counts["stallers sent away"] += 1


class Passer(Pest):
    """Connects and goes, twenty times a second, reading or not."""

    def misbehave(self, connection: socket.socket) -> None:
        self.counts["passers"] += 1
        if self.counts["passers"] % 2:
            connection.recv(65536)
        self.wait(0.05)


class Flooder(Pest):
    """Asks as fast as it can until it is sent away; again two seconds later."""

    def misbehave(self, connection: socket.socket) -> None:
        connection.setblocking(True)
        connection.settimeout(5)
        try:
            while True:
                connection.sendall(_PINGS)
        except ConnectionError:
            self.counts["flooders sent away"] += 1
        self.wait(2.0)


def pause(pests: Sequence[Pest]) -> None:
    """Return when none has a connection."""
    for pest in pests:
        pest.paused.set()
    for pest in pests:
        pest.at_rest.wait(10)


def go_on(pests: Sequence[Pest]) -> None:
    for pest in pests:
        pest.paused.clear()
