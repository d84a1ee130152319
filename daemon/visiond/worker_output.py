"""A worker's stderr, line by line, without ever waiting for it; and no more of it in the log than is ever read."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

_MAX_LINE_BYTES: Final = 2000
MOST_LINES: Final = 100  # of a worker in PERIOD_S: a traceback or two
PERIOD_S: Final = 60.0


class LineReader:
    """Whole lines out of a non-blocking pipe, as they come; bytes that are no UTF-8 are shown as such."""

    def __init__(self, fd: int, on_line: Callable[[str], None]) -> None:
        """Read `fd`, which the reader owns from here on, on the running loop."""
        self._fd = fd
        self._on_line = on_line
        self._rest = b""
        asyncio.get_running_loop().add_reader(fd, self._read)

    def close(self) -> None:
        """Read what is left, and close."""
        self._read()
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _read(self) -> None:
        try:
            chunk = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        if not chunk:
            asyncio.get_running_loop().remove_reader(self._fd)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        if not chunk or len(self._rest) > _MAX_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            if line.strip():
                self._on_line(line[:_MAX_LINE_BYTES].decode(errors="backslashreplace").rstrip())


class LineLimit:
    """Lets MOST_LINES through in each PERIOD_S and counts the others: libjpeg says a line for every damaged picture."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began_s = clock()
        self._lines = 0

    def admits(self) -> bool:
        """Whether one more line may be logged; ask `left_out` first."""
        self._lines += 1
        return self._lines <= MOST_LINES

    def left_out(self) -> int:
        """How many lines were held back in a period that has ended, once; 0 at any other time."""
        now_s = self._clock()
        if now_s - self._began_s < PERIOD_S:
            return 0
        held_back = max(0, self._lines - MOST_LINES)
        self._began_s, self._lines = now_s, 0
        return held_back
