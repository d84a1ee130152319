"""Lookout: a thread that looks at something of the kernel's now and then, so that the event loop never waits for it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from visiond.systemd import leave_to_main_thread

log = logging.getLogger(__name__)

Seen = TypeVar("Seen")


class Lookout(Generic[Seen]):
    """Calls `on_look` on the event loop with what `look` has returned. A look that blocks holds up only itself.

    One that raises OSError, as without descriptors, has seen nothing: what was seen before holds on.
    """

    def __init__(self, name: str, period_s: float, look: Callable[[], Seen], on_look: Callable[[Seen], None]) -> None:
        """`look` runs in the thread: it must not touch what the loop changes, but for reading a reference."""
        self._name = name
        self._period_s = period_s
        self._look = look
        self._on_look = on_look
        self._stop = threading.Event()

    def start(self) -> None:
        """Look now, and from now on; call it on the running loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name=self._name, daemon=True).start()

    def stop(self) -> None:
        """Look no more; does not wait for a look that is under way."""
        self._stop.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        leave_to_main_thread()
        failed = False
        while not self._stop.is_set():
            try:
                seen = self._look()
            except OSError as error:
                if not failed:  # told once, until a look succeeds
                    log.warning("cannot look at the %s: %s", self._name, error.strerror)
                failed = True
                self._stop.wait(self._period_s)
                continue
            failed = False
            try:
                loop.call_soon_threadsafe(self._told, seen)
            except RuntimeError:  # the loop was closed meanwhile
                return
            self._stop.wait(self._period_s)

    def _told(self, seen: Seen) -> None:
        if not self._stop.is_set():
            self._on_look(seen)
