"""Order: one model to fetch into one folder, from the first file to the package in its place."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from visiond.errors import ConfigError, DataError, NoInputError, UnavailableError, UsageError
from visiond.modelkit.catalogue import CatalogueFile, Entry
from visiond.modelkit.fetch.checksum import mismatch, sha256_of
from visiond.modelkit.fetch.origin import Origin
from visiond.modelkit.fetch.part_file import cannot_write, size_of
from visiond.modelkit.fetch.progress import Progress
from visiond.modelkit.fetch.recipe import LABELS, manifest_text
from visiond.modelkit.fetch.staging import Staging
from visiond.modelkit.inspection_text import size_text
from visiond.modelkit.package import MANIFEST, load_package


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: the model `name` of the catalogue as a package in the folder `parent`."""

    name: str
    entry: Entry
    source: str  # the catalogue's address of it, wherever the files come from
    parent: Path

    @property
    def target(self) -> Path:
        """The package's folder."""
        return self.parent / self.name

    def deviation(self) -> str | None:
        """Say why what is in the package's place is not this package, or None where it is."""
        try:
            load_package(self.target).verify_files()
            for file in self.entry.remote():
                different = mismatch(self.target / file.name, file)
                if different is not None:
                    return f"{file.name} {different}"
        except (ConfigError, NoInputError) as error:
            return str(error).splitlines()[0]
        except OSError as error:
            return f"{error.filename}: {error.strerror}"
        return None

    def is_there(self) -> bool:
        """Whether the package is in its place already; raises UsageError where something else is."""
        if not os.path.lexists(self.target):
            return False
        different = self.deviation()
        if different is not None:
            raise UsageError(
                f"{self.target} is there and is not what the catalogue has ({different}); remove it, give another "
                "folder with --to, or --replace"
            )
        return True

    def carry_out(self, origin: Origin, progress: Progress) -> Path:
        """Bring all of it, put it in the place of what is there, and return the package's folder.

        Raises a VisiondError, and then nothing has changed there; what has come waits beside it for the same order.
        """
        try:
            with Staging(self.parent, self.name) as staging:
                self._check_room(staging)
                for file in self.entry.remote():
                    self._bring(file, staging, origin, progress)
                return self._finish(staging)
        except OSError as error:
            raise cannot_write(Path(error.filename or self.target), error) from error

    def _check_room(self, staging: Staging) -> None:
        known = [file for file in self.entry.remote() if file.bytes is not None]
        there = sum(path.stat().st_size for path in staging.folder.iterdir() if path.is_file())
        needed = sum(file.bytes or 0 for file in known) - there
        free = shutil.disk_usage(staging.folder).free
        if needed > free:
            raise UnavailableError(
                f"{self.parent} has {size_text(free)} left, and {size_text(needed)} are needed; make room there, or "
                "give another folder with --to"
            )

    def _bring(self, file: CatalogueFile, staging: Staging, origin: Origin, progress: Progress) -> None:
        """Have one verified file in the staging folder."""
        whole, part = staging.file(file.name), staging.part(file.name)
        for there in (whole, self.target / file.name):
            if there.is_file() and mismatch(there, file) is None:
                if there is not whole:
                    shutil.copyfile(there, whole)
                progress.line(f"  {file.name}: {size_text(whole.stat().st_size)}, was there")
                return
        progress.begin(file.name, file.bytes, size_of(part))
        if not (part.exists() and mismatch(part, file) is None):  # whole, and the process died before it could tell
            self._bring_part(file, part, origin, progress)
        staging.accept(file.name)
        progress.done(file.name, whole.stat().st_size, "verified")

    def _bring_part(self, file: CatalogueFile, part: Path, origin: Origin, progress: Progress) -> None:
        joined = origin.bring(file, self.name, part, progress.tell)
        different = mismatch(part, file)
        if different is not None and joined:  # pieces of two different files, it may be: once more, in one piece
            part.unlink()
            origin.bring(file, self.name, part, progress.tell)
            different = mismatch(part, file)
        if different is not None:
            part.unlink()
            raise DataError(_wrong(file, origin, different))

    def _finish(self, staging: Staging) -> Path:
        """Add what is ours, try whether it loads, and put it in its place."""
        entry = self.entry
        checksums = {key: sha256_of(staging.file(file.name)) for key, file in entry.models().items()}
        staging.write(MANIFEST, manifest_text(self.name, entry, self.source, checksums))
        names = {MANIFEST, *(file.name for file in entry.remote())}
        if entry.labels is not None and entry.labels.names:
            staging.write(LABELS, "".join(f"{name}\n" for name in entry.labels.names))
            names.add(LABELS)
        load_package(staging.folder).verify_files()
        return staging.place(names)


def _wrong(file: CatalogueFile, origin: Origin, different: str) -> str:
    doubt = "" if file.confirmed else "; that its address has it is not confirmed, see the catalogue's README"
    return (
        f"{file.name} from {origin.text} is not the catalogue's file: it {different}{doubt}; it was thrown away. Try "
        "again, or take it from elsewhere with --from"
    )
