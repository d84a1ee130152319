"""A worker's stderr, line by line, without ever waiting for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

_MAX_LINE_BYTES: Final = 2000


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
