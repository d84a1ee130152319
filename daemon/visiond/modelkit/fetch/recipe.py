"""The model.yaml of a fetched package: the catalogue's recipe, with the checksums of the files that came."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from pydantic import BaseModel

from visiond.modelkit.catalogue import Entry

LABELS: Final = "labels.txt"  # where the catalogue has the names themselves


def manifest_text(name: str, entry: Entry, source: str, checksums: Mapping[str, str]) -> str:
    """Return the text; `checksums`: SHA-256 by the key of the file. JSON is YAML too, and has one reading."""
    return "".join(f"{line}\n" for line in _lines(name, entry, source, checksums))


def labels_name(entry: Entry) -> str | None:
    """Return the label file's name in the package."""
    if entry.labels is None:
        return None
    return LABELS if entry.labels.file is None else entry.labels.file.name


def _lines(name: str, entry: Entry, source: str, checksums: Mapping[str, str]) -> Iterator[str]:
    yield f"# Written by `visiond models fetch {name}`. Golden examples of your own prove an engine: docs/package.md."
    yield f"name: {json.dumps(name)}"
    yield f"task: {entry.task}"
    yield "files:"
    for key, file in entry.models().items():
        yield f"  {key}: {{path: {json.dumps(file.name)}, sha256: {json.dumps(checksums[key])}}}"
    labels = labels_name(entry)
    if entry.labels is not None and labels is not None:
        yield f"labels: {{path: {json.dumps(labels)}, offset: {entry.labels.offset}}}"
    yield from section_lines("input", entry.input)
    yield from section_lines("output", entry.output)
    yield f"license: {json.dumps(entry.license)}"
    yield f"source: {json.dumps(source)}"


def section_lines(title: str, section: BaseModel) -> Iterator[str]:
    """Yield a section of model.yaml with the keys that were given."""
    yield f"{title}:"
    for key, value in section.model_dump(mode="json", exclude_unset=True).items():
        yield f"  {key}: {json.dumps(value)}"
