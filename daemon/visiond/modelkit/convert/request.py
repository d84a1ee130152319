"""Request: what is to be converted, into what, by which recipe; checked before anything long begins."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond import __version__
from visiond.errors import DataError, NoInputError, UsageError
from visiond.modelkit.convert.recipe import Recipe

VARIANTS: Final = ("float32", "float16", "dynamic", "int8")
_SMALLEST_FIRST: Final = ("int8", "dynamic", "float16", "float32")
_FORMS: Final = {".keras": "keras", ".h5": "keras", ".hdf5": "keras", ".onnx": "onnx"}
_OTHERS: Final = {
    ".tflite": "is converted already; write a model.yaml for it, or give the model that it was made from",
    ".pt": "is PyTorch's; export it with torch.onnx.export, and give the .onnx file",
    ".pth": "is PyTorch's; export it with torch.onnx.export, and give the .onnx file",
    ".pb": "is a graph alone; give the folder of a SavedModel, which holds saved_model.pb and variables",
}
_CHUNK_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """`parent`/`name` is the package to be, `shipped` the variant that becomes files.cpu; `samples` pictures of
    `representative` calibrate; `dataset` is evaluated with `threads`; `golden` pictures become golden examples."""

    source: Path
    form: str
    parent: Path
    name: str
    recipe: Recipe
    representative: Path | None
    samples: int
    variants: tuple[str, ...]
    io_type: str
    shipped: str
    dataset: Path | None
    golden: tuple[Path, ...]
    threads: int
    replace: bool

    @property
    def target(self) -> Path:
        """The package's folder."""
        return self.parent / self.name

    def file_name(self, variant: str) -> str:
        """Return the variant's file in the package."""
        return f"{self.name}_{variant}.tflite"


def form_of(source: Path) -> str:
    """Return keras, savedmodel or onnx. Raises NoInputError, DataError with what to do instead."""
    if source.is_dir():
        if (source / "saved_model.pb").is_file():
            return "savedmodel"
        raise DataError(
            f"{source} is a folder without saved_model.pb; give a SavedModel, or a .keras, .h5 or .onnx file"
        )
    if not source.is_file():
        raise NoInputError(f"{source} does not exist; give a .keras, .h5 or .onnx file, or a SavedModel's folder")
    suffix = source.suffix.lower()
    if source.stat().st_size == 0:
        raise DataError(f"{source} is empty; copy it again")
    if suffix not in _FORMS:
        what = _OTHERS.get(
            suffix, "is no model that can be converted; give a .keras, .h5 or .onnx file, or a SavedModel"
        )
        raise DataError(f"{source} {what}")
    return _FORMS[suffix]


def variants_of(text: str) -> tuple[str, ...]:
    """Return the variants of a list with commas, in our order. Raises UsageError."""
    wanted = [word.strip() for word in text.split(",")]
    unknown = [word for word in wanted if word not in VARIANTS]
    if unknown:
        raise UsageError(f"--variants {text}: there is no {unknown[0]!r}; give some of {','.join(VARIANTS)}")
    return tuple(variant for variant in VARIANTS if variant in wanted)


def shipped_of(given: str | None, variants: tuple[str, ...]) -> str:
    """Return the variant that becomes files.cpu: the one given, else the one that is best on a device."""
    if given is None:
        return next(variant for variant in _SMALLEST_FIRST if variant in variants)
    if given not in variants:
        raise UsageError(f"--ship {given}: is none of --variants {','.join(variants)}; add it there, or ship another")
    return given


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file, or of a folder's names and contents."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode() if path.is_dir() else b"")
            with file.open("rb") as content:
                while chunk := content.read(_CHUNK_BYTES):
                    digest.update(chunk)
    return digest.hexdigest()


def keys_of(request: Request, source_digest: str, versions: Mapping[str, str]) -> dict[str, str]:
    """Return what makes each variant's file what it is: a finished one with the same key need not be made again.

    Representative pictures count by name, size and time of change: there may be many.
    """
    size = request.recipe.keys.input.size
    common: list[Any] = [__version__, sorted(versions.items()), source_digest, size]
    recipe = request.recipe.keys.input.model_dump(mode="json")
    calibration = [recipe, request.samples, request.io_type, _listing(request.representative)]
    return {
        variant: hashlib.sha256(
            json.dumps([*common, variant, calibration if variant == "int8" else recipe["color"]]).encode()
        ).hexdigest()
        for variant in request.variants
    }


def _listing(folder: Path | None) -> list[tuple[str, int, int]]:
    if folder is None:
        return []
    found = []
    for place, _, names in os.walk(folder):
        for name in names:
            status = os.stat(os.path.join(place, name))  # noqa: PTH116, PTH118 - of many thousands
            found.append((os.path.relpath(os.path.join(place, name), folder), status.st_size, status.st_mtime_ns))  # noqa: PTH118
    return sorted(found)
