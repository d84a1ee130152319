"""Staging: the hidden folder beside the package in which it comes together, and the step that puts it in its place."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from visiond.errors import AlreadyRunningError
from visiond.modelkit.fetch.part_file import cannot_write

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


class Staging:
    """DIR/.NAME.fetching, for one process at a time; what is in it stays for the next run when this one fails.

    `verb` says what is done there: fetch, or convert.
    """

    def __init__(self, parent: Path, name: str, verb: str = "fetch") -> None:
        self.folder = parent / f".{name}.{verb}ing"
        self._verb = verb
        self._target = parent / name
        self._lock = -1

    def __enter__(self) -> Self:
        while True:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise cannot_write(self.folder, error) from error
            self._take()
            if self._is_current():  # another run may have put it in place between our two steps
                return self
            os.close(self._lock)

    def __exit__(self, *_: object) -> None:
        if self._is_current() and not any(self.folder.iterdir()):
            self.folder.rmdir()  # nothing has come
        os.close(self._lock)

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            raise AlreadyRunningError(
                f"{self._target} is being {self._verb}ed by another process; wait for it"
            ) from error

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._lock), self.folder.stat())
        except FileNotFoundError:
            return False

    def file(self, name: str) -> Path:
        """Where a verified file lies."""
        return self.folder / name

    def part(self, name: str) -> Path:
        """Where a file lies that is still coming."""
        return self.folder / f"{name}.part"

    def accept(self, name: str) -> None:
        """Take the part for the whole file: it was verified."""
        part = self.part(name)
        with part.open("rb") as content:
            os.fsync(content.fileno())
        part.rename(self.file(name))

    def write(self, name: str, content: str) -> None:
        """Write a small file of our own."""
        with self.file(name).open("w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def place(self, names: Iterable[str]) -> Path:
        """Make this folder, with these files alone, the package; one that was there goes, in the same moment."""
        keep = set(names)
        for path in self.folder.iterdir():
            if path.name not in keep:
                _remove(path)
        os.fsync(self._lock)
        if os.path.lexists(self._target):
            _exchange(self.folder, self._target)
            _remove(self.folder)
        else:
            self.folder.rename(self._target)
        _sync(self._target.parent)
        return self._target


def _exchange(one: Path, other: Path) -> None:
    """Swap two names in one step, so that at no moment there is no package; in two where the file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    code = libc.renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if code == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):  # FAT and some network file systems
        raise OSError(number, os.strerror(number), str(other))
    aside = one.with_name(f"{one.name}.old")
    other.rename(aside)
    try:
        one.rename(other)
    except OSError:
        aside.rename(other)
        raise
    aside.rename(one)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)
