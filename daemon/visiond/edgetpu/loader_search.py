"""Where the dynamic loader would look for a library, in its order, without loading one."""

from __future__ import annotations

import platform
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

CACHE: Final = Path("/etc/ld.so.cache")
# Format: glibc, sysdeps/generic/dl-cache.h: magic, number of libraries, 24 bytes; then an entry each: flags, offset of
# the name, offset of the path, 12 bytes. Offsets are from the magic, in the machine's own byte order.
_MAGIC: Final = b"glibc-ld.so.cache1.1"
_HEAD: Final = struct.Struct("=20sI24x")
_ENTRY: Final = struct.Struct("=4xII12x")
_FOLDERS: Final = ("lib/{tuple}", "usr/lib/{tuple}", "lib64", "usr/lib64", "lib", "usr/lib")


def places(name: str, environ: Mapping[str, str], cache: Path = CACHE, root: Path = Path("/")) -> Iterator[Path]:
    """Yield candidates, there or not, as ld.so(8) would: LD_LIBRARY_PATH, ldconfig's cache, the default folders."""
    for folder in environ.get("LD_LIBRARY_PATH", "").replace(";", ":").split(":"):
        if folder:
            yield Path(folder) / name
    try:
        yield from parse_cache(cache.read_bytes(), name)
    except OSError:  # a system without glibc, or before the first ldconfig: the folders are left
        pass
    # Debian's name for this Python's kind of machine, aarch64-linux-gnu: a 64-bit kernel may run a 32-bit Python.
    kind = getattr(sys.implementation, "_multiarch", f"{platform.machine()}-linux-gnu")
    for folder in _FOLDERS:
        yield root / folder.format(tuple=kind) / name


def parse_cache(data: bytes, name: str) -> list[Path]:
    """Return the paths that ldconfig has noted for `name`; none of a cache of another format or a damaged one."""
    start = data.find(_MAGIC)
    if start < 0 or len(data) < start + _HEAD.size:
        return []
    data = data[start:]
    count = min(_HEAD.unpack_from(data)[1], (len(data) - _HEAD.size) // _ENTRY.size)
    wanted, found = name.encode() + b"\0", []
    for index in range(count):
        key, value = _ENTRY.unpack_from(data, _HEAD.size + index * _ENTRY.size)
        end = data.find(b"\0", value)
        if data.startswith(wanted, key) and end > value:
            found.append(Path(data[value:end].decode(errors="surrogateescape")))
    return found
