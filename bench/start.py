"""From exec of the daemon to its first detection on the socket."""

from __future__ import annotations

import statistics
import time

from bench.report import Figure, spread
from bench.scene import Model, daemon

RUNS = 11


def measure(model: Model) -> Figure:
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        with daemon(model, "synthetic:shapes", {"fps": 30}) as running, running.client() as client:
            client.detections(1)
            seconds.append(time.monotonic() - began)
    detail = f"{spread(seconds, 's')}, {RUNS} starts, synthetic:shapes at 30 fps"
    return Figure(f"start {model.name}: exec to first detection", statistics.median(seconds), "s", "≤ 2.0", detail)
