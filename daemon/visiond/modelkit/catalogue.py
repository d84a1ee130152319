"""Catalogue: the public models that `visiond models fetch` knows, and what each of their files must be.

models/catalogue.yaml is read like any of the project's files: strictly, every error with its line. A file is known by
its checksum and not by where it lies, so it may come from a mirror or a USB stick as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from visiond.errors import UsageError
from visiond.modelkit.manifest import InputRecipe, Inside, OutputSpec, Section, Task, Whole
from visiond.places import default_models_path
from visiond.wording import nearest
from visiond.yaml_source import load

CATALOGUE: Final = "catalogue.yaml"
MAX_FILE_BYTES: Final = 256 << 20  # no model for this chip comes near it; what is larger is something else
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"

_PINNED: Final = re.compile(r"https?://[^@\s]+/[0-9a-f]{40}/")


class Source(Section):
    """A repository at one commit."""

    address: str = Field(description="What the files' paths are appended to: ends in the commit and a slash.")

    @field_validator("address")
    @classmethod
    def _pinned(cls, address: str) -> str:
        if not _PINNED.fullmatch(address):
            raise ValueError(
                "is not pinned to a commit, give https://…/COMMIT/ with the commit's 40 hexadecimal digits"
            )
        return address


class CatalogueFile(Section):
    """One file: where it lies in its source, and what its content must be."""

    path: Inside = Field(description="Path in the source; its last part is the file's name in the package.")
    bytes: Annotated[int, Strict(), Field(gt=0, le=MAX_FILE_BYTES)] | None = Field(
        None, description="Size; left out, nobody was found who told it, and the checksum alone decides."
    )
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, title="64 hexadecimal digits, quoted", description="SHA-256 of the content."
    )
    git_blob: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = Field(
        None, title="40 hexadecimal digits, quoted", description="What `git hash-object` prints for the file."
    )
    confirmed: bool = Field(
        True, strict=True, description="False: nobody was found who publishes this checksum for this commit."
    )

    @model_validator(mode="after")
    def _one_checksum_at_least(self) -> CatalogueFile:
        if self.sha256 is None and self.git_blob is None:
            raise ValueError("has no checksum, give sha256, git_blob or both")
        return self

    @property
    def name(self) -> str:
        """The file's name in the package."""
        return PurePosixPath(self.path).name


class CatalogueFiles(Section):
    """The model for the CPU and for the Edge TPU."""

    cpu: CatalogueFile | None = Field(None, description="TFLite model for the CPU.")
    edgetpu: CatalogueFile | None = Field(None, description="The same model after edgetpu_compiler.")

    @model_validator(mode="after")
    def _one_at_least(self) -> CatalogueFiles:
        if self.cpu is None and self.edgetpu is None:
            raise ValueError("names no file, give cpu, edgetpu or both")
        return self


class CatalogueLabels(Section):
    """A label file of the source, or the names themselves."""

    file: CatalogueFile | None = Field(None, description="The label file.")
    offset: Whole = Field(0, ge=-65536, le=65536, description="class id + offset = line, counted from 0.")
    names: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] | None = Field(
        None, title="a list of names", description="For a few classes: the names, written to labels.txt."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> CatalogueLabels:
        if (self.file is None) == (not self.names):
            raise ValueError("needs one of both, give file or names")
        return self


class Entry(Section):
    """A model of the catalogue: its files, and the recipe that goes into model.yaml."""

    source: str = Field(description="One of sources.")
    task: Task = Field(description="What the model does.")
    about: str = Field(min_length=1, max_length=60, description="One line for `visiond models list`.")
    license: str = Field(min_length=1, description="Licence, as an SPDX identifier.")
    files: CatalogueFiles = Field(description="The model's files.")
    labels: CatalogueLabels | None = Field(None, description="Names of the classes.")
    input: InputRecipe = Field(description="How a picture becomes the input tensor.")
    output: OutputSpec = Field(description="How the output tensors are read.")

    def remote(self) -> Iterator[CatalogueFile]:
        """Yield each file that has to come from somewhere."""
        yield from self.models().values()
        if self.labels is not None and self.labels.file is not None:
            yield self.labels.file

    def models(self) -> dict[str, CatalogueFile]:
        """Return the model files there are, by their key in model.yaml."""
        files = {"cpu": self.files.cpu, "edgetpu": self.files.edgetpu}
        return {key: file for key, file in files.items() if file is not None}


class Catalogue(Section):
    """A whole catalogue.yaml."""

    sources: dict[Annotated[str, Field(pattern=NAME)], Source] = Field(description="Repositories, each at a commit.")
    models: dict[Annotated[str, Field(pattern=NAME)], Entry] = Field(description="Models by name.")

    @field_validator("models")
    @classmethod
    def _of_known_sources(cls, models: dict[str, Entry], info: ValidationInfo) -> dict[str, Entry]:
        for name, entry in models.items():
            if entry.source not in info.data.get("sources", {}):
                raise ValueError(f"{name} has the source {entry.source}, which is none of sources, add it there")
        return models

    def entry(self, name: str) -> Entry:
        """Return the model of that name; raises UsageError with the nearest name there is."""
        if name in self.models:
            return self.models[name]
        raise UsageError(f"the catalogue has no model '{name}'{nearest(name, list(self.models))}")

    def address(self, entry: Entry) -> str:
        """Return what the paths of this model's files are appended to."""
        return self.sources[entry.source].address


def load_catalogue(path: Path | None = None) -> Catalogue:
    """Read a catalogue, the project's own unless another is given. Raises NoInputError or ConfigError."""
    return load(default_models_path() / CATALOGUE if path is None else path).validate(Catalogue)
