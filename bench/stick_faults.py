"""How long a client that stays connected sees nothing when the Edge TPU fails, and what 200 failures in a row leave."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bench.report import Figure, spread
from bench.stick import Setting, daemon
from harness import Client

ROUNDS = 7
COLD_ROUNDS = 3
FAULTS = 200
WARM_UP = 30  # faults after which all that is made once, or grows to its size, has done so
KINDS = ("abort", "segv", "hang", "error", "unplug", "kill")
DEADLINE_MS = 500.0  # of an invoke that takes 7 ms: the least there is


def measure(where: Setting) -> list[Figure]:
    figures = []
    with daemon(where, 1, (640, 480), 30) as running, running.client() as client:
        _on(client, "edgetpu")
        for kind, bar in (("abort", 1000.0), ("segv", 1000.0), ("hang", DEADLINE_MS + 1000.0)):
            gaps_ms = [_gap_ms(where, client, kind) for _ in range(ROUNDS)]
            figures.append(_figure(f"edgetpu: blind after {kind}, warm twin", gaps_ms, bar))
        returns_ms, gaps_ms = zip(*(_return_ms(where, client) for _ in range(ROUNDS)), strict=True)
        figures.append(_figure("edgetpu: back in its port to first result of it", list(returns_ms), 5000.0))
        figures.append(_figure("edgetpu: gap at the return", list(gaps_ms), 500.0))
    with daemon(where, 1, (640, 480), 30, standby="cold") as running, running.client() as client:
        _on(client, "edgetpu")
        gaps_ms = [_gap_ms(where, client, kind) for kind in ("abort", "segv") for _ in range(COLD_ROUNDS)]
        figures.append(_figure("edgetpu: blind after abort or segv, cold twin", gaps_ms, 3000.0))
    return [*figures, *_soak(where)]


def _figure(name: str, values_ms: list[float], bar_ms: float) -> Figure:
    detail = f"worst of {len(values_ms)}: {spread(values_ms, 'ms')}; one camera of 30 fps, seen by a client"
    return Figure(name, max(values_ms), "ms", f"≤ {bar_ms:.0f}", detail)


def _on(client: Client, engine: str) -> dict[str, Any]:
    return client.until(lambda m: m["type"] == "detections" and m["engine"] == engine, patience_s=60)


def _gap_ms(where: Setting, client: Client, kind: str) -> float:
    """Time from the last result of the stick to the first of the CPU, as received; then wait until it is back."""
    last_ns = _on(client, "edgetpu") and client.received_ns
    where.stick.fail(kind, times=1)
    while True:
        message = client.detections(1)[0]
        if message["engine"] == "cpu":
            break
        last_ns = client.received_ns
    gap_ms = (client.received_ns - last_ns) / 1e6
    _on(client, "edgetpu")
    client.detections(30)
    return gap_ms


def _return_ms(where: Setting, client: Client) -> tuple[float, float]:
    """From plugging in to the first result of the stick, and the gap before it."""
    where.stick.unplug()
    _on(client, "cpu")
    client.status(lambda s: s["edgetpus"][0]["state"] == "absent")
    client.detections(5)
    began_ns = time.monotonic_ns()
    where.stick.plug()
    last_ns = client.received_ns
    while client.detections(1)[0]["engine"] == "cpu":
        last_ns = client.received_ns
    back_ns = client.received_ns
    client.detections(30)
    return (back_ns - began_ns) / 1e6, (back_ns - last_ns) / 1e6


def _soak(where: Setting) -> list[Figure]:
    """Failures of every kind, mixed, with a client that must stay."""
    with daemon(where, 1, (640, 480), 30) as running, running.client() as client:
        stick, pid = where.stick, running.process.pid

        def strike(kind: str) -> None:
            if kind == "unplug":
                stick.unplug()
                client.status(lambda s: s["edgetpus"][0]["state"] == "absent", patience_s=60)
                stick.plug()
            elif kind == "kill":
                os.kill(running.workers()["engine usb:0"], 9)
            else:
                stick.fail(kind, times=3 if kind == "error" else 1)

        seqs: list[int] = []
        begin: tuple[float, int, int] | None = None
        for number in range(WARM_UP + FAULTS):
            _on(client, "edgetpu")
            if number == WARM_UP:
                begin = _held(pid)
            strike(KINDS[number % len(KINDS)])
            seqs.append(_on(client, "cpu")["seq"])
        _on(client, "edgetpu")
        end = _held(pid)
        status = client.status()
    assert begin is not None
    front = status["cameras"]["camera0"]
    lost = front["captured"] - front["inferred"] - sum(front["dropped"].values()) - front["pending"]
    grown = seqs == sorted(seqs) and status["clients"]["connected"] == 1
    detail = f"{FAULTS} of {', '.join(KINDS)} in turn, after {WARM_UP}"
    detail += f"; RSS {begin[0]:.1f} → {end[0]:.1f} MB; seq goes on: {grown}"
    return [
        Figure("edgetpu soak: clients lost", 1 - status["clients"]["connected"], "clients", "≤ 0", detail),
        Figure("edgetpu soak: frames not accounted for", lost, "frames", "≤ 0", f"dropped: {front['dropped']}"),
        Figure("edgetpu soak: file descriptors, more than before", end[1] - begin[1], "fds", "≤ 0", f"{end[1]} open"),
        Figure("edgetpu soak: threads, more than before", end[2] - begin[2], "threads", "≤ 0", f"{end[2]} running"),
        Figure("edgetpu soak: RSS of the parent, more than before", end[0] - begin[0], "MB", "≤ 1", detail),
    ]


def _held(pid: int) -> tuple[float, int, int]:
    """RSS in MB, open descriptors and threads of a process."""
    words = Path(f"/proc/{pid}/statm").read_text().split()
    rss_mb = int(words[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return rss_mb, len(list(Path(f"/proc/{pid}/fd").iterdir())), len(list(Path(f"/proc/{pid}/task").iterdir()))
