"""Nine readers alone, and the same nine beside 91 clients that never read, in turns."""

from __future__ import annotations

import selectors
import socket
import statistics
import time
from pathlib import Path

from bench.report import Figure, percentile
from bench.scene import Model, daemon

READERS = 9
STALLED = 91
ROUNDS = 5
SECONDS = 6.0


def measure(model: Model) -> Figure:
    alone, crowded = [], []
    with daemon(model, "synthetic:shapes", {"fps": 30}) as running:
        with running.client() as client:
            client.detections(10)
        for _ in range(ROUNDS):
            alone.append(_p99_ms(running.socket_path, 0))
            crowded.append(_p99_ms(running.socket_path, STALLED))
    added_ms = statistics.median(b - a for a, b in zip(alone, crowded, strict=True))
    detail = (
        f"p99 from published to received: nine alone {statistics.median(alone):.2f} ms, with {STALLED} stalled "
        f"{statistics.median(crowded):.2f} ms; 30 fps, {ROUNDS} rounds of {SECONDS:.0f} s"
    )
    return Figure(
        f"fan-out {model.name}: p99 added by {STALLED} clients that never read", added_ms, "ms", "≤ 2", detail
    )


def _p99_ms(path: Path, stalled: int) -> float:
    """The 99th percentile over all messages of nine readers, from published to received."""
    idle = [_connect(path) for _ in range(stalled)]
    readers = [_connect(path) for _ in range(READERS)]
    selector = selectors.DefaultSelector()
    for reader in readers:
        selector.register(reader, selectors.EVENT_READ, bytearray())
    delays_ms: list[float] = []
    end = time.monotonic() + SECONDS
    while (left_s := end - time.monotonic()) > 0:
        for key, _ in selector.select(left_s):
            received_ns = time.monotonic_ns()
            key.data.extend(key.fileobj.recv(65536))  # type: ignore[union-attr]
            *lines, rest = bytes(key.data).split(b"\n")
            key.data[:] = rest
            delays_ms += [(received_ns - _published_ns(line)) / 1e6 for line in lines if b'"detections"' in line[:32]]
    for each in (*idle, *readers):
        each.close()
    return percentile(delays_ms, 99)


def _connect(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    return client


def _published_ns(line: bytes) -> int:
    return int(line.partition(b'"published_ns":')[2].partition(b",")[0])
