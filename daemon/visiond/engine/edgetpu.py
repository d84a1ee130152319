"""The Edge TPU's delegate: what is asked of libedgetpu, loading it, and its refusals in words."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from visiond.edgetpu.library import find_library, library_problem, library_version
from visiond.errors import VisiondError

NO_LIBRARY: Final = "no_library"
NO_DEVICE: Final = "no_device"
UNKNOWN: Final = "unknown"

# What a delegate's library exports: tensorflow/lite/delegates/external/external_delegate_interface.h
_SYMBOLS: Final = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")
_MISSING_PART = re.compile(r"^(\S+): cannot open shared object file")

_PROGRAM: Final = "cannot dynamically load position-independent executable"  # glibc, elf/dl-load.c

LoadDelegate = Callable[[str, dict[str, str]], Any]  # a runtime's load_delegate


@dataclass(frozen=True, slots=True)
class DelegateOrder:
    """Which delegate is wanted. `library` is a path, or a name that the loader finds; `options` are its own."""

    library: str
    options: dict[str, str] = field(default_factory=dict)


class DelegateFailed(VisiondError):
    """The accelerator or its library fails, not the model: it may be tried again.

    `kind`: no_library (it is not there, or cannot be loaded), no_device (it opens no stick), unknown (all else).
    """

    exit_code = 69

    def __init__(self, text: str, kind: str = UNKNOWN) -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Delegate:
    """A loaded delegate: it owns the stick, and must outlive every interpreter that it was given to.

    `native` is the runtime's own object. `library` is the version text of edgetpu_version(), None where it has none.
    """

    native: Any
    library: str | None


def load(order: DelegateOrder, load_delegate: LoadDelegate, on_version: Callable[[str], None]) -> Delegate:
    """Load the library with `load_delegate` and open the stick: 2 to 3 s, with the GIL held, while it re-enumerates.

    `on_version` gets the library's file and version before the stick is opened. Raises DelegateFailed in words. The
    library may also abort, crash or hang: only in a process that may die.
    """
    path = find_library(order.library) or Path(order.library)
    version = delegate_version(path)
    on_version(f"{path.name} {version}" if version else path.name)
    try:
        native = load_delegate(str(path), order.options)
    except ValueError as error:
        # libedgetpu creates no delegate exactly when it opens no device, and it does not say why:
        # tflite/edgetpu_delegate_for_custom_op_tflite_plugin.cc, tflite_plugin_create_delegate.
        said = str(error).partition("\n")[2].strip()
        raise DelegateFailed(
            f"{path.name} opens no Edge TPU as device '{order.options.get('device', '')}'"
            f"{f' ({said})' if said else ''}: it is not plugged in, not permitted, or another program has it; "
            "plug it in or stop that program, and ask `visiond doctor`",
            NO_DEVICE,
        ) from error
    return Delegate(native, version)


def delegate_version(path: Path) -> str | None:
    """LOAD the library by itself, as a runtime's own words for a failure are a traceback; only where one may die.

    Return what edgetpu_version() says, None where it has none. Raises DelegateFailed for what is no delegate.
    """
    if problem := library_problem(path):
        cause, _, remedy = problem.partition(": ")
        raise DelegateFailed(f"{cause}; {remedy}", NO_LIBRARY)
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise DelegateFailed(_loader_in_words(path, str(error)), NO_LIBRARY) from error
    missing = [symbol for symbol in _SYMBOLS if not hasattr(library, symbol)]
    if missing:
        raise DelegateFailed(
            f"{path} is no delegate: it lacks {' and '.join(missing)}; give the path of libedgetpu.so.1", NO_LIBRARY
        )
    return library_version(path) if hasattr(library, "edgetpu_version") else None


def _loader_in_words(path: Path, raw: str) -> str:
    part = _MISSING_PART.match(raw)
    if part and part[1] not in (str(path), path.name):
        return f"{path} needs {part[1]}, which is not installed; install the package that holds it"
    if _PROGRAM in raw:
        return f"{path} is a program and no library; give the path of libedgetpu.so.1 in edgetpu.library"
    return f"{path} cannot be loaded (the loader: {raw}); install the libedgetpu that is made for this system"
