"""The listening socket: checked, claimed, bound with its group and mode, and taken away. Every refusal in words."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
import struct
from pathlib import Path

from visiond.errors import AlreadyRunningError, ConfigError
from visiond.places import MAX_SOCKET_PATH_BYTES
from visiond.publish.socket_lock import SocketLock

_FOLDER_MODE = 0o750
_UCRED = struct.Struct("3i")


class Listening:
    """A socket that listens at `path`; `lock` is None where the socket was handed in and is not ours to remove."""

    def __init__(self, sock: socket.socket, path: Path, lock: SocketLock | None) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.path = path
        self._lock = lock
        self._bound = None if lock is None else path.lstat()

    def close(self) -> None:
        """Stop listening; remove the socket's file if it is still the one that was bound here."""
        self.socket.close()
        if self._bound is None:
            return
        try:
            if os.path.samestat(self._bound, self.path.lstat()):
                self.path.unlink()
        except OSError:  # somebody else removed it, or the folder with it: it is gone, which is all we want
            pass

    def release(self) -> None:
        """Let the next daemon in; the last thing to do."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def adopt(sock: socket.socket) -> Listening:
    """Take a listening socket that was handed in (LISTEN_FDS). Raises ConfigError if it is of another kind."""
    accepts = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not accepts:
        raise ConfigError(
            "the socket that was handed in is no listening Unix stream socket; use ListenStream= with a path"
        )
    return Listening(sock, Path(os.fsdecode(sock.getsockname())), None)


def listen(path: Path, *, group: str | None, mode: int, create_folder: bool, backlog: int) -> Listening:
    """Bind and listen at `path`, as the only daemon there.

    `mode` and `group` are those of the socket's file; where `create_folder`, a missing last folder is made with mode
    0750 and that group. Raises ConfigError with the remedy, AlreadyRunningError where a live daemon owns the path.
    """
    _check_length(path)
    group_id = _group_id(group)
    _check_folder(path.parent, group_id if create_folder else None, create_folder)
    lock = SocketLock.take(path)
    try:
        _clear(path)
        return Listening(_bind(path, group, group_id, mode, backlog), path, lock)
    except BaseException:
        lock.release()
        raise


def _check_length(path: Path) -> None:
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise ConfigError(
            f"socket.path: {path} has {length} bytes; a socket's path may have {MAX_SOCKET_PATH_BYTES}: shorten it"
        )


def _group_id(group: str | None) -> int:
    if group is None:
        return -1
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigError(
            f"socket.group: there is no group {group!r}; create it (sudo groupadd --system {group}) or name another"
        ) from None


def _check_folder(folder: Path, group_id: int | None, create: bool) -> None:
    if create and not folder.exists():
        _create_folder(folder, group_id)
    try:
        status = folder.stat()
    except OSError as error:
        raise ConfigError(
            f"socket.path: the folder {folder} cannot be used ({error.strerror}); create it (mkdir -m 750 {folder}) "
            "or choose another path"
        ) from None
    if not stat.S_ISDIR(status.st_mode):
        raise ConfigError(f"socket.path: {folder} is not a folder; choose another path")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        raise ConfigError(
            f"socket.path: every user may write in {folder}, so anyone could put another socket in this one's place; "
            f"close it (chmod o-w {folder}) or choose another path"
        )


def _create_folder(folder: Path, group_id: int | None) -> None:
    try:
        folder.mkdir(_FOLDER_MODE)
        if group_id is not None:
            os.chown(folder, -1, group_id)
    except FileExistsError:
        return
    except OSError as error:
        raise ConfigError(
            f"socket.path: the folder {folder} cannot be created ({error.strerror}); create it "
            f"(sudo mkdir -m 750 {folder}) and give it to the daemon's user, or choose another path"
        ) from None


def _clear(path: Path) -> None:
    """Remove the socket that a dead daemon left at `path`. Anything else that stands there stays, and is refused."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"socket.path: {path} cannot be looked at ({error.strerror}); choose another path") from None
    if stat.S_ISLNK(kind):
        raise ConfigError(f"socket.path: {path} is a symbolic link; remove it or give the path that it leads to")
    if not stat.S_ISSOCK(kind):
        what = "a folder" if stat.S_ISDIR(kind) else "a file"
        raise ConfigError(
            f"socket.path: {path} is {what} and no socket, it was left alone; move it or choose another path"
        )
    pid = _listener(path)
    if pid is not None:
        who = f"already running, pid {pid} listens there" if pid else "already running, and too busy to say its pid"
        raise AlreadyRunningError(f"socket.path: {path}: {who}; stop it first, or give another path")
    try:
        path.unlink()
    except OSError as error:
        raise ConfigError(
            f"socket.path: the stale socket {path} cannot be removed ({error.strerror}); remove it (sudo rm {path})"
        ) from None


def _listener(path: Path) -> int | None:
    """Return the pid that listens at `path`, 0 where it cannot be told, None where nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fspath(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        except BlockingIOError:  # it listens, and its backlog is full
            return 0
        except OSError as error:
            raise ConfigError(
                f"socket.path: {path} cannot be tried ({error.strerror}); remove it if no daemon owns it, "
                "or choose another path"
            ) from None
        return int(_UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0])


def _bind(path: Path, group: str | None, group_id: int, mode: int, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _bind_for_us_alone(sock, path)
        try:
            _give_away(path, group, group_id, mode)
            sock.listen(backlog)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_for_us_alone(sock: socket.socket, path: Path) -> None:
    """Bind; nobody else may connect before group and mode are set."""
    before = os.umask(0o177)
    try:
        sock.bind(os.fspath(path))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AlreadyRunningError(
                f"socket.path: {path}: another program has just taken it; stop that one"
            ) from None
        raise ConfigError(
            f"socket.path: no socket can be made at {path} ({error.strerror}); let the daemon's user write in "
            f"{path.parent}, or choose another path"
        ) from None
    finally:
        os.umask(before)


def _give_away(path: Path, group: str | None, group_id: int, mode: int) -> None:
    try:
        os.chown(path, -1, group_id)
        path.chmod(mode)
    except OSError as error:
        raise ConfigError(
            f"socket.group: {path} cannot be given to the group {group!r} ({error.strerror}); "
            f"make the daemon's user a member (sudo usermod -aG {group} USER), or leave socket.group out"
        ) from None
