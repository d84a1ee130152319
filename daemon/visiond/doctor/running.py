"""The running daemon: whether there is one on the socket, and what it says of itself, its models and its sticks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from visiond.client import Status
from visiond.daemon_connection import SYSTEMD, listener
from visiond.doctor.report import Finding, State, ok, wrong
from visiond.doctor.stick_states import RECOMPILE, STICK_STATES, StickState, stick_reason
from visiond.doctor.usb import name_instead
from visiond.edgetpu.sticks import Stick, parse_device
from visiond.engine.served import NO_EDGETPU_FILE
from visiond.errors import UnavailableError
from visiond.status_report import read_status

ASKED: Final = "asked the running daemon"
OPENING_S: Final = 15.0  # with the worker's own start, which takes some seconds on a slow card
_SEE_USB: Final = "see usb below"
_WAIT: Final = "ask again in a minute; if it stays, unplug the stick, wait 5 s, and plug it in"
_CORRECT: Final = "correct files.cpu, the package's input: or its golden examples, and try again"
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
    listens, pid = listener(path)
    if not listens:
        return None
    pid = None if pid == SYSTEMD else pid  # it made the socket, and is not the daemon
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
        yield _engine(name, engine, [stick for stick in running.sticks if name in stick["models"]])


def stick_findings(running: Running, sticks: Sequence[Stick] = ()) -> Iterator[Finding]:
    """Say what the daemon knows of its sticks; nobody else touches them. `sticks` are those that are plugged in."""
    engines = {} if running.status is None else running.status["engines"]
    for stick in running.sticks:
        known = STICK_STATES.get(stick["state"], StickState("fail", "this version does not know that state", None))
        name = f"stick {stick['device']}"
        speed = "" if stick["speed_mbps"] is None else f", {stick['speed_mbps']:g} Mbit/s"
        where = "" if stick["port"] is None else f" at port {stick['port']}, {stick['usb_id']}{speed}"
        seen = f"{stick['state']}{where} ({ASKED})"
        data = {key: stick[key] for key in ("device", "state", "port", "usb_id", "speed_mbps", "serial", "pid")}
        workers = [w for model in stick["models"] for w in engines[model]["workers"] if w["name"] == stick["device"]]
        trouble = _trouble(stick, workers)
        if known.severity == "ok" and trouble is None:
            seen = f"{stick['state']}{where}: {known.meaning} ({ASKED})"
            yield ok("usb", name, seen, **data)
        else:
            # A stick that is not there is no failure where its models run on the CPU: as before the daemon's start.
            runs = stick["state"] == "absent" and all(engines[model]["state"] == "ready" for model in stick["models"])
            severity: State = "warn" if runs or known.severity == "ok" else known.severity
            cause, remedy = stick_reason(stick["state"], trouble or known.meaning, known.remedy or _WAIT)
            if stick["state"] == "absent":
                free = [other for other in sticks if other.port not in running.ports]
                device = parse_device(stick["device"])
                remedy = name_instead(device, stick["models"], free) or str(known.remedy)
            yield wrong("usb", name, severity, seen, cause, remedy, **data)
        if stick["remark"] is not None:
            cause, _, remedy = stick["remark"].partition(": ")
            yield wrong("usb", f"{name} speed", "warn", f"{stick['speed_mbps']:g} Mbit/s ({ASKED})", cause, remedy)


def _trouble(stick: Mapping[str, Any], workers: Sequence[Mapping[str, Any]]) -> str | None:
    """What is wrong with a stick: its own reason, else how its worker failed, else that it is long in opening."""
    for golden in (worker["golden"] for worker in workers):
        if golden is not None and golden["failed"]:
            return f"it does not reproduce the golden examples: {golden['failures'][0]}"
    if stick["reason"] is not None or stick["state"] == "in_use":
        return None if stick["reason"] is None else str(stick["reason"])
    failed = next((worker for worker in workers if worker["last_failure"] is not None), None)
    if failed is not None:
        text = str(failed["last_failure"])
        return text if stick["state"] == "failed" else f"it has failed {failed['failures']} times: {text}"
    age_s = None if stick["state"] != "opening" or stick["pid"] is None else age_of(stick["pid"])
    if age_s is not None and age_s > OPENING_S:
        return f"process {stick['pid']} has been at it for {age_s:.0f} s, and an opening takes 2 to 4 s"
    return None


def age_of(pid: int) -> float | None:
    """Seconds since that process was started, None where it has gone: proc(5), /proc/pid/stat, field 22, in ticks."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def _remedy(engine: Mapping[str, Any], sticks: Sequence[Mapping[str, Any]]) -> str:
    """Return what to do about a model that does not do well and does not say."""
    if engine["golden"] is not None and engine["golden"]["failed"]:
        return RECOMPILE if engine["engine"] == "edgetpu" else _CORRECT
    if any(stick["state"] not in ("in_use", "ready") for stick in sticks):
        return _SEE_USB
    return "journalctl -u visiond -n 50"


def _engine(name: str, engine: Mapping[str, Any], sticks: Sequence[Mapping[str, Any]]) -> Finding:
    """`sticks` are those that it runs on, or should."""
    invoke_ms = engine["invoke_ms"]
    took = "" if invoke_ms is None else f", invoke p50 {invoke_ms['p50']:.1f} ms, p99 {invoke_ms['p99']:.1f} ms"
    where = f" on {engine['engine']}" if engine["engine"] else ""
    runtime = f" with {engine['runtime']}" if engine["runtime"] else ""
    seen = f"{engine['state']}{where}{runtime}{took} ({ASKED})"
    data = {key: engine[key] for key in ("state", "engine", "degraded", "runtime", "invoke_ms", "restarts", "golden")}
    reason = (None if engine["reason"] == NO_EDGETPU_FILE else engine["reason"]) or engine["slow"]
    failures = [] if engine["golden"] is None else engine["golden"]["failures"]
    if engine["state"] == "ready" and not engine["degraded"] and not reason and not failures:
        return ok("daemon", f"model {name}", seen, **data)
    state: State = "warn" if engine["state"] == "ready" else "fail"
    remedy = _remedy(engine, sticks)
    if failures:
        cause = "; ".join([reason, *failures] if reason else failures)
    else:
        cause, own_remedy = stick_reason(engine["state"], reason or "it gives no reason", remedy)
        if remedy != _SEE_USB or own_remedy == RECOMPILE:
            remedy = own_remedy
    return wrong("daemon", f"model {name}", state, seen, cause, remedy, **data)
