"""The package that a conversion makes: model.yaml, labels, the variants' files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from visiond.modelkit.convert.request import Request
from visiond.modelkit.fetch.checksum import sha256_of
from visiond.modelkit.fetch.recipe import section_lines
from visiond.modelkit.fetch.staging import Staging
from visiond.modelkit.package import MANIFEST

LABELS: Final = "labels.txt"


def write_package(
    staging: Staging, request: Request, files: Mapping[str, str], golden: Sequence[Mapping[str, Any]], digest: str
) -> set[str]:
    """Write model.yaml and the label file into the staging folder, and return the names that the package consists of.

    `files`: name by key of model.yaml; `golden`: its examples, pictures of which are there already; `digest` is the
    source's. Raises OSError.
    """
    names = {MANIFEST, *files.values(), *(request.file_name(variant) for variant in request.variants)}
    names |= {str(example["image"]) for example in golden}
    if request.recipe.labels is not None:
        shutil.copyfile(request.recipe.labels, staging.file(LABELS))
        names.add(LABELS)
    checksums = {key: sha256_of(staging.file(name)) for key, name in files.items()}
    staging.write(MANIFEST, "".join(f"{line}\n" for line in _lines(request, files, checksums, golden, digest)))
    return names


def source_text(request: Request, digest: str) -> str:
    """Return what model.yaml says of where the model comes from."""
    given = request.recipe.keys.source
    made = f"converted from {request.source.name} (sha256 {digest})"
    return made if given is None or given.startswith("converted from") else f"{given}; {made}"


def _lines(
    request: Request,
    files: Mapping[str, str],
    checksums: Mapping[str, str],
    golden: Sequence[Mapping[str, Any]],
    digest: str,
) -> Iterator[str]:
    keys = request.recipe.keys
    yield "# Written by `visiond models convert`. docs/package.md tells what each key means."
    yield f"name: {json.dumps(request.name)}"
    yield f"task: {keys.task}"
    yield "files:"
    for key, name in files.items():
        yield f"  {key}: {{path: {json.dumps(name)}, sha256: {json.dumps(checksums[key])}}}"
    if keys.labels is not None:
        yield f"labels: {{path: {LABELS}, offset: {keys.labels.offset}}}"
    recipe = keys.input.model_copy(update={"size": None})  # the files have it now
    recipe.model_fields_set.discard("size")
    yield from section_lines("input", recipe)
    yield from section_lines("output", keys.output)
    if keys.tolerances:
        yield f"tolerances: {json.dumps(keys.tolerances)}"
    if golden:
        yield "golden:"
        yield from (f"  - {json.dumps(example)}" for example in golden)
    if keys.license is not None:
        yield f"license: {json.dumps(keys.license)}"
    yield f"source: {json.dumps(source_text(request, digest))}"


def take_in(staging: Staging, number: int, picture: Path) -> str:
    """Copy a golden picture into the package and return its name there."""
    name = f"golden{number}{picture.suffix.lower()}"
    shutil.copyfile(picture, staging.file(name))
    return name
