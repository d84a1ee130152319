"""What systemd hands over at the start: an already listening socket (sd_listen_fds(3))."""

from __future__ import annotations

import os
import socket
from typing import Final

from visiond.errors import ConfigError

_FIRST_FD: Final = 3  # SD_LISTEN_FDS_START


def listening_socket() -> socket.socket | None:
    """Return the socket of the .socket unit, or None when this process was not given one.

    Raises ConfigError when there are several, or it is not a listening Unix stream socket.
    """
    if os.environ.pop("LISTEN_PID", None) != str(os.getpid()):
        return None
    count = int(os.environ.pop("LISTEN_FDS", "0"))
    os.environ.pop("LISTEN_FDNAMES", None)
    if count == 0:
        return None
    if count > 1:
        raise ConfigError(f"visiond.socket hands over {count} sockets; keep one ListenStream= line in it")
    listening = socket.socket(fileno=_FIRST_FD)
    os.set_inheritable(_FIRST_FD, False)
    is_stream = listening.family == socket.AF_UNIX and listening.type == socket.SOCK_STREAM
    if not is_stream or not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise ConfigError("visiond.socket hands over what is no listening Unix stream socket; use ListenStream=/a/path")
    return listening
