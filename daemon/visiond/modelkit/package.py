"""Package: a folder with model.yaml, the model's files, its labels and its golden examples."""

from __future__ import annotations

import hashlib
import importlib.util
import mmap
import os
import stat
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import PrivateAttr

from visiond.errors import ConfigError
from visiond.modelkit.consistency import contradictions
from visiond.modelkit.labels import MAX_LABEL_BYTES, Labels, parse_labels
from visiond.modelkit.manifest import Manifest, ModelFile
from visiond.yaml_source import Document, load

if TYPE_CHECKING:
    from visiond.modelkit.remark import Remark

MANIFEST: Final = "model.yaml"
EDGETPU_OPERATOR: Final = b"edgetpu-custom-op"  # what edgetpu_compiler leaves in place of the operators that it took


class Package(Manifest):
    """A model.yaml that has been read and checked, and the folder that it lies in."""

    _document: Document = PrivateAttr()

    @property
    def folder(self) -> Path:
        """Absolute folder of the package."""
        return self._document.folder

    def file(self, key: str) -> Path:
        """Return the absolute path of `files.<key>` (cpu, edgetpu or onnx); raises ConfigError when it is not given."""
        entry = self._entries().get(key)
        if entry is None:
            raise ConfigError(self._document.problem(("files", key), "is not given; add the file for this engine"))
        return self.folder / entry.path

    def cpu_file(self, runtime: str) -> str | None:
        """Return which of `files` the CPU runs, cpu or onnx, None where there is neither; `runtime`: the configured."""
        wanted = ("onnx",) if runtime == "onnx" else ("cpu", "onnx") if runtime == "auto" else ("cpu",)
        return next((key for key in wanted if key in self._entries()), None)

    def missing_files(self, accelerator: str, runtime: str) -> str | None:
        """Say which file this policy needs and the package has not, and what to do; None where all are there.

        Told at the start, for the moment of the failure is too late to learn that there is no twin.
        """
        on_cpu = self.cpu_file(runtime)
        if accelerator == "required" and self.files.edgetpu is None:
            text = "is not given, and accelerator: required needs it; add the file of edgetpu_compiler, or give prefer"
            return self._document.problem(("files", "edgetpu"), text)
        if accelerator == "required" or on_cpu is not None:
            return None
        key = "onnx" if runtime == "onnx" else "cpu"
        if runtime == "onnx":
            text = "is not given, and runtime: onnx needs it; add the file, or give runtime: auto"
        elif accelerator == "prefer":
            text = (
                "is not given, and accelerator: prefer runs it when the Edge TPU fails; add the model that "
                "files.edgetpu was compiled from, or give accelerator: required"
            )
        else:
            text = f"is not given, and accelerator: never with runtime: {runtime} needs it; add the file"
        return self._document.problem(("files", key), text)

    def missing_runtime(self, accelerator: str, runtime: str) -> str | None:
        """Say that what the CPU is to run needs ONNX Runtime, which is not installed here; None where all is well."""
        if accelerator == "required" or self.cpu_file(runtime) != "onnx" or importlib.util.find_spec("onnxruntime"):
            return None
        from visiond.engine.runtimes.installed import pip

        text = f"needs ONNX Runtime, which is not installed here: it will give no results; {pip('install onnxruntime')}"
        return self._document.problem(("files", "onnx"), text)

    def load_labels(self) -> Labels:
        """Read the label file; raises ConfigError, placed at `labels.path`. Without one, no class has a name."""
        try:
            return self._read_labels()
        except ValueError as error:
            raise ConfigError(self._document.problem("labels.path", str(error))) from error

    def verify_files(self) -> None:
        """Check each model file that is named: there, readable, of the checksum given, compiled for the right engine.

        Raises ConfigError with a line per problem. Nothing is parsed: a parser may crash, and only a worker may die.
        """
        problems = [
            self._document.problem(("files", key, field), text)
            for key, entry in self._entries().items()
            for field, text in _model_file_problems(key, entry, self.folder / entry.path)
        ]
        if problems:
            raise ConfigError("\n".join(problems))

    def golden_problems(self) -> list[str]:
        """Return a located sentence for each golden picture that is not there: the model runs, and is unproved."""
        problems = ((where, file_problem(self.folder / picture)) for where, picture in self._golden_pictures())
        return [self._document.problem(where, text) for where, text in problems if text is not None]

    @cached_property
    def identity(self) -> str:
        """What changes when the manifest or one of the model's files does; read once, when first asked for."""
        files = [(key, str(self.folder / entry.path)) for key, entry in self._entries().items()]
        stats = [(key, path, os.stat(path)) for key, path in files]  # noqa: PTH116 - one call for both
        seen = [(key, path, status.st_size, status.st_mtime_ns, status.st_ino) for key, path, status in stats]
        labels = None if self.labels is None else self.load_labels().names
        return hashlib.sha256(repr((self.model_dump_json(exclude={"tolerances"}), seen, labels)).encode()).hexdigest()

    @cached_property
    def remarks(self) -> tuple[Remark, ...]:
        """What works and is probably not meant; read from the model's files when first asked for."""
        from visiond.modelkit.lint import lint

        return tuple(lint(self))

    def remark_lines(self) -> list[str]:
        """Return the remarks as located sentences."""
        return [self._document.problem(remark.keypath, remark.text) for remark in self.remarks]

    def hello(self) -> dict[str, Any]:
        """Return what a client is told of the model; `sha256` is that of files.cpu, or of the first file there is."""
        return {"task": self.task, "sha256": self._sha256, "labels": list(self._names)}

    def _golden_pictures(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the key path and the name of each picture that the golden examples name."""
        for n, example in enumerate(self.golden):
            yield ("golden", n, "image"), example.image
            for number, expected in enumerate(example.expect):
                if expected.mask is not None:
                    yield ("golden", n, "expect", number, "mask"), expected.mask

    def _entries(self) -> dict[str, ModelFile]:
        files = {"cpu": self.files.cpu, "edgetpu": self.files.edgetpu, "onnx": self.files.onnx}
        return {key: entry for key, entry in files.items() if entry is not None}

    def _read_labels(self) -> Labels:
        """Read the label file; raises ValueError in words."""
        if self.labels is None:
            return Labels()
        path = self.folder / self.labels.path
        problem = file_problem(path, MAX_LABEL_BYTES)
        if problem is not None:
            raise ValueError(problem)
        try:
            return parse_labels(path.read_bytes(), self.labels.offset, str(path))
        except (OSError, ValueError) as error:
            raise ValueError(f"{path} cannot be used: {error}") from error

    @cached_property
    def _sha256(self) -> str:
        key, entry = next(iter(self._entries().items()))
        return entry.sha256.lower() if entry.sha256 is not None else _checksum(self.file(key))

    @cached_property
    def _names(self) -> tuple[str | None, ...]:
        return self.load_labels().names


def load_package(folder: Path) -> Package:
    """Read and check `folder`/model.yaml and its label file; model files are left to `verify_files`.

    Raises ConfigError with a line per problem, each at its place in the file.
    """
    manifest = folder / MANIFEST
    problem = file_problem(manifest)
    if problem is not None:
        raise ConfigError(f"{problem}; a model package is a folder with a {MANIFEST}")
    document = load(manifest)
    package = document.validate(Package)
    package._document = document
    problems = [document.problem(keypath, text) for keypath, text in contradictions(package, package._read_labels)]
    if problems:
        raise ConfigError("\n".join(problems))
    return package


def file_problem(path: Path, max_bytes: int | None = None) -> str | None:
    """Say why `path` is not a file that can be read, or None. It is not opened before it is known not to be a FIFO."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return f"{path} does not exist; check the path, or copy the file there"
    except NotADirectoryError:
        file = next(each for each in path.parents if os.path.lexists(each))
        return f"{file} is a file; give the folder that it lies in"
    except OSError as error:
        return f"{path} cannot be reached: {error.strerror}"
    if stat.S_ISDIR(status.st_mode):
        return f"{path} is a directory; name the file in it"
    if not stat.S_ISREG(status.st_mode):
        return f"{path} is not a regular file; put the file itself there"
    if not os.access(path, os.R_OK):
        return f"{path} cannot be read by this user; give it read permission (chmod a+r)"
    if status.st_size == 0:
        return f"{path} is empty; copy the file again"
    if max_bytes is not None and status.st_size > max_bytes:
        return f"{path} has {status.st_size} bytes; at most {max_bytes} are allowed"
    return None


def _model_file_problems(key: str, entry: ModelFile, path: Path) -> Iterator[tuple[str, str]]:
    """What is wrong with one model file, as (field, text)."""
    problem = file_problem(path)
    if problem is not None:
        yield "path", problem
        return
    try:
        actual = _checksum(path) if entry.sha256 is not None else None
        compiled = key == "cpu" and _holds(path, EDGETPU_OPERATOR)
    except OSError as error:
        yield "path", f"{path} cannot be read: {error.strerror}"
        return
    if entry.sha256 is not None and actual != entry.sha256.lower():
        yield (
            "sha256",
            f"{path} has the checksum {actual}, expected {entry.sha256.lower()}; copy the file again, or correct it",
        )
    if compiled:
        yield "path", f"{path} is compiled for the Edge TPU; give files.cpu the model that it was compiled from"


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _holds(path: Path, wanted: bytes) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(wanted) >= 0
