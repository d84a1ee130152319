"""What no single key of the configuration shows: a model that nobody named, a package that is not there.

This works on the file's plain values, so that it finds its part even where other keys are wrong: all problems at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from visiond.cameras.address import absolute
from visiond.config_values import check_name
from visiond.places import default_models_path
from visiond.wording import nearest, quoted
from visiond.yaml_source import Document

RESERVED = "path"  # the key of `models` that is no model

_MAX_PATH: Final = 4096  # PATH_MAX: a path that is cut short cannot be looked for


def report_contradictions(document: Document) -> None:
    """Note on the document each contradiction between its keys."""
    cameras, models = _group(document.data, "cameras"), _group(document.data, "models")
    names = [name for name in models if name != RESERVED]
    for name in names:
        _report_model(document, name, models)
    for camera in cameras:
        wanted = _group(cameras, camera).get("model")
        if isinstance(wanted, str) and names and wanted not in names:
            document.report(("cameras", camera, "model"), f"no model has this name{nearest(wanted, names)}")
    if isinstance(document.data.get("models"), Mapping) and not names:
        document.report(("models",), "names no model, give at least one beside path", at_key=True)


def _report_model(document: Document, name: str, models: Mapping[str, Any]) -> None:
    try:
        check_name(name)
    except ValueError as error:
        document.report(("models", name), str(error), at_key=True)
    package = _group(models, name).get("package")
    if not isinstance(package, str) or not package:
        return
    path = models.get(RESERVED)
    try:
        packages = absolute(path, document.folder) if isinstance(path, str) else default_models_path()
        folder = absolute(package, document.folder) if "/" in package else packages / package
        if folder.is_dir():
            return
    except ValueError:
        return  # a ~ that leads nowhere; the path's own check tells it
    except OSError as error:
        document.report(("models", name, "package"), f"cannot be looked at ({error.strerror}), give another path")
        return
    shown = quoted(package, _MAX_PATH)
    text = f"{shown} is not a folder, seen from {document.folder}: give the path of a model package"
    if "/" not in package:
        looked_in = quoted(path) if isinstance(path, str) else packages
        text = f"there is no such package in {looked_in}{nearest(package, _packages_in(packages))}"
    document.report(("models", name, "package"), text)


def _packages_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if (entry / "model.yaml").is_file())
    except OSError:
        return []


def _group(mapping: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the keys and values under a key, nothing where they are something else: the model says so itself."""
    found = mapping.get(key)
    return found if isinstance(found, Mapping) else {}
