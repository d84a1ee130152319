"""The device under test: visiond.service as systemd runs it, its processes, its configuration, its journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

UNIT: Final = "visiond"
USER: Final = "visiond"
SOCKET: Final = Path("/run/visiond/visiond.sock")
CONFIG: Final = Path("/etc/visiond/visiond.yaml")
VISIOND: Final = "/opt/visiond/venv/bin/visiond"


@dataclass(frozen=True, slots=True)
class Held:
    """What a process holds."""

    rss_mb: float
    pss_mb: float
    fds: int
    threads: int


def systemctl(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *words], check=check, capture_output=True, text=True, timeout=90)


def show(name: str) -> str:
    """A property of the service."""
    return systemctl("show", "--property", name, "--value", UNIT).stdout.strip()


def main_pid() -> int:
    return int(show("MainPID"))


def restarts() -> int:
    """How often systemd has started it again."""
    return int(show("NRestarts"))


def tell(number: signal.Signals, pid: int | None = None) -> int:
    """Send a signal to the parent, or to `pid`; return whom."""
    pid = pid or main_pid()
    os.kill(pid, number)
    return pid


def workers(parent: int) -> dict[str, int]:
    """Process ids of the parent's children by name, such as "camera front"."""
    found = {}
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if len(words) > 3:
            found[words[3].decode()] = int(pid)
    return found


def held(pid: int) -> Held:
    """Memory, open descriptors and threads of a process."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in rollup[1:]}
    fds, threads = (len(list(Path(f"/proc/{pid}/{what}").iterdir())) for what in ("fd", "task"))
    return Held(kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024, fds, threads)


@contextmanager
def limited(what: str, most: int) -> Iterator[None]:
    """The parent's soft limit of `what` (prlimit(1)) is `most` meanwhile."""
    parent = main_pid()
    usual = _prlimit(parent, "--output=SOFT", "--noheadings", "--raw", f"--{what}")
    try:
        _prlimit(parent, f"--{what}={most}:")
        yield
    finally:
        _prlimit(parent, f"--{what}={usual}:")


def _prlimit(pid: int, *words: str) -> str:
    """As the service's user: root of a container may lack CAP_SYS_RESOURCE."""
    command = ["prlimit", f"--pid={pid}", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, user=USER, group=USER, timeout=30)
    return done.stdout.strip()


def configure(config: Mapping[str, Any]) -> None:
    """Put a configuration in place, in one step; JSON is YAML."""
    put(json.dumps(config, indent=1))


def put(text: str) -> None:
    """Put this text in place of the configuration, readable by the service."""
    new = CONFIG.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    new.rename(CONFIG)


def journal(*words: str) -> str:
    """Lines of the service's journal."""
    command = ["journalctl", "--unit", UNIT, "--no-pager", "--quiet", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=90).stdout


def gone(pids: list[int], patience_s: float = 3.0) -> bool:
    """Whether none of these processes is left within that time."""
    give_up_s = time.monotonic() + patience_s
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > give_up_s:
            return False
        time.sleep(0.01)
    return True
