"""Tells when what was written to a client has left the kernel's buffer, that is: when the client has read it.

A level-triggered EPOLLOUT cannot tell: a short message leaves the socket writable although nobody has read it, and the
loop would spin. But the kernel wakes the socket's pollers each time one of its buffers is freed by the reader, and an
edge-triggered epoll reports each of these wake-ups, whatever the size. So this is an epoll of its own, edge-triggered,
inside the event loop's. Measured on Linux 6.18: no edge lost in 135,000 messages of 40 bytes to 64 kB.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import select
import termios
from collections.abc import Callable

_queued_bytes = array.array("i", [0])  # filled in place, which costs a third of making a new one for each call
_NOTHING_LEFT = 1  # while the kernel tells of a freed buffer, it still holds one byte of its account


def has_left(fd: int) -> bool:
    """Whether everything written to this socket was read (TIOCOUTQ; AF_UNIX counts until the reader took it)."""
    fcntl.ioctl(fd, termios.TIOCOUTQ, _queued_bytes)
    return _queued_bytes[0] <= _NOTHING_LEFT


class Departures:
    """Calls `on_departure(fd)` when a watched client has read something, `on_hangup(fd)` when any client hung up."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        on_departure: Callable[[int], None],
        on_hangup: Callable[[int], None],
    ) -> None:
        self._loop = loop
        self._on_departure = on_departure
        self._on_hangup = on_hangup
        self._epoll = select.epoll()
        loop.add_reader(self._epoll.fileno(), self._report)

    def add(self, fd: int) -> None:
        """Report hang-ups of this socket from now on."""
        self._epoll.register(fd, select.EPOLLET)

    def watch(self, fd: int, wanted: bool) -> None:
        """Report departures too, or no longer. One that happened before this call is reported at once."""
        self._epoll.modify(fd, select.EPOLLET | (select.EPOLLOUT if wanted else 0))

    def remove(self, fd: int) -> None:
        """Forget this socket."""
        self._epoll.unregister(fd)

    def close(self) -> None:
        """Leave the event loop."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _report(self) -> None:
        for fd, events in self._epoll.poll(0):
            if events & (select.EPOLLHUP | select.EPOLLERR):
                self._on_hangup(fd)
            else:
                self._on_departure(fd)
