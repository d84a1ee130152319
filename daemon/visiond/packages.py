"""The model packages that a configuration names, read and checked before anything starts."""

from __future__ import annotations

from pathlib import Path

from visiond.config import Config
from visiond.errors import ConfigError
from visiond.modelkit.package import Package, load_package
from visiond.yaml_source import load


def load_packages(config: Config, config_path: Path) -> dict[str, Package]:
    """Return the package of each model that a camera uses, its files verified.

    Raises ConfigError with every problem of every package, each at its place in its own file.
    """
    document = load(config_path)
    packages: dict[str, Package] = {}
    problems: list[str] = []
    for name in sorted({camera.model for camera in config.cameras.values()}):
        folder = config.models.folder(name)
        if not folder.is_dir():
            what = f"{folder} is not a folder; give the name of a folder in models.path, or a path with a / in it"
            problems.append(document.problem(("models", name, "package"), what))
            continue
        try:
            packages[name] = load_package(folder)
            packages[name].verify_files()
            if config.models[name].accelerator != "required":
                packages[name].file("cpu")
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return packages
