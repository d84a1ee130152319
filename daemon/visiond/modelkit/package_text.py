"""`visiond models info PACKAGE`: what is in a package, as text for a person or as one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TextIO

from visiond.errors import ConfigError
from visiond.modelkit.inspection_text import size_text
from visiond.modelkit.manifest import InputRecipe
from visiond.modelkit.package import Package, load_package

_KEYS: Final = ("cpu", "edgetpu", "onnx")
_LABELS_SHOWN: Final = 8


def info(folder: Path, to_json: bool, out: TextIO) -> int:
    """Print what the package is, and what is wrong with its files; return 1 where they cannot be used as they are.

    Raises ConfigError for a model.yaml that cannot be read.
    """
    package = load_package(folder)
    problems = _problems(package)
    if to_json:
        print(json.dumps(as_json(package, problems), ensure_ascii=False, allow_nan=False), file=out)
    else:
        out.writelines(f"{line}\n" for line in text_lines(package, problems))
    return 1 if problems else 0


def as_json(package: Package, problems: list[str]) -> dict[str, Any]:
    """Everything of model.yaml as it was understood, and `bytes` of each file, `problems`, `remarks`."""
    manifest = package.model_dump(mode="json", exclude_none=True)
    for key, path in _files(package).items():
        if path.is_file():
            manifest["files"][key]["bytes"] = path.stat().st_size
    remarks = [] if problems else package.remark_lines()
    return {
        "folder": str(package.folder),
        **manifest,
        "classes": list(package.load_labels().names),
        "problems": problems,
        "remarks": remarks,
    }


def text_lines(package: Package, problems: list[str]) -> Iterator[str]:
    """Yield the lines for a person."""
    yield f"{package.name}: {package.task}, in {package.folder}"
    for key, path in _files(package).items():
        size = size_text(path.stat().st_size) if path.is_file() else "is not there"
        entry = getattr(package.files, key)
        yield f"  {key:8} {entry.path}, {size}{', checksum given' if entry.sha256 is not None else ''}"
    yield f"  labels   {_labels(package)}"
    yield f"  input    {_recipe(package.input)}"
    yield f"  output   {package.output.decoder}" + (
        f", {package.output.activation}" if package.output.activation != "none" else ""
    )
    yield f"  golden   {len(package.golden) or 'no'} example{'s' * (len(package.golden) != 1)}"
    yield f"  licence  {package.license or 'not told'}{f'; {package.source}' if package.source else ''}"
    yield from problems
    yield from (f"warning: {remark}" for remark in ([] if problems else package.remark_lines()))


def _files(package: Package) -> dict[str, Path]:
    return {key: package.file(key) for key in _KEYS if getattr(package.files, key) is not None}


def _problems(package: Package) -> list[str]:
    """What `visiond check` would say of the files."""
    try:
        package.verify_files()
    except ConfigError as error:
        return [*str(error).splitlines(), *package.golden_problems()]
    return package.golden_problems()


def _labels(package: Package) -> str:
    names = [name for name in package.load_labels().names if name is not None]
    if package.labels is None or not names:
        return "none: classes have numbers only"
    more = ", …" if len(names) > _LABELS_SHOWN else ""
    return f"{package.labels.path}, {len(names)}: {', '.join(names[:_LABELS_SHOWN])}{more}"


def _recipe(recipe: InputRecipe) -> str:
    size = "" if recipe.size is None else f"{recipe.size[0]}×{recipe.size[1]}, "
    shorter = "" if recipe.shorter_side is None else f" of {recipe.shorter_side}"
    pad = f", border {recipe.pad}" if recipe.resize == "letterbox" else ""
    means, stds = ("/".join(f"{each:g}" for each in dict.fromkeys(values)) for values in (recipe.mean, recipe.std))
    return f"{size}{recipe.resize}{shorter}, {recipe.interpolation}, {recipe.color}{pad}, mean {means}, std {stds}"
