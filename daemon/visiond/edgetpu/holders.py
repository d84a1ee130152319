"""Which process has a device node open or a folder locked, as far as /proc shows it to this user."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path


def node_holder(node: Path, proc: Path = Path("/proc"), first: Container[int] = ()) -> int | None:
    """Return the pid of a process that has `node` open, of those in `first` if it can be.

    None where none can be seen: without root, other users' open files cannot.
    """
    pids = sorted((int(name) for name in _names(proc) if name.isdecimal()), key=lambda pid: (pid not in first, pid))
    return next((pid for pid in pids if _has_open(proc / str(pid) / "fd", node)), None)


def lock_holder(status: os.stat_result, proc: Path = Path("/proc")) -> int | None:
    """Return the pid that holds the flock on the file or folder of `status`; None where it cannot be seen."""
    try:
        text = (proc / "locks").read_text()
    except OSError:
        return None
    return parse_lock_holder(text, os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)


def parse_lock_holder(text: str, major: int, minor: int, inode: int) -> int | None:
    """Find in the text of /proc/locks who holds a flock: `1: FLOCK  ADVISORY  WRITE 4190 00:15:1234 0 EOF`.

    Source of the form: proc(5), /proc/locks. A pid that is not of our namespace is 0 there, or -1: None.
    """
    wanted = f"{major:02x}:{minor:02x}:{inode}"
    for line in text.splitlines():
        fields = line.split()
        # Somebody who waits for the lock has `->` before FLOCK.
        if len(fields) >= 6 and fields[1] == "FLOCK" and fields[5] == wanted and fields[4].isdecimal():
            return int(fields[4]) or None
    return None


def describe(pid: int | None, proc: Path = Path("/proc")) -> str:
    """Return "process 812 (python3)". Only the name: a command line may hold a password."""
    if pid is None:
        return "a process that this user cannot see"
    try:
        name = (proc / str(pid) / "comm").read_text(errors="replace").strip()
    except OSError:
        return f"process {pid}"
    return f"process {pid} ({name})"


def _has_open(fds: Path, node: Path) -> bool:
    for name in _names(fds):
        try:
            if (fds / name).readlink() == node:
                return True
        except OSError:  # closed meanwhile
            continue
    return False


def _names(folder: Path) -> list[str]:
    """Return what is in a folder; nothing where it is gone, or somebody else's."""
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []
