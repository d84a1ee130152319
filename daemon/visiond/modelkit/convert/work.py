"""Work: what a conversion that was stopped left behind, and what of it the next run may keep."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visiond.modelkit.fetch.checksum import sha256_of

_SCRATCH: Final = "scratch"
_LOG: Final = "tensorflow.log"


class Work:
    """Files of finished variants in `folder`, each with a note beside it of what made it what it is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def log(self) -> Path:
        """What TensorFlow said."""
        return self._folder / _LOG

    def scratch(self) -> Path:
        """Return an empty folder for what only the conversion itself needs."""
        path = self._folder / _SCRATCH
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path

    def finished(self, file_name: str, key: str) -> dict[str, Any] | None:
        """Return the facts of a file that a run with this key finished, and that is as it left it; None otherwise."""
        note, file = self._note(file_name), self._folder / file_name
        try:
            told = json.loads(note.read_text())
            if told["key"] == key and file.is_file() and told["sha256"] == sha256_of(file):
                facts: dict[str, Any] = told["facts"]
                return facts
        except (OSError, ValueError, KeyError, TypeError):
            return None  # never written, or by a run that was killed in it: the file is made again
        return None

    def finish(self, file_name: str, key: str, facts: Mapping[str, Any]) -> None:
        """Note that a file is finished; raises OSError."""
        note = self._note(file_name)
        part = note.with_name(f"{note.name}.part")
        with part.open("w") as out:
            json.dump({"key": key, "sha256": sha256_of(self._folder / file_name), "facts": dict(facts)}, out)
            out.flush()
            os.fsync(out.fileno())
        part.rename(note)

    def has_finished(self) -> bool:
        """Whether there is anything that a later run may keep."""
        return any(self._folder.glob("*.done"))

    def clear(self) -> None:
        """Remove what no later run needs: everything where nothing is finished."""
        shutil.rmtree(self._folder / _SCRATCH, ignore_errors=True)
        notes = {path.name.removesuffix(".done") for path in self._folder.glob("*.done")}
        for path in self._folder.iterdir():
            if path.is_file() and path.name not in notes and path.name.removesuffix(".done") not in notes:
                path.unlink()

    def _note(self, file_name: str) -> Path:
        return self._folder / f"{file_name}.done"
