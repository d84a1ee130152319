"""`program.py CHECKOUT RELEASE SITE_PACKAGES`: visiond itself into a release's environment, from what setup.cfg names.

It is Python alone, so a wheel would hold the same files; to build one takes setuptools, and a slow board a minute.
"""

from __future__ import annotations

import configparser
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

_SCRIPT = """\
#!{python}
import sys
from {module} import {function}
sys.exit({function}())
"""
_METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def main(checkout: Path, release: Path, site_packages: Path) -> None:
    """Put package, data, commands and metadata where pip would."""
    settings = configparser.ConfigParser()
    settings.read(checkout / "setup.cfg", encoding="utf-8")
    metadata = settings["metadata"]
    name, version = metadata["name"], metadata["version"]
    sources = checkout / settings["options.packages.find"]["where"]
    for file in _files(sources / name):
        _put(file, site_packages / file.relative_to(sources))
    for folder, files in settings["options.data_files"].items():
        for file in _lines(files):
            _put(checkout / file, release / folder / Path(file).name)
    for line in _lines(settings["options.entry_points"]["console_scripts"]):
        command, place = (word.strip() for word in line.split("="))
        module, function = place.split(":")
        script = release / "bin" / command
        script.write_text(_SCRIPT.format(python=release / "bin" / "python", module=module, function=function))
        script.chmod(0o755)
    info = site_packages / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(_METADATA.format(name=name, version=version))
    (info / "INSTALLER").write_text("install.sh\n")


def _files(folder: Path) -> Iterator[Path]:
    """All of the package, which holds nothing but its modules and its data."""
    return (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _lines(text: str) -> list[str]:
    return list(filter(None, text.split("\n")))


def _put(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, target)  # without its mode and owner: a checkout may be anybody's


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
