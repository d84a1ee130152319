"""Results per second at full speed, next to a bare invoke() loop of the same interpreter, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

from bench.report import Figure, spread
from bench.scene import Model, daemon

ROUNDS = 5
SECONDS = 4.0


def measure(model: Model, pictures: Path) -> Figure:
    """Daemon and bare loop in turns, both on one thread; the figure is the median of the rounds' ratios."""
    bare, served = [], []
    for _ in range(ROUNDS):
        served.append(_results_per_s(model, pictures))
        bare.append(_bare_per_s(model.file))
    ratio = statistics.median(a / b for a, b in zip(served, bare, strict=True))
    detail = (
        f"daemon {spread(served, '/s')}, bare loop {spread(bare, '/s')}; 1 thread, {ROUNDS} rounds of {SECONDS:.0f} s"
    )
    bar = "≥ 0.95" if model.name == "coco_ssd" else ""  # a model of a millisecond waits for the pictures' decoding
    return Figure(f"throughput {model.name}: of a bare loop's", ratio, "ratio", bar, detail)


def _results_per_s(model: Model, pictures: Path) -> float:
    with daemon(model, f"images:{pictures}?loop=1", {"fps": 0}) as running, running.client() as client:
        first = client.detections(10)[-1]
        last = first
        while last["published_ns"] - first["published_ns"] < SECONDS * 1e9:
            last = client.detections(1)[0]
        return float((last["seq"] - first["seq"]) / ((last["published_ns"] - first["published_ns"]) / 1e9))


def _bare_per_s(file: Path) -> float:
    command = [sys.executable, "-m", "bench.bare_loop", str(file), "1", str(SECONDS)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
