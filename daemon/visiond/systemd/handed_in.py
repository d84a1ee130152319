"""What systemd hands over at the start: an already listening socket (sd_listen_fds(3))."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path
from typing import Final

from visiond.errors import ConfigError

log = logging.getLogger(__name__)

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START


def listening_socket(expected: Path | None = None) -> socket.socket | None:
    """Return the socket of the .socket unit, or None when this process was not given one.

    Where it listens at another path than `expected`, that is logged: clients look there, and the socket is used all the
    same. Raises ConfigError when there are several, or it is not a listening Unix stream socket.
    """
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()):
        return None
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    os.environ.pop("LISTEN_FDNAMES", None)
    if count == 0:
        return None
    if count > 1:
        raise ConfigError(f"visiond.socket hands over {count} sockets; keep one ListenStream= line in it")
    try:
        listening = socket.socket(fileno=_FIRST_FD)
    except OSError as error:
        raise ConfigError(
            f"LISTEN_FDS={count} is set, but descriptor {_FIRST_FD} is no socket ({error.strerror}): "
            "start the service with systemctl, or unset LISTEN_PID"
        ) from None
    os.set_inheritable(_FIRST_FD, False)
    is_stream = listening.family == socket.AF_UNIX and listening.type == socket.SOCK_STREAM
    if not is_stream or not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigError("visiond.socket hands over what is no listening Unix stream socket; use ListenStream=/a/path")
    path = os.fsdecode(listening.getsockname())
    if expected is not None and path != str(expected):
        log.warning(
            "visiond.socket listens at %s, and socket.path is %s: give both the same (systemctl edit visiond.socket)",
            path,
            expected,
        )
    return listening
