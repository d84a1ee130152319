"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from visiond.errors import UnavailableError


def write_whole(path: Path, content: bytes) -> None:
    """Write beside, then rename. Raises UnavailableError in words: no room, no such folder, no permission."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}; make room there, or give another place"
        ) from error
