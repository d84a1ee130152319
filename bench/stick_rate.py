"""Results per second on the simulated Edge TPU next to the device's own rate, and next to a plain loop, in turns."""

from __future__ import annotations

import statistics
import subprocess
import sys

from bench.report import Figure, spread
from bench.stick import INVOKE_MS, Setting, daemon

ROUNDS = 5
SECONDS = 4.0
CAMERAS = 4
FPS = 45


def measure(where: Setting) -> list[Figure]:
    return [_measure(where, (640, 480), "≥ 0.97"), _measure(where, (1920, 1080), "≥ 0.95")]


def _measure(where: Setting, size: tuple[int, int], bar: str) -> Figure:
    ours, plain, own = [], [], []
    for _ in range(ROUNDS):
        ours.append(_results_per_s(where, size))
        for rates, rate in zip((plain, own), _loops_per_s(where, size), strict=True):
            rates.append(rate)
    ratio = statistics.median(a / b for a, b in zip(ours, own, strict=True))
    beside = statistics.median(a / b for a, b in zip(plain, own, strict=True))
    detail = (
        f"daemon {spread(ours, '/s')}, device {spread(own, '/s')}, plain loop {beside:.3f} of it; {INVOKE_MS} ms per "
        f"invoke, {CAMERAS} cameras of {FPS} fps, {ROUNDS} rounds of {SECONDS:.0f} s"
    )
    name = f"edgetpu {size[0]}×{size[1]}: results of the device's own rate"
    return Figure(name, ratio, "ratio", bar, detail)


def _results_per_s(where: Setting, size: tuple[int, int]) -> float:
    with daemon(where, CAMERAS, size, FPS, accelerator="required") as running, running.client() as client:
        client.detections(60)
        count, first = 0, client.detections(1)[0]
        last = first
        while last["published_ns"] - first["published_ns"] < SECONDS * 1e9:
            last = client.detections(1)[0]
            count += 1
        return float(count / ((last["published_ns"] - first["published_ns"]) / 1e9))


def _loops_per_s(where: Setting, size: tuple[int, int]) -> tuple[float, float]:
    model = str(where.package / "model.tflite")
    words = ["-m", "bench.plain_loop", str(where.simulator.library), model, *map(str, size), str(SECONDS / 2)]
    printed = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=True).stdout
    plain, own = map(float, printed.split())
    return plain, own
