"""libedgetpu's file: where it is, what is wrong with it, and what it says of itself.

All but the last two functions only look at the file. Those load it, and a library that does not fit ends the process.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.edgetpu.elf import ElfHead
from visiond.edgetpu.loader_search import CACHE, places
from visiond.errors import UnavailableError

NAME: Final = "libedgetpu.so.1"
_INSTALL: Final = "sudo apt install libedgetpu1-std (from Coral's package source)"
_THIS_PROGRAM: Final = Path("/proc/self/exe")
_USB: Final = 1  # EDGETPU_APEX_USB of tflite/public/edgetpu_c.h


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one file from the one that replaced it."""

    size: int
    mtime_ns: int
    inode: int


class _Device(ctypes.Structure):
    """`struct edgetpu_device` of tflite/public/edgetpu_c.h."""

    _fields_ = (("type", ctypes.c_int), ("path", ctypes.c_char_p))


def find_library(
    name: str = NAME, environ: Mapping[str, str] = os.environ, cache: Path = CACHE, root: Path = Path("/")
) -> Path | None:
    """Return the file that the loader would take for `name`, a path as it is; None where there is none.

    A file that cannot be used is passed over where a later one can, and is returned where none can: then
    `library_problem` says what is wrong with it.
    """
    if "/" in name:
        return Path(name) if os.path.lexists(name) else None
    found = [path for path in places(name, environ, cache, root) if os.path.lexists(path)]
    return next((path for path in found if library_problem(path) is None), found[0] if found else None)


def library_problem(path: Path, program: Path = _THIS_PROGRAM) -> str | None:
    """Say why `path` cannot be loaded into `program`, and the remedy, without loading it; None where nothing is seen.

    That a library and a runtime do not fit each other cannot be seen in the file: that takes a process that may die.
    """
    reinstall = f"install it again: {_INSTALL.replace('install', 'install --reinstall', 1)}"
    if not os.path.lexists(path):
        where = f"{path} does not exist" if "/" in str(path) else f"{path} is not installed"
        return f"{where}: {_INSTALL}, or give its path in edgetpu.library"
    if not path.exists():
        return f"{path} is a link to {path.readlink()}, which does not exist: {reinstall}"
    if not path.is_file():
        return f"{path} is not a file: give the path of the library itself in edgetpu.library"
    try:
        head, length = ElfHead.read(path), path.stat().st_size
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}): sudo chmod a+r {path}"
    except ValueError as error:
        if path.stat().st_size == 0:
            return f"{path} is empty: {reinstall}"
        return f"{path} is no library, {error}: {reinstall}"
    needed = ElfHead.read(program)
    if not head.runs_like(needed):
        return (
            f"{path} is for {head.architecture} and this Python needs {needed.architecture}: {_INSTALL} on this machine"
        )
    if not head.is_shared or length < head.length:
        what = "is cut off" if length < head.length else "is no shared library"
        return f"{path} {what}: {reinstall}"
    return None


def identity(path: Path) -> Identity | None:
    """Return what changes when the file behind `path` is replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Identity(status.st_size, status.st_mtime_ns, status.st_ino)


def library_version(path: Path) -> str:
    """LOAD the library and return its own text: `BuildLabel(…), RuntimeVersion(14)`.

    Only for a process that may die. Raises UnavailableError in words.
    """
    function = _function(path, "edgetpu_version")
    function.restype = ctypes.c_char_p
    return bytes(function() or b"").decode(errors="replace") or "no version"


def usb_ports(path: Path) -> tuple[str, ...]:
    """LOAD the library and return the ports of the sticks in its own order: `usb:N` is the N-th of them for it.

    It lists those in the bootloader first, then the others, each group as libusb does, in reverse (libedgetpu,
    driver/beagle/beagle_usb_driver_provider.cc, Enumerate; libusb, core.c, usbi_connect_device adds in front). So the
    number of a stick changes when any stick starts: take it within `stick_lock.opening_turn`. Opens no stick.
    Only for a process that may die. Raises UnavailableError in words.
    """
    list_devices, free_devices = _function(path, "edgetpu_list_devices"), _function(path, "edgetpu_free_devices")
    list_devices.restype = ctypes.POINTER(_Device)
    list_devices.argtypes = (ctypes.POINTER(ctypes.c_size_t),)
    free_devices.argtypes, free_devices.restype = (ctypes.POINTER(_Device),), None
    count = ctypes.c_size_t()
    devices = list_devices(ctypes.byref(count))
    try:
        return tuple(
            os.path.basename((devices[index].path or b"").decode(errors="replace"))  # noqa: PTH119
            for index in range(count.value)
            if devices[index].type == _USB
        )
    finally:
        free_devices(devices)


def _function(path: Path, name: str) -> Any:
    problem = library_problem(path)
    if problem is not None:
        raise UnavailableError(problem)
    try:
        return getattr(ctypes.CDLL(os.fspath(path)), name)
    except OSError as error:
        raise UnavailableError(f"{path} cannot be loaded: {error}; install what it needs, then {_INSTALL}") from None
    except AttributeError:
        raise UnavailableError(f"{path} has no {name}, it is not libedgetpu: {_INSTALL}") from None
