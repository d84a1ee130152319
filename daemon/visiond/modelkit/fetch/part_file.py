"""PartFile: a file that is still coming, and stays where it is when the rest does not come today."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from visiond.errors import UnavailableError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class PartFile:
    """Opened at a byte; what is behind that goes. Unbuffered: what was written is there when the process is killed."""

    def __init__(self, path: Path, start: int) -> None:
        self._path = path
        self.size = start
        try:
            self._number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
            os.truncate(self._number, start)
            os.lseek(self._number, start, os.SEEK_SET)
        except OSError as error:
            raise cannot_write(path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._number)

    def write(self, chunk: bytes) -> None:
        """Append; raises UnavailableError where there is no room, for one."""
        left = memoryview(chunk)
        try:
            while left:
                written = os.write(self._number, left)
                self.size += written
                left = left[written:]
        except OSError as error:
            raise cannot_write(self._path, error) from error


def size_of(path: Path) -> int:
    """Return how many bytes there are, 0 where there is no file."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def cannot_write(path: Path, error: OSError) -> UnavailableError:
    """Return the error for a file that cannot be written."""
    return UnavailableError(
        f"{path} cannot be written: {error.strerror}; {remedy(error)}, or give another folder with --to"
    )


def remedy(error: OSError) -> str:
    """Return what to do about a file that cannot be written."""
    return "make room there" if error.errno in _FULL else "check the folder and its permissions"
