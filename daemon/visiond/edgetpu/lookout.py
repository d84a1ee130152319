"""Lookout: a thread that looks at the sticks twice a second, so that the event loop never waits for the kernel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Container
from pathlib import Path
from typing import Final

from visiond.edgetpu.sticks import Stick, find_sticks

PERIOD_S: Final = 0.5


class Lookout:
    """Calls `on_look` on the event loop with what is plugged in. A read that blocks in the kernel blocks only this."""

    def __init__(
        self, sysfs: Path, dev: Path, ours: Callable[[], Container[int]], on_look: Callable[[tuple[Stick, ...]], None]
    ) -> None:
        """`ours` gives the processes whose use of a stick does not make it busy."""
        self._sysfs = sysfs
        self._dev = dev
        self._ours = ours
        self._on_look = on_look
        self._stop = threading.Event()

    def start(self) -> None:
        """Look now, and from now on; call it on the running loop."""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._run, args=(loop,), name="lookout", daemon=True).start()

    def stop(self) -> None:
        """Look no more; does not wait for a look that is under way."""
        self._stop.set()

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._stop.is_set():
            sticks = find_sticks(self._sysfs, self._dev, ours=self._ours())
            try:
                loop.call_soon_threadsafe(self._told, sticks)
            except RuntimeError:  # the loop was closed meanwhile
                return
            self._stop.wait(PERIOD_S)

    def _told(self, sticks: tuple[Stick, ...]) -> None:
        if not self._stop.is_set():
            self._on_look(sticks)
