"""One client's socket: never waits, never holds more than one message in the kernel, never mixes two lines."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from visiond.publish.departures import Departures, has_left
from visiond.publish.limits import Limits
from visiond.publish.outbox import Outbox
from visiond.publish.request_lines import RequestLines
from visiond.publish.requests import MAX_LINE_BYTES, ProtocolError

_UCRED = struct.Struct("3i")


class ClientConnection:
    """Sends what `outbox` holds, as fast as the client reads; splits what the client sends into lines.

    Times are seconds of CLOCK_MONOTONIC. `send` and `receive` raise OSError when the client is gone.
    """

    def __init__(self, sock: socket.socket, departures: Departures, limits: Limits, now_s: float) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
        self.fd = sock.fileno()
        self.outbox = Outbox(limits.waiting_replies)
        self.errors = 0
        self.leaves_at_s: float | None = None
        self.requests = RequestLines(limits, now_s)
        self._socket = sock
        self._departures = departures
        self._limits = limits
        self._rest = b""  # of the line that is being written
        self._in_kernel = False
        self._watching = False
        self._moved_s = now_s  # when the client last took something, or when there was nothing to take
        departures.add(self.fd)

    @property
    def pid(self) -> int:
        """Process that connected, for the log."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(credentials)[0])

    def receive(self, now_s: float) -> Iterator[bytes | ProtocolError] | None:
        """Read once and return the lines that are whole now; None when the client will send no more."""
        data = self._socket.recv(MAX_LINE_BYTES)
        return self.requests.feed(data, now_s) if data else None

    def send(self, now_s: float) -> None:
        """Write as much as may be written now; the rest follows when the client has read."""
        while self._rest or (self.outbox and self._may_begin(now_s)):
            line = self._rest or self.outbox.take() or b""
            try:
                written = self._socket.send(line, socket.MSG_NOSIGNAL)
            except BlockingIOError:
                self._rest = line
                break
            self._in_kernel, self._moved_s = True, now_s
            self._rest = line[written:]
        waiting = self.waiting
        if waiting != self._watching:
            self._watching = waiting
            self._departures.watch(self.fd, waiting)

    def leave(self, last_words: bytes, now_s: float) -> None:
        """From here on write only the replies that wait and these last lines, without waiting for departures."""
        self.outbox.end_with(last_words)
        self.leaves_at_s = now_s + self._limits.goodbye_s

    @property
    def waiting(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._rest) or bool(self.outbox)

    def stalled(self, now_s: float) -> bool:
        """Whether the client has not finished reading what it was sent for too long."""
        if self._in_kernel and has_left(self.fd):
            self._in_kernel = False
        if not self._in_kernel:
            self._moved_s = now_s
        return now_s - self._moved_s > self._limits.stall_s

    def close(self) -> None:
        """Give the descriptor back."""
        self._departures.remove(self.fd)
        self._socket.close()

    def _may_begin(self, now_s: float) -> bool:
        """Whether another line may be begun: when the last one has left, or at once for last words."""
        if self._in_kernel and has_left(self.fd):
            self._in_kernel, self._moved_s = False, now_s
        return not self._in_kernel or self.leaves_at_s is not None
