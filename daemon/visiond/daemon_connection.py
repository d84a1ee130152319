"""How the command line reaches the daemon: a connection, or one sentence why there is none and what to do."""

from __future__ import annotations

import grp
import pwd
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from visiond.client import SILENCE_S, Connection, connect
from visiond.errors import UnavailableError

SYSTEMD: Final = 1
_UCRED: Final = struct.Struct("3i")
_PATIENCE_S: Final = 2.0
_START: Final = "start it (visiond run, or systemctl start visiond) or name its socket with --socket"


@contextmanager
def daemon_connection(path: Path, camera: str | None = None, masks: bool = False) -> Iterator[Connection]:
    """Connect, for one camera's results or all, segments with their masks or without, and hang up at the end.

    Any failure on the way, of reading too, becomes UnavailableError in words.
    """
    try:
        cameras = None if camera is None else [camera]
        with connect(path, cameras=cameras, masks=masks or None, silence_s=SILENCE_S) as connection:
            yield connection
    except TimeoutError:
        raise UnavailableError(_silent(path)) from None
    except PermissionError:
        raise UnavailableError(f"no permission to use {path}: {membership(path)}, then log in again") from None
    except FileNotFoundError:
        raise UnavailableError(f"no daemon: there is no socket {path}; {_START}") from None
    except ConnectionRefusedError:
        raise UnavailableError(f"no daemon: nobody listens at {path}; {_START}") from None
    except ConnectionError:
        raise UnavailableError(gone(path, "it broke the connection")) from None
    except OSError as error:
        raise UnavailableError(f"{path} cannot be reached: {error.strerror or error}; {_START}") from None
    except ValueError as error:
        raise UnavailableError(
            f"{path} does not speak as visiond does ({error}); name its socket with --socket"
        ) from None


def gone(path: Path, reason: str | None) -> str:
    """Return the sentence for a daemon that ended the connection, with the reason of its bye."""
    return f"the daemon at {path} has gone: {reason or 'it closed the connection without a word'}"


def _silent(path: Path) -> str:
    """Return the sentence for a socket where nobody answers: systemd holds it also while the daemon does not run."""
    if listener(path) == (True, SYSTEMD):
        return (
            f"nobody answers at {path}, which systemd keeps for the daemon: the service does not run, or hangs; "
            "why tells systemctl status visiond, and systemctl restart visiond starts it"
        )
    return f"the daemon at {path} says nothing; restart it (systemctl restart visiond)"


def listener(path: Path) -> tuple[bool, int | None]:
    """Whether somebody listens there or may, and which process it is; None for what the kernel does not tell."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False, None
        except OSError:  # no permission, or its backlog is full: somebody may be there
            return True, None
        pid: int = _UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        return True, pid


def membership(path: Path) -> str:
    """Return how to be let in: the group of the socket, or of its folder where that is what cannot be entered."""
    for each in (path, path.parent):
        try:
            group = grp.getgrgid(each.stat().st_gid).gr_name
        except (OSError, KeyError):
            continue
        if group == "root" or any(group == user.pw_name for user in pwd.getpwall() if user.pw_uid >= 1000):
            return f"it belongs to {group} alone; set socket.group in the daemon's configuration and join that group"
        return f"it is for the group {group}; join it (sudo usermod -aG {group} $USER)"
    return "ask for the group that owns it"
