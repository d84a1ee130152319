"""Notifier: words to systemd, each a datagram to $NOTIFY_SOCKET (sd_notify(3)). Without systemd it says nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections import deque
from collections.abc import MutableMapping
from typing import Final

log = logging.getLogger(__name__)

_MOST_UNSENT: Final = 8  # a manager that does not read for long has other worries


class Notifier:
    """Sends without ever waiting: what the manager does not take now is sent before the next word."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        """`address` is a path, or an abstract name after an @; `watchdog_s` is how long systemd waits for a ping."""
        self.watchdog_s = watchdog_s
        self._address = None if address is None else _in_kernels_words(address)
        self._unsent: deque[str] = deque(maxlen=_MOST_UNSENT)
        self._socket: socket.socket | None = None

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Take what systemd has set for this process out of the environment, so that no worker speaks in its name."""
        address = environment.pop("NOTIFY_SOCKET", None)
        given_us, pid = environment.pop("WATCHDOG_USEC", None), environment.pop("WATCHDOG_PID", None)
        ours = pid is None or pid == str(os.getpid())  # sd_watchdog_enabled(3)
        if not ours or given_us is None:
            return cls(address)
        if not given_us.isdecimal() or int(given_us) == 0:
            log.warning("WATCHDOG_USEC=%s is no number of microseconds: no watchdog is pinged", given_us)
            return cls(address)
        return cls(address, int(given_us) / 1e6)

    def tell(self, *lines: str) -> None:
        """Send lines such as READY=1 in one datagram. A manager that is not there is told of once, in the log."""
        if self._address is None:
            return
        self._unsent.append("\n".join(lines))
        try:
            while self._unsent:
                self._send(self._unsent[0])
                self._unsent.popleft()
        except BlockingIOError:  # its queue is full: the next call tries again
            return
        except OSError as error:
            shown = self._address.replace("\0", "@", 1)
            log.warning("NOTIFY_SOCKET %s cannot be written to (%s): systemd is told nothing", shown, error.strerror)
            self.close()
            self._address = None

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, text: str) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        assert self._address is not None
        self._socket.sendto(text.encode(), self._address)


def _in_kernels_words(address: str) -> str:
    """An abstract name begins with a zero byte for the kernel (unix(7)), and with an @ in the environment."""
    return "\0" + address[1:] if address.startswith("@") else address
