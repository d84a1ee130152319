"""The running daemon: whether there is one on the socket, and what it says of itself, its models and its sticks."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.client import Status
from visiond.doctor.report import Finding, State, ok, wrong
from visiond.doctor.stick_states import STICK_STATES, StickState
from visiond.errors import UnavailableError
from visiond.status_report import read_status

ASKED: Final = "asked the running daemon"
_UCRED: Final = struct.Struct("3i")
_PATIENCE_S: Final = 2.0
_SEVERITIES: Final[dict[str, State]] = {"ok": "ok", "degraded": "warn", "blind": "fail"}


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that listens; `status` is None where it says nothing to us, and `problem` why."""

    socket: Path
    pid: int | None
    status: Status | None
    problem: str | None

    @property
    def sticks(self) -> tuple[Mapping[str, Any], ...]:
        """The sticks that it owns, or tries to."""
        return () if self.status is None else tuple(self.status["edgetpus"])

    @property
    def ports(self) -> frozenset[str]:
        """The USB ports of these sticks."""
        return frozenset(stick["port"] for stick in self.sticks if stick["port"] is not None)


def find_daemon(path: Path) -> Running | None:
    """Ask whoever listens at `path`; None where nobody does. A daemon that we may not ask counts as one that runs."""
    listens, pid = _listener(path)
    if not listens:
        return None
    try:
        return Running(path, pid, read_status(path), None)
    except UnavailableError as error:
        return Running(path, pid, None, str(error))


def daemon_findings(running: Running | None, path: Path) -> Iterator[Finding]:
    """Say what it is doing, as a whole and for each model."""
    if running is None:
        yield ok("daemon", "daemon", f"none is running at {path}, so that cameras and sticks can be tried")
        return
    pid = "" if running.pid is None else f", pid {running.pid}"
    if running.status is None:
        yield wrong(
            "daemon",
            "daemon",
            "fail",
            f"one listens at {path}{pid}, and does not tell its status",
            str(running.problem),
            "sudo systemctl restart visiond, or ask as a member of the socket's group (sudo -u visiond visiond doctor)",
        )
        return
    status = running.status
    severity = _SEVERITIES.get(status["state"], "fail")
    seen = f"{status['state']}{pid}, up {status['uptime_s']:.0f} s, on {path}"
    data = {"pid": running.pid, "uptime_s": status["uptime_s"], "state": status["state"]}
    if severity == "ok":
        yield ok("daemon", "daemon", seen, **data)
    else:
        yield wrong(
            "daemon", "daemon", severity, seen, str(status["reason"]), "see what is marked warn or fail below", **data
        )
    for name, engine in status["engines"].items():
        yield _engine(name, engine)


def stick_findings(running: Running) -> Iterator[Finding]:
    """Say what the daemon knows of its sticks; nobody else touches them."""
    engines = {} if running.status is None else running.status["engines"]
    for stick in running.sticks:
        known = STICK_STATES.get(stick["state"], StickState("fail", "this version does not know that state", None))
        name = f"stick {stick['device']}"
        speed = "" if stick["speed_mbps"] is None else f", {stick['speed_mbps']:g} Mbit/s"
        where = "" if stick["port"] is None else f" at port {stick['port']}, {stick['usb_id']}{speed}"
        seen = f"{stick['state']}{where}: {known.meaning} ({ASKED})"
        data = {key: stick[key] for key in ("device", "state", "port", "usb_id", "speed_mbps", "serial", "pid")}
        if known.severity == "ok":
            yield ok("usb", name, seen, **data)
        else:
            # A stick that is not there is no failure where its models run on the CPU: as before the daemon's start.
            runs = stick["state"] == "absent" and all(engines[model]["state"] == "ready" for model in stick["models"])
            severity: State = "warn" if runs else known.severity
            cause = stick["reason"] or known.meaning
            yield wrong("usb", name, severity, seen, cause, known.remedy or "ask again in a minute", **data)
        if stick["remark"] is not None:
            cause, _, remedy = stick["remark"].partition(": ")
            yield wrong("usb", f"{name} speed", "warn", f"{stick['speed_mbps']:g} Mbit/s ({ASKED})", cause, remedy)


def _engine(name: str, engine: Mapping[str, Any]) -> Finding:
    invoke_ms = engine["invoke_ms"]
    took = "" if invoke_ms is None else f", invoke p50 {invoke_ms['p50']:.1f} ms, p99 {invoke_ms['p99']:.1f} ms"
    where = f" on {engine['engine']}" if engine["engine"] else ""
    runtime = f" with {engine['runtime']}" if engine["runtime"] else ""
    seen = f"{engine['state']}{where}{runtime}{took} ({ASKED})"
    data = {key: engine[key] for key in ("state", "engine", "degraded", "runtime", "invoke_ms", "restarts", "golden")}
    reasons = [engine["reason"] or engine["slow"]] if engine["reason"] or engine["slow"] else []
    if engine["golden"] is not None:
        reasons += engine["golden"]["failures"]
    if engine["state"] == "ready" and not engine["degraded"] and not reasons:
        return ok("daemon", f"model {name}", seen, **data)
    state: State = "warn" if engine["state"] == "ready" else "fail"
    cause = "; ".join(reasons) or "it gives no reason"
    return wrong(
        "daemon", f"model {name}", state, seen, cause, "see usb and library below; journalctl -u visiond -n 50", **data
    )


def _listener(path: Path) -> tuple[bool, int | None]:
    """Whether somebody listens there or may, and which process it is; None for what the kernel does not tell."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PATIENCE_S)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            return False, None
        except OSError:  # no permission, or its backlog is full: somebody may be there
            return True, None
        pid: int = _UCRED.unpack(probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]
        return True, pid if pid > 1 else None  # a socket that systemd has made is told as its own
