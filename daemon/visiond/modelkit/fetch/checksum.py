"""Whether a file is the one that the catalogue means."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from visiond.modelkit.catalogue import CatalogueFile

_CHUNK_BYTES: Final = 1 << 20


def sha256_of(path: Path) -> str:
    """Return the file's SHA-256, as `sha256sum` prints it."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def git_blob_of(path: Path) -> str:
    """Return what `git hash-object` prints: the SHA-1 of "blob", the size, a zero byte and the content."""
    with path.open("rb") as content:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        while chunk := content.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def mismatch(path: Path, file: CatalogueFile) -> str | None:
    """Say in what the file differs from the catalogue's, or None where it is that file."""
    size = path.stat().st_size
    if file.bytes is not None and size != file.bytes:
        return f"has {size} bytes, expected {file.bytes}"
    for name, expected, actual_of in (
        ("SHA-256", file.sha256, sha256_of),
        ("git blob id", file.git_blob, git_blob_of),
    ):
        if expected is not None and (actual := actual_of(path)) != expected:
            return f"has the {name} {actual}, expected {expected}"
    return None
