"""The convert environment: the Python that has TensorFlow and onnx2tf, which the daemon's own never needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from visiond.errors import UnavailableError

VARIABLE: Final = "VISIOND_CONVERT_PYTHON"
SIZE_TEXT: Final = "2.6 GB, some minutes"
NEEDED: Final = ("tensorflow", "tf-keras", "onnx2tf", "onnx", "onnxruntime", "numpy", "ai-edge-litert")

_READY: Final = "ready"
_PATIENCE_S: Final = 60.0
_EXTRA: Final = re.compile(r"""\s*(?:and\s+)?extra\s*==\s*['"]convert['"]""")
_VERSIONS: Final = (
    "import json,sys; from importlib import metadata\n"
    "def of(name):\n"
    "    try: return metadata.version(name)\n"
    "    except metadata.PackageNotFoundError: return None\n"
    "print(json.dumps({name: of(name) for name in sys.argv[1:]} | {'python': sys.version.split()[0]}))"
)


@dataclass(frozen=True, slots=True)
class ConvertPython:
    """An interpreter and the versions of what it has."""

    path: Path
    versions: Mapping[str, str]


def data_home() -> Path:
    """Where `--set-up` makes the environment."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "visiond" / "convert"


def find_python() -> ConvertPython:
    """Return the convert environment's Python. Raises UnavailableError with what to do."""
    given = os.environ.get(VARIABLE)
    if given:
        return _looked_at(Path(given), f"{VARIABLE}={given}")
    if find_spec("tensorflow") is not None:
        return _looked_at(Path(sys.executable), sys.executable)
    folder = data_home()
    if (folder / _READY).is_file():
        return _looked_at(folder / "bin" / "python", str(folder))
    raise UnavailableError(
        "converting needs TensorFlow, which is not here; `visiond models convert --set-up` installs it into "
        f"{folder} ({SIZE_TEXT}), or {VARIABLE} names a Python that has it"
    )


def set_up(line: Callable[[str], None], replace: bool = False) -> Path:
    """Make the environment and return its folder; `line` is told how far it is. One that is whole stays.

    Raises UnavailableError without network, room or permission: what was half made is taken for nothing next time.
    """
    folder = data_home()
    if (folder / _READY).is_file() and not replace:
        line(f"{folder} is there and whole: nothing to do")
        return folder
    wanted = requirements()
    line(f"setting up {folder} with TensorFlow and onnx2tf ({SIZE_TEXT})")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnavailableError(
            f"{error.filename} cannot be written: {error.strerror}; set XDG_DATA_HOME to another folder"
        ) from error
    _run([sys.executable, "-m", "venv", str(folder)], "making an environment", line)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    _run([*pip, *wanted], "installing", line)
    found = _looked_at(python, str(folder))
    (folder / _READY).write_text(json.dumps(dict(found.versions)))
    return folder


def requirements() -> list[str]:
    """Return what pip is asked for: what visiond itself needs, and its extra `convert`."""
    try:
        declared = metadata.requires("visiond") or []
    except metadata.PackageNotFoundError as error:
        raise UnavailableError(
            f"this visiond is not installed, so what the environment needs is not known; run `make convert-env` in its "
            f"clone, and set {VARIABLE}"
        ) from error
    found = []
    for requirement in declared:
        name, _, marker = requirement.partition(";")
        if "extra" not in marker:
            found.append(requirement)
        elif _EXTRA.search(marker):
            rest = _EXTRA.sub("", marker).strip().removeprefix("(").removesuffix(")").strip()
            found.append(f"{name.strip()}; {rest}" if rest else name.strip())
    return found


def _looked_at(python: Path, what: str) -> ConvertPython:
    """Return it with its versions. Raises UnavailableError where it does not run or has not all."""
    remedy = f"run `visiond models convert --set-up`, or let {VARIABLE} name a Python that has it"
    try:
        done = subprocess.run(
            [str(python), "-c", _VERSIONS, *NEEDED], capture_output=True, text=True, timeout=_PATIENCE_S, check=True
        )
        versions = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"{what} is no Python that runs ({error}); {remedy}") from error
    missing = [name for name in NEEDED if versions[name] is None]
    if missing:
        raise UnavailableError(f"{what} has no {', '.join(missing)}; {remedy}")
    return ConvertPython(python, versions)


def _run(command: list[str], what: str, line: Callable[[str], None]) -> None:
    """Run a step, telling which package it is at; raises UnavailableError with its own last words."""
    last = ""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout is not None
    try:
        for said in process.stdout:
            if said.startswith(("Collecting ", "Installing ")):
                line(f"  {' '.join(said.split())[:100]}")
            if said.strip() and not said.startswith("WARNING"):
                last = " ".join(said.split())
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        process.stdout.close()
    if status != 0:
        raise UnavailableError(f"{what} failed: {last[:300]}; is there a network, and room on the disk?")
