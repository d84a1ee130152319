"""edgetpu_compiler: run where it is on the PATH, else the command for it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visiond.errors import DataError, NoInputError
from visiond.modelkit.compiler_log import CompilerLog, find_log, read_log

PROGRAM: Final = "edgetpu_compiler"
_PATIENCE_S: Final = 1800.0  # a large model; it has a time-out of its own, of 3 minutes, for each part


@dataclass(frozen=True, slots=True)
class Compiled:
    """`file` is what the compiler made, None where there is none: `text` says why, or what it made."""

    file: Path | None
    text: str
    log: CompilerLog | None = None


def compile_for_edgetpu(model: Path, package: Path) -> Compiled:
    """Compile an int8 model into its own folder; a failure is a sentence. `package` is where the model will be."""
    program = shutil.which(PROGRAM)
    if program is None:
        command = shlex.join([PROGRAM, "-s", "-o", str(package), str(package / model.name)])
        return Compiled(None, f"for an Edge TPU, on x86-64 where {PROGRAM} is:  {command}")
    target = model.with_name(f"{model.stem}_edgetpu.tflite")
    target.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            [program, "-s", "-o", str(model.parent), str(model)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Compiled(None, f"{program} failed: {error}; the package is without files.edgetpu")
    if done.returncode != 0 or not target.is_file():
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        return Compiled(
            None, f"{program} failed with exit code {done.returncode}: {said}; the package is without files.edgetpu"
        )
    log = _log_of(model)
    if log is None:
        return Compiled(target, f"{target.name}: compiled for the Edge TPU")
    return Compiled(target, f"{target.name}: {log.mapped} operators on the Edge TPU, {log.unmapped} on the CPU", log)


def _log_of(model: Path) -> CompilerLog | None:
    path = find_log(model)
    if path is None:
        return None
    try:
        return read_log(path)
    except (DataError, NoInputError):
        return None  # the file was made all the same; `inspect` says what of the log cannot be read
