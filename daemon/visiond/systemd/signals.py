"""Signals: SIGTERM and SIGINT end the daemon, SIGHUP makes it read its configuration again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Final

_STOP: Final = (signal.SIGTERM, signal.SIGINT)
_ALL: Final = (*_STOP, signal.SIGHUP)


def leave_to_main_thread() -> None:
    """First call of every other thread of the daemon: the kernel hands it none of these signals.

    Only so is the main thread the one that knows whether a signal has been caught (`Signals.close`).
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)


class Signals:
    """Hands signals to the event loop, and ignores them once the end has begun.

    Not asyncio's own handlers: a closing loop gives every signal its default back, and the second SIGTERM, or the
    Ctrl-C of an impatient person, then kills the process between its bye and its exit status.
    """

    def __init__(self, on_stop: Callable[[], None], on_reload: Callable[[], None]) -> None:
        """Both are called on the event loop: `on_stop` once, and `on_reload` never after it."""
        self._on_stop = on_stop
        self._on_reload = on_reload
        self._stopping = False

    def listen(self) -> None:
        """Take the signals from here on, for the running loop; call it in the main thread."""
        self._loop = asyncio.get_running_loop()
        for number in _ALL:
            signal.signal(number, self._caught)

    def ignore(self) -> None:
        """The end has begun: nothing that comes now changes it."""
        self._stopping = True

    def close(self) -> None:
        """The last thing to do before the process ends: the kernel drops what still comes."""
        self.ignore()
        # Blocked first: a signal that is caught and not yet handled when its handler goes is an error to Python. No
        # other thread takes it instead (`leave_to_main_thread`).
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
        for number in _ALL:
            signal.signal(number, signal.SIG_IGN)

    def _caught(self, number: int, _: FrameType | None) -> None:
        if self._stopping or self._loop.is_closed():
            return
        if number in _STOP:
            self.ignore()
            self._loop.call_soon_threadsafe(self._on_stop)
        else:
            self._loop.call_soon_threadsafe(self._reload)

    def _reload(self) -> None:
        if not self._stopping:
            self._on_reload()
