"""Job: the child in the convert environment, from the parent's side: its messages, and its log where it fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import visiond
from visiond import errors
from visiond.errors import DataError, UnavailableError, VisiondError

# Of all that is beside this package, only it may be seen there: that environment has versions of its own.
_BOOTSTRAP: Final = """
import importlib.util, runpy, sys
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("visiond", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["visiond"] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
runpy.run_module("visiond.modelkit.convert.child", run_name="__main__")
"""
_LOG_LINES: Final = 12
_PATIENCE_S: Final = 5.0

Message = Mapping[str, Any]


class Failed(Exception):
    """It failed for a reason that only TensorFlow knows; the text says how, `log` are its last lines."""

    def __init__(self, error: VisiondError, log: list[str]) -> None:
        super().__init__(str(error))
        self.error = error
        self.log = log


def run(python: Path, order: Message, log: Path, scratch: Path, hear: Callable[[Message], None]) -> None:
    """Let the child carry out `order`, passing on its messages; its own output goes to `log`, its files to `scratch`.

    Raises the VisiondError that it tells, or Failed.
    """
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"TMPDIR": str(scratch.absolute()), "PYTHONUNBUFFERED": "1", "PYTHONNOUSERSITE": "1"}
    package = str(Path(visiond.__file__).parent)
    failed: Message | None = None
    with log.open("wb") as words:
        process = subprocess.Popen(
            [str(python), "-P", "-c", _BOOTSTRAP, package, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environment,
        )
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if line.startswith(b"{"):
                message = json.loads(line)
                if "failed" in message:
                    failed = message
                else:
                    hear(message)
        status = process.wait()
    finally:
        _end(process)
    if failed is not None and not failed.get("show_log"):
        raise _told(failed)
    if failed is not None:
        raise Failed(_told(failed), last_lines(log))
    if status != 0:
        raise Failed(_died(status), last_lines(log))


def _told(message: Message) -> VisiondError:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, VisiondError)]
    kind = next(
        (kind for kind in kinds if kind.exit_code == message["code"] and kind is not VisiondError), VisiondError
    )
    return kind(message["failed"])


def _died(status: int) -> VisiondError:
    if status == -signal.SIGKILL:
        return UnavailableError(
            "the conversion was killed, as the kernel does when memory is short; close other programs, or convert it "
            "on a larger machine"
        )
    how = f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with exit code {status}"
    return DataError(f"TensorFlow {how} while it converted this model; its last words are above")


def last_lines(log: Path) -> list[str]:
    """Return the end of what TensorFlow said."""
    lines = [line.rstrip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-_LOG_LINES:]


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait(_PATIENCE_S)
    if process.stdout is not None:
        process.stdout.close()
