"""What `visiond doctor --bundle` collects beside its findings: texts alone, small ones, each or why it is missing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final

from visiond import __version__
from visiond.clock import boot_id, wall_synced
from visiond.config import Config, EdgeTpu
from visiond.doctor.running import find_daemon
from visiond.edgetpu.sticks import find_sticks
from visiond.modelkit.package import MANIFEST, file_problem
from visiond.yaml_source import MAX_BYTES

JOURNAL_LINES: Final = 500
KERNEL_LINES: Final = 500
MAX_CHARACTERS: Final = 1 << 20  # of one text; the newest are kept
_COMMAND_S: Final = 20.0  # a journal on a slow card takes some seconds
_UNIT: Final = ("ActiveState", "SubState", "Result", "NRestarts", "ExecMainStatus", "StatusText", "FragmentPath")
_UNIT_PROPERTIES: Final = f"--property={','.join((*_UNIT, 'DropInPaths', 'UnitFileState', 'MemoryCurrent'))}"
_ABOUT_USB: Final = re.compile(
    r"usb|xhci|dwc|uvc|video|v4l|voltage|throttl|out of memory|oom-kill|segfault|visiond", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One file of the report: what it tells, and either its text or in words why there is none."""

    name: str
    about: str
    text: str | None
    missing: str | None = None

    @property
    def line(self) -> str:
        """What the report's list of contents says of it."""
        return f"{self.name}: {self.about}" + ("" if self.missing is None else f" - MISSING: {self.missing}")


def versions() -> Evidence:
    """Program, Python, its packages, kernel and system, and what the clocks say."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:  # no os-release: not a usual system
        system = None
    facts = {
        "visiond": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "system": system,
        "host": platform.node(),
        "wall_ns": time.time_ns(),
        "wall_synced": wall_synced(),
        "monotonic_ns": time.monotonic_ns(),
        "boot_id": boot_id(),
        "packages": dict(sorted((each.name, each.version) for each in distributions())),
    }
    return Evidence("versions.json", "visiond, Python and its packages, kernel, system, clocks", _json(facts))


def status(socket: Path) -> Evidence:
    """The running daemon's own status message."""
    name, about = "status.json", "what the daemon says of itself"
    running = find_daemon(socket)
    if running is None:
        return Evidence(name, about, None, f"no daemon runs at {socket}")
    return Evidence(name, about, None if running.status is None else _json(running.status), running.problem)


def devices(config: Config | None) -> Evidence:
    """The names that udev gave to cameras, and the sticks on USB; nothing is opened."""
    edgetpu = EdgeTpu() if config is None else config.edgetpu
    links = sorted((edgetpu.dev / "v4l").glob("by-*/*"))
    facts = {
        "cameras": {str(link): str(link.resolve()) for link in links},
        "video_nodes": [str(node) for node in sorted(edgetpu.dev.glob("video*"))],
        "sticks": [asdict(stick) for stick in find_sticks(edgetpu.sysfs, edgetpu.dev)],
    }
    return Evidence("devices.json", "cameras by id and by path, Edge TPUs on USB", _json(facts))


def journal() -> Evidence:
    """The last lines that the service has logged."""
    command = ("journalctl", "--unit=visiond", f"--lines={JOURNAL_LINES}", "--no-pager", "--output=short-iso-precise")
    text, problem = _output(command)
    if text is not None and not re.search(r"^(?!-- )\S", text, re.MULTILINE):
        text, problem = None, f"it has no line of visiond that this user may read{_with_sudo()}"
    return Evidence("journal.txt", f"the last {JOURNAL_LINES} lines of the service's log", text, problem)


def unit() -> Evidence:
    """What systemd says of the service."""
    return Evidence("unit.txt", "the service's state", *_output(("systemctl", "show", "visiond", _UNIT_PROPERTIES)))


def kernel() -> Evidence:
    """What the kernel has said of USB, cameras, the supply, memory and programs that crashed."""
    text, problem = _output(("dmesg",))
    if text is not None:
        lines = [line for line in text.splitlines() if _ABOUT_USB.search(line)]
        text = "\n".join([*lines[-KERNEL_LINES:], ""])
    return Evidence("kernel.txt", "kernel messages about USB, cameras, supply, memory and crashes", text, problem)


def configurations(path: Path, config: Config | None) -> Iterator[Evidence]:
    """The configuration as it stands there and the model.yaml of each model, WITH their secrets."""
    yield _yaml("configuration/visiond.yaml", "the configuration, without secrets", path)
    if config is None:
        return
    for name in sorted(config.models.named):
        manifest = config.models.folder(name) / MANIFEST
        yield _yaml(f"configuration/models/{name}/{MANIFEST}", f"the package of model {name}", manifest)


def _yaml(name: str, about: str, path: Path) -> Evidence:
    problem = file_problem(path, MAX_BYTES)
    if problem is not None:
        return Evidence(name, about, None, problem)
    try:
        return Evidence(name, about, path.read_bytes().decode())
    except OSError as error:
        return Evidence(name, about, None, f"{path} cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        return Evidence(name, about, None, f"{path} is not UTF-8 text")


def _output(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> tuple[str | None, str | None]:
    """Run a command; return what it printed, or None and in words why there is nothing."""
    tool = shutil.which(command[0], path=environ.get("PATH"))
    if tool is None:
        return None, f"{command[0]} is not on this machine"
    try:
        done = subprocess.run(
            [tool, *command[1:]],
            capture_output=True,
            timeout=_COMMAND_S,
            env={**environ, "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return None, f"{command[0]} did not end within {_COMMAND_S:g} s"
    except OSError as error:
        return None, f"{command[0]} cannot be run: {error.strerror}"
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return None, (said[-1].rstrip(".") if said else f"{command[0]} ended with {done.returncode}") + _with_sudo()
    return done.stdout.decode(errors="replace")[-MAX_CHARACTERS:], None


def _with_sudo() -> str:
    """The remedy for whoever it may help."""
    return "" if os.geteuid() == 0 else "; try it with sudo"


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False, default=str) + "\n"
