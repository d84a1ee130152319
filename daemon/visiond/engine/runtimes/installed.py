"""What of a runtime is installed, told apart from what is installed and broken."""

from __future__ import annotations

import importlib
import os
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from visiond.engine.runtimes.unavailable import RuntimeUnavailable

REQUIREMENTS: Final = "/etc/visiond/requirements.txt"  # what install.sh puts into each release


def pip(arguments: str) -> str:
    """Return the command that runs pip in this program's own environment: another one's pip mends nothing here.

    In a release of install.sh it is the file from which each one is built: the next upgrade forgets what else is there.
    """
    verb, _, packages = arguments.partition(" ")
    if verb == "install" and Path(sys.prefix).resolve().parent.name == "releases":
        return (
            f"printf '%s\\n' {packages} | sudo tee -a {REQUIREMENTS}, then ./install.sh in the project's folder again"
        )
    return f"{'' if os.access(sys.prefix, os.W_OK) else 'sudo '}{sys.executable} -m pip {arguments}"


def import_runtime(module: str, name: str, remedy: str) -> Any:
    """Import `module` of the runtime called `name`; raises RuntimeUnavailable, with `remedy` where it is not there."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            raise RuntimeUnavailable(f"{name} is not installed", remedy) from error
        raise RuntimeUnavailable(f"{name} lacks the module {error.name}", "install it again with pip") from error
    except (ImportError, SystemError, AttributeError, OSError) as error:  # made for other libraries than are here
        raise RuntimeUnavailable(
            f"{name} cannot be imported ({' '.join(str(error).split())})",
            "install the one that is made for this Python and this system",
        ) from error


def version_of(distribution: str, module: Any) -> str:
    """Return the version as pip knows it, or as the module says where pip has not installed it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return str(getattr(module, "__version__", "of unknown version"))
