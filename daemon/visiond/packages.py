"""The model packages that a configuration names, read and checked before anything starts."""

from __future__ import annotations

from visiond.config import Config
from visiond.errors import ConfigError
from visiond.modelkit.package import Package, load_package


def load_packages(config: Config) -> dict[str, Package]:
    """Return the package of each model that a camera uses, its files verified.

    Raises ConfigError with every problem of every package, each at its place in its own file.
    """
    packages: dict[str, Package] = {}
    problems: list[str] = []
    for name in sorted({camera.model for camera in config.cameras.values()}):
        try:
            packages[name] = load_package(config.models.folder(name))
            packages[name].verify_files()
            settings = config.models[name]
            if missing := packages[name].missing_files(settings.accelerator, settings.runtime):
                problems.append(missing)
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("\n".join(problems))
    return packages
