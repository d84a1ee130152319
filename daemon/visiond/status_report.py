"""`visiond status`: one status message, readable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from visiond.client import Status
from visiond.daemon_connection import daemon_connection, gone
from visiond.errors import UnavailableError

_INDENT = 18


def status(socket_path: Path, as_json: bool, out: TextIO) -> int:
    """Print the daemon's status; return 0 for ok, 1 for degraded or blind. Raises UnavailableError without a daemon."""
    message = read_status(socket_path)
    print(json.dumps(message, ensure_ascii=False) if as_json else "\n".join(report(message)), file=out, flush=True)
    return 0 if message["state"] == "ok" else 1


def read_status(socket_path: Path) -> Status:
    """Return the daemon's status of this moment, not of its last heartbeat. Raises UnavailableError."""
    newest, reason = None, None
    with daemon_connection(socket_path) as connection:
        connection.ask_status()
        connection.ping()
        for message in connection:
            if message["type"] == "status":
                newest = message
            elif message["type"] == "pong" and newest is not None:
                return newest
            elif message["type"] == "bye":
                reason = message["reason"]
    raise UnavailableError(gone(socket_path, reason))


def report(message: Status) -> Iterator[str]:
    """Return the lines for a person: the whole first, then each camera, each model, clients and clock."""
    reason = f": {message['reason']}" if message["reason"] else ""
    yield f"visiond is {message['state']}{reason}"
    yield ""
    for name, camera in message["cameras"].items():
        yield from _titled(f"camera {name}", _camera(camera))
    for name, engine in message["engines"].items():
        yield from _titled(f"model {name}", _engine(engine))
    clients = message["clients"]
    yield from _titled(
        "clients",
        [
            f"{clients['connected']} of {clients['max']} connected; {clients['refused']} refused, "
            f"{clients['closed_slow']} closed because they did not read"
        ],
    )
    clock = "wall clock synchronized" if message["wall_synced"] else "wall clock not synchronized: it may be wrong"
    yield from _titled("daemon", [f"up {_duration(message['uptime_s'])}; {clock}"])


def _titled(title: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield f"{title:<{_INDENT}} {line}"
        title = ""


def _camera(camera: Mapping[str, Any]) -> list[str]:
    size = camera["size"]
    facts = [
        camera["state"],
        f"{size[0]}x{size[1]}" if size else None,
        camera["format"],
        None if camera["fps"] is None else f"{camera['fps']:.1f} fps",
        camera["source"],
    ]
    age_ms = camera["result_age_ms"]
    dropped = "".join(f", {count} {reason}" for reason, count in camera["dropped"].items() if count)
    lines = [
        ", ".join(fact for fact in facts if fact),
        f"model {camera['model']}, " + ("no result yet" if age_ms is None else f"last result {_age(age_ms)} old"),
        f"{camera['captured']} frames: {camera['inferred']} inferred{dropped}, {camera['pending']} pending",
    ]
    skipped = ", ".join(f"{count} {reason}" for reason, count in camera["skipped"].items() if count)
    if skipped:
        lines.append(f"skipped: {skipped}")
    return lines + _trouble(camera)


def _engine(engine: Mapping[str, Any]) -> list[str]:
    running = [
        engine["state"] + (f" on {engine['engine']}" if engine["engine"] else ""),
        engine["runtime"],
        f"threads {engine['threads']}",
        f"accelerator {engine['accelerator']}" + (", degraded" if engine["degraded"] else ""),
    ]
    lines = [", ".join(fact for fact in running if fact)]
    invoke_ms, golden = engine["invoke_ms"], engine["golden"]
    if invoke_ms is not None:
        lines.append(
            f"invoke p50 {invoke_ms['p50']:.1f} ms, p99 {invoke_ms['p99']:.1f} ms; {engine['results']} results"
        )
    if golden is not None:
        lines.append(f"golden examples: {golden['passed']} reproduced, {golden['failed']} not")
        lines += golden["failures"]
    return lines + _trouble(engine)


def _trouble(part: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a camera or an engine, when it is tried again, and how often it was."""
    lines = [part["reason"]] if part["reason"] else []
    if part["retry_in_s"] is not None:
        lines.append(f"next try in {part['retry_in_s']:.1f} s")
    if part["restarts"]:
        lines.append(f"restarted {part['restarts']} times")
    return lines


def _age(age_ms: float) -> str:
    return f"{age_ms:.0f} ms" if age_ms < 1000 else _duration(age_ms / 1000)


def _duration(seconds: float) -> str:
    """Return a length of time in the two units that matter."""
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 1:
        return f"{seconds:.1f} s"
    if hours < 1:
        return f"{int(minutes)} min {int(seconds) % 60} s"
    if days < 1:
        return f"{int(hours)} h {int(minutes) % 60} min"
    return f"{int(days)} d {int(hours) % 24} h"
