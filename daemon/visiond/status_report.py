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
    """Return the lines for a person: the whole first, then each camera, model and Edge TPU, clients and clock."""
    reason = f": {message['reason']}" if message["reason"] else ""
    yield f"visiond is {message['state']}{reason}"
    yield ""
    for name, camera in message["cameras"].items():
        yield from _titled(f"camera {name}", _camera(camera))
    for name, engine in message["engines"].items():
        yield from _titled(f"model {name}", _engine(engine))
        if len(engine["workers"]) > 1:
            for worker in engine["workers"]:
                where = "the CPU" if worker["engine"] == "cpu" else worker["name"]
                yield from _titled(f"  on {where}", _worker(worker))
    for stick in message["edgetpus"]:
        yield from _titled(f"Edge TPU {stick['device']}", _edgetpu(stick))
    if message["board"] is not None:
        yield from _titled("board", _board(message["board"]))
    clients = message["clients"]
    yield from _titled(
        "clients",
        [
            f"{clients['connected']} of {clients['max']} connected; {clients['refused']} refused, "
            f"{clients['closed_slow']} closed because they did not read"
        ],
    )
    clock = "wall clock synchronized" if message["wall_synced"] else "wall clock not synchronized: it may be wrong"
    if (last := message["reload"]) is not None:
        yield from _titled("last reload", [last["result"] + (f": {last['reason']}" if last["reason"] else "")])
    yield from _titled("daemon", [f"up {_duration(message['uptime_s'])}; {clock}"])


def _titled(title: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        yield f"{title:<{_INDENT}} {line}"
        title = ""


def _board(board: Mapping[str, Any]) -> list[str]:
    """What the machine tells of itself; off a Raspberry Pi that may be its memory alone."""
    facts = [
        None if board["temperature_c"] is None else f"{board['temperature_c']:.0f} °C",
        None if board["memory_available_mb"] is None else f"{board['memory_available_mb']} MB of memory free",
    ]
    for field, when in (("throttled", "now"), ("throttled_since_boot", "since the boot")):
        if board[field]:
            facts.append(f"{when}: {', '.join(each.replace('_', ' ') for each in board[field])}")
    return [", ".join(fact for fact in facts if fact)]


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
    if camera["remark"]:
        lines.append(camera["remark"])
    return lines + _trouble(camera)


def _engine(engine: Mapping[str, Any]) -> list[str]:
    workers = engine["workers"]
    running = [
        engine["state"] + (f" on {engine['engine']}" if engine["engine"] else ""),
        engine["runtime"],
        f"threads {engine['threads']}",
        f"accelerator {engine['accelerator']}" + (", degraded" if engine["degraded"] else ""),
        f"standby {engine['standby']}" if engine["standby"] else None,
    ]
    lines = [", ".join(fact for fact in running if fact)]
    if len(workers) > 1:  # each has lines of its own
        lines.append(f"{engine['results']} results")
    else:
        for worker in workers:
            lines += [
                fact for fact in (_work(worker), worker["runtime_why"], *_history(worker, engine["reason"])) if fact
            ]
    golden = engine["golden"]
    if golden is not None:
        counts = f"{golden['passed']} reproduced, {golden['failed']} not"
        none = "none: nothing shows that it finds what it should"
        lines.append(f"golden examples: {counts if golden['passed'] or golden['failed'] else none}")
        lines += golden["failures"]
    lines += engine["remarks"]
    troubles = [engine["reason"], engine["slow"] if engine["slow"] != engine["reason"] else None]
    return lines + [text for text in troubles if text] + (_next_try(engine) if len(workers) == 1 else [])


def _worker(worker: Mapping[str, Any]) -> list[str]:
    """One process that may serve the model: what it does, what it costs, and how it failed."""
    versions = [worker["runtime"], worker["library"]]
    facts = [worker["state"], *versions, f"pid {worker['pid']}" if worker["pid"] else None]
    lines = [", ".join(fact for fact in facts if fact), _work(worker), worker["runtime_why"], worker["reason"]]
    lines += _history(worker, worker["reason"])
    return [line for line in lines if line] + _next_try(worker)


def _work(worker: Mapping[str, Any]) -> str:
    """What its invokes take, what came of them, and the memory that it uses."""
    invoke_ms, swap_ms = worker["invoke_ms"], worker["swap_ms"]
    facts = [
        None if invoke_ms is None else f"invoke p50 {invoke_ms['p50']:.1f} ms, p99 {invoke_ms['p99']:.1f} ms",
        f"{worker['results']} results" if worker["results"] or invoke_ms is not None else None,
        None if swap_ms is None else f"{worker['swaps']} swaps of parameters, {swap_ms:.1f} ms each",
        None if worker["rss_mb"] is None else f"{worker['rss_mb']:.0f} MB",
    ]
    return "; ".join(fact for fact in facts if fact)


def _history(worker: Mapping[str, Any], told: str | None) -> list[str]:
    """How often it failed, how it did last where `told` does not say that, and what it left behind."""
    lines = []
    if worker["failures"]:
        last = worker["last_failure"]
        lines.append(f"failed {_times(worker['failures'])}" + ("" if last in (told or "") else f", last: {last}"))
    if worker["left_behind"]:
        pids = ", ".join(map(str, worker["left_behind"]))
        lines.append(f"cannot be killed, stuck in the kernel: process {pids}; unplug its device, or reboot")
    return lines


def _edgetpu(stick: Mapping[str, Any]) -> list[str]:
    """One stick: what it does, where it is plugged in, and what is to be mended."""
    speed_mbps = stick["speed_mbps"]
    facts = [
        stick["state"].replace("_", " "),
        f"port {stick['port']}" if stick["port"] else None,
        None if speed_mbps is None else f"{speed_mbps:g} Mbit/s",
        f"serial {stick['serial']}" if stick["serial"] else None,
        f"models {', '.join(stick['models'])}",
    ]
    lines = [", ".join(fact for fact in facts if fact), stick["reason"], stick["remark"]]
    return [line for line in lines if line]


def _trouble(part: Mapping[str, Any]) -> list[str]:
    """Return what is wrong, when it is tried again, and how often it was."""
    return ([part["reason"]] if part["reason"] else []) + _next_try(part)


def _next_try(part: Mapping[str, Any]) -> list[str]:
    lines = [] if part["retry_in_s"] is None else [f"next try in {part['retry_in_s']:.1f} s"]
    return lines + ([f"restarted {_times(part['restarts'])}"] if part["restarts"] else [])


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


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
