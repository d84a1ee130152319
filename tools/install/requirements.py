"""`requirements.py SETUP_CFG`: what the installer puts beside visiond, a line each, and what builds it."""

import configparser
import sys


def requirements(path: str) -> list[str]:
    """Return install_requires, the extra `tools`, and the build's own requirement, which --offline needs as a wheel."""
    settings = configparser.ConfigParser()
    settings.read(path, encoding="utf-8")
    listed = settings["options"]["install_requires"] + "\n" + settings["options.extras_require"]["tools"]
    return [*filter(None, listed.split("\n")), "setuptools>=70.1"]  # which builds wheels without the package `wheel`


if __name__ == "__main__":
    print("\n".join(requirements(sys.argv[1])))
