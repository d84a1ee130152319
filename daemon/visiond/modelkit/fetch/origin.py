"""Where files come from: the catalogue's own address, a mirror, or a folder such as a USB stick.

A mirror and a folder may hold the files as the repository does, all in one place, or in packages that `fetch` made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote, urlsplit

from visiond.errors import NoInputError, UnavailableError, UsageError
from visiond.modelkit.catalogue import CatalogueFile
from visiond.modelkit.fetch.answers import Missing
from visiond.modelkit.fetch.part_file import PartFile
from visiond.modelkit.fetch.web import Patience, Tell, download

_CHUNK_BYTES: Final = 1 << 20


class Origin(Protocol):
    """Something that has files."""

    text: str  # what it is called in sentences

    def bring(self, file: CatalogueFile, model: str, part: Path, tell: Tell) -> bool:
        """Make `part` the file's content, verified by nobody yet; return whether it was joined from several pieces."""


class Web:
    """An address with the files below it; `patience`: how long a bad connection is borne."""

    def __init__(self, address: str, patience: Patience) -> None:
        self.text = address
        self._address = address if address.endswith("/") else f"{address}/"
        self._patience = patience

    def bring(self, file: CatalogueFile, model: str, part: Path, tell: Tell) -> bool:
        """Download it; raises UnavailableError or DataError, which tell what to do."""
        refusals = []
        for place in _places(file, model):
            try:
                return download(self._address + quote(place), part, file.bytes, self._patience, tell)
            except Missing as error:
                refusals.append(str(error))
        raise UnavailableError(
            f"{file.name} is not there ({'; '.join(refusals)}); check the address, or give --from with a mirror or a "
            "folder that has it"
        )


class Folder:
    """A folder with the files in it."""

    def __init__(self, folder: Path) -> None:
        if folder.exists() and not folder.is_dir():
            raise NoInputError(f"--from {folder} is a file; give the folder that it lies in")
        if not folder.is_dir():
            raise NoInputError(f"--from {folder}: there is no such folder; is the stick mounted? `lsblk` shows it")
        self.text = str(folder)
        self._folder = folder

    def bring(self, file: CatalogueFile, model: str, part: Path, tell: Tell) -> bool:
        """Copy it; raises NoInputError where the folder does not have it."""
        found = [path for path in (self._folder / place for place in _places(file, model)) if path.is_file()]
        if not found:
            raise NoInputError(f"{self._folder} has no {file.name}; fetch the model there first, with --to, or copy it")
        try:
            with found[0].open("rb") as content, PartFile(part, 0) as copy:
                while chunk := content.read(_CHUNK_BYTES):
                    copy.write(chunk)
                    tell(copy.size)
        except OSError as error:
            raise NoInputError(f"{found[0]} cannot be read: {error.strerror}; check stick and permissions") from error
        return False


def open_origin(given: str | None, address: str, patience: Patience) -> Origin:
    """Return where to take files from: what --from gives, or else the catalogue's address."""
    if given is None:
        return Web(address, patience)
    scheme, separator, _ = given.partition("://")
    if not separator:
        return Folder(Path(given))
    if scheme.lower() not in ("http", "https"):
        raise UsageError(f"--from {scheme}://…: give a folder, or an address that begins with http:// or https://")
    if "@" in given:
        raise UsageError(
            "--from: an address with a password in it shows in lists of processes; give one without, or a folder"
        )
    try:
        parts = urlsplit(given)
        usable = bool(parts.hostname and parts.hostname.encode("idna") and parts.port != 0)
    except ValueError:
        usable = False
    if not usable or not given.isprintable() or " " in given:
        raise UsageError(f"--from {given!r}: is no address; give http://HOST/FOLDER/, or a folder")
    return Web(given, patience)


def _places(file: CatalogueFile, model: str) -> list[str]:
    return list(dict.fromkeys((file.path, file.name, f"{model}/{file.name}")))
