"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from visiond.errors import UnavailableError
from visiond.modelkit.fetch.part_file import remedy

_ELSEWHERE: Final = "or give another place"


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, then rename; a link stays and its target is replaced, a pipe or a device is written into.

    Raises UnavailableError in words: no room, no such folder, no permission.
    """
    try:
        if _is_special(path):
            path.write_bytes(content)
            return
        target = _target(path)
        beside = _beside(target)
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def check_writable(path: Path, elsewhere: str = _ELSEWHERE) -> None:
    """Raise UnavailableError now where `write_whole` would later, after minutes of work; nothing is left behind.

    `elsewhere`: what else can be done than to mend the place.
    """
    try:
        if _is_special(path):
            if not os.access(path, os.W_OK):  # a pipe is not opened before there is something for its reader
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        beside = _beside(_target(path))
        beside.open("wb").close()
        beside.unlink()
    except OSError as error:
        raise _cannot_write(path, error, elsewhere) from error


def is_folder(path: Path) -> bool:
    """Whether it is one, as far as this user may look: pathlib raises below a folder that may not be entered."""
    try:
        return path.is_dir()
    except PermissionError:
        return False


def _is_special(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _target(path: Path) -> Path:
    """Where the links lead, if it is one."""
    return Path(os.path.realpath(path))


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}")


def _cannot_write(path: Path, error: OSError, elsewhere: str = _ELSEWHERE) -> UnavailableError:
    return UnavailableError(f"{path} cannot be written: {error.strerror}; {remedy(error)}, {elsewhere}")
