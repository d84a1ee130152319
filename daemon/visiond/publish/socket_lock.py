"""One daemon per socket: a lock file beside it, which the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from visiond.errors import AlreadyRunningError, ConfigError

_PID_PATIENCE_S = 2.0  # for the pid of a holder that has only just taken the lock
_PID_PAUSE_S = 0.005


class SocketLock:
    """Holds PATH.lock, with this process's pid in it, until `release`."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self._path = path

    @classmethod
    def take(cls, socket_path: Path) -> Self:
        """Lock the socket's path. Raises AlreadyRunningError with the holder's pid, or ConfigError."""
        path = socket_path.with_name(socket_path.name + ".lock")
        give_up_s = time.monotonic() + _PID_PATIENCE_S
        while True:
            fd = _open(path)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pid = _holder(fd)
                os.close(fd)
                if pid is None and time.monotonic() < give_up_s:
                    time.sleep(_PID_PAUSE_S)
                    continue
                who = "already running" + (f", pid {pid}" if pid is not None else "")
                raise AlreadyRunningError(
                    f"socket.path: {socket_path}: {who}; stop it first, or give another path"
                ) from None
            if _still_there(fd, path):
                break
            os.close(fd)  # its last holder removed the file between our open and our lock
        with suppress(OSError):  # /run is full: the lock holds all the same, only the pid cannot be told
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        return cls(fd, path)

    def release(self) -> None:
        """Remove the file and let the next daemon in."""
        if _still_there(self._fd, self._path):
            self._path.unlink(missing_ok=True)
        os.close(self._fd)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        raise ConfigError(
            f"socket.path: the lock file {path} cannot be opened ({error.strerror}); "
            "let the daemon's user write in that folder, remove a file of another user, or choose another path"
        ) from None


def _still_there(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.lstat())
    except FileNotFoundError:
        return False


def _holder(fd: int) -> int | None:
    """Return the pid in the file; None where the holder has not written its own yet, over that of a dead one."""
    text = os.pread(fd, 20, 0).strip()
    return int(text) if text.isdigit() and Path(f"/proc/{int(text)}").exists() else None
