"""Takes clients from the listening socket, and rests when the process has no file descriptor left for one."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import socket
import sys
from collections.abc import Callable
from typing import Final

from visiond.publish.limits import Limits

LOG = logging.getLogger(__name__)
_BATCH: Final = 32  # clients per turn of the event loop
_NO_DESCRIPTORS: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Acceptor:
    """Calls `welcome(sock)` for each client, `refuse(sock)` where the last descriptors are kept for the workers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listening: socket.socket,
        limits: Limits,
        welcome: Callable[[socket.socket], None],
        refuse: Callable[[socket.socket], None],
    ) -> None:
        self._loop, self._listening, self._limits = loop, listening, limits
        self._welcome, self._refuse = welcome, refuse
        self._resting: asyncio.TimerHandle | None = None
        self._told = False  # that there are no descriptors; once, until there are some again
        soft_limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._first_kept_fd = sys.maxsize if soft_limit == resource.RLIM_INFINITY else soft_limit - limits.kept_free_fds
        loop.add_reader(listening, self._accept)

    def close(self) -> None:
        """Accept no more."""
        self._loop.remove_reader(self._listening)
        if self._resting is not None:
            self._resting.cancel()

    def _accept(self) -> None:
        for _ in range(_BATCH):
            try:
                sock, _ = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NO_DESCRIPTORS:
                    raise
                self._rest(error)
                return
            self._told = False
            if sock.fileno() >= self._first_kept_fd:  # the kernel hands out the lowest free number
                self._refuse(sock)
            else:
                self._welcome(sock)

    def _rest(self, error: OSError) -> None:
        """Stop for a moment: the listening socket stays readable, and the loop would spin."""
        if not self._told:
            LOG.warning("no client can be accepted (%s); trying again", error.strerror)
            self._told = True
        self._loop.remove_reader(self._listening)
        self._resting = self._loop.call_later(self._limits.accept_pause_s, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._loop.add_reader(self._listening, self._accept)
