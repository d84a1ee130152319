"""The place of the socket: its folder, what stands there, its group, and whether this user may connect."""

from __future__ import annotations

import grp
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from visiond.daemon_connection import membership
from visiond.doctor.report import Finding, ok, wrong
from visiond.doctor.running import Running


def socket_findings(path: Path, group: str | None, running: Running | None) -> Iterator[Finding]:
    """Look at it without touching it; `group` is the configured one."""
    yield _folder(path.parent)
    yield _file(path, running)
    if group is not None:
        yield _group(group)


def _folder(folder: Path) -> Finding:
    name = "folder"
    try:
        status = folder.stat()
    except FileNotFoundError:
        if os.access(folder.parent, os.W_OK):
            return ok("socket", name, f"{folder} is not there yet; it can be made")
        return wrong(
            "socket", name, "warn", f"{folder} is not there", f"nobody has made it, and this user may not write in "
            f"{folder.parent}", f"sudo mkdir -m 750 {folder} && sudo chown $USER {folder}",
        )  # fmt: skip
    except OSError as error:
        cause = f"{folder} cannot be looked at ({error.strerror})"
        return wrong(
            "socket", name, "fail", "not known", cause, "run `sudo visiond doctor`, or join the socket's group"
        )
    seen = f"{folder}, mode {stat.S_IMODE(status.st_mode):04o}"
    if not stat.S_ISDIR(status.st_mode):
        return wrong("socket", name, "fail", seen, f"{folder} is not a folder", "give another socket.path")
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        cause = "every user may write there, and could put another socket in this one's place"
        return wrong("socket", name, "fail", seen, cause, f"sudo chmod o-w {folder}")
    return ok("socket", name, seen)


def _file(path: Path, running: Running | None) -> Finding:
    name = "socket"
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ok("socket", name, f"{path} is free")
    except OSError as error:
        cause = f"{path} cannot be looked at ({error.strerror})"
        return wrong("socket", name, "fail", "not known", cause, "join the group of its folder, then log in again")
    seen = f"{path}, mode {stat.S_IMODE(status.st_mode):04o}, group {_group_name(status.st_gid)}"
    if not stat.S_ISSOCK(status.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(status.st_mode) else "no socket"
        cause = f"{path} is {what}, and the daemon does not remove what is not its own"
        return wrong("socket", name, "fail", seen, cause, f"move it away (sudo mv {path} {path}.old)")
    if running is None:
        return ok("socket", name, f"{seen}; nobody listens: the next start of the daemon removes it", stale=True)
    if not os.access(path, os.R_OK | os.W_OK):
        cause = f"this user is not in the group {_group_name(status.st_gid)}"
        return wrong("socket", name, "fail", seen, cause, f"{membership(path)}, then log in again")
    return ok("socket", name, f"{seen}; this user may connect")


def _group(group: str) -> Finding:
    try:
        members = grp.getgrnam(group).gr_mem
    except KeyError:
        cause = f"socket.group: there is no group {group}"
        return wrong("socket", "group", "fail", "not there", cause, f"sudo groupadd --system {group}")
    return ok("socket", "group", f"{group}, members: {', '.join(members) or 'none yet'}")


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
