"""Where things are when nobody says so: the configuration, the socket, the model packages."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final

from visiond.errors import ConfigError

SYSTEM_CONFIG: Final = Path("/etc/visiond/visiond.yaml")
SYSTEM_SOCKET: Final = Path("/run/visiond/visiond.sock")
MAX_SOCKET_PATH_BYTES: Final = 107  # sun_path of sockaddr_un has 108, the last one is the closing zero


def default_path() -> Path:
    """Return the configuration's path: $VISIOND_CONFIG, else /etc/visiond/visiond.yaml."""
    return Path(os.environ.get("VISIOND_CONFIG") or SYSTEM_CONFIG)


def default_socket_path() -> Path:
    """Return where a daemon of this user listens.

    $RUNTIME_DIRECTORY (systemd gives it to the service), for root /run/visiond, for others $XDG_RUNTIME_DIR, else a
    folder of their own in /tmp. Raises ConfigError where somebody else made that folder.
    """
    if given := os.environ.get("RUNTIME_DIRECTORY"):
        return Path(given.partition(":")[0]) / SYSTEM_SOCKET.name
    if os.geteuid() == 0:
        return SYSTEM_SOCKET
    session = Path(os.environ.get("XDG_RUNTIME_DIR") or ".") / SYSTEM_SOCKET.name
    if session.is_absolute() and _is_own(session.parent) and len(os.fsencode(session)) <= MAX_SOCKET_PATH_BYTES:
        return session
    folder = Path(f"/tmp/visiond-{os.geteuid()}")
    if os.path.lexists(folder) and not _is_own(folder):
        raise ConfigError(f"{folder} is not a folder that only this user may write to: remove it, or give socket.path")
    return folder / SYSTEM_SOCKET.name


def running_socket_path() -> Path:
    """Return where a client looks for a daemon: this user's own socket if it is there, else the system's."""
    own = default_socket_path()
    return SYSTEM_SOCKET if not own.exists() and _may_be_there(SYSTEM_SOCKET) else own


def _may_be_there(path: Path) -> bool:
    """Whether it exists, or lies where this user may not look: connecting then says what is missing."""
    try:
        path.lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def default_models_path() -> Path:
    """Return the folder of the model packages: `models` of the checkout that runs, else of the installation."""
    source_root = Path(__file__).resolve().parent.parent
    in_checkout = source_root.parent / "models"
    if source_root.name == "daemon" and in_checkout.is_dir():
        return in_checkout
    return Path(sys.prefix) / "share" / "visiond" / "models"


def _is_own(folder: Path) -> bool:
    """Whether it is a folder of this user, no link, where nobody else may write: in /tmp anyone could have made it."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
