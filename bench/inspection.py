"""`visiond models inspect` of the largest model in the assets, as a person calls it: from exec to its last line."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from bench.report import Figure, spread
from bench.scene import ASSETS

RUNS = 11


def measure() -> list[Figure]:
    if not ASSETS.is_dir():
        return []
    largest = max((ASSETS / "models").glob("*.tflite"), key=lambda path: path.stat().st_size)
    busiest = max((ASSETS / "models").glob("yolo*quant.tflite"), key=lambda path: path.stat().st_size)
    return [_figure(f"the largest file ({largest.stem})", largest), _figure(f"254 operators ({busiest.stem})", busiest)]


def _figure(name: str, path: Path) -> Figure:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent / "daemon")}
    seconds = []
    for _ in range(RUNS):
        began = time.monotonic()
        command = [sys.executable, "-m", "visiond", "models", "inspect", str(path)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        seconds.append(time.monotonic() - began)
    detail = f"{spread(seconds, 's')}, {path.stat().st_size / 1e6:.1f} MB, {RUNS} runs"
    return Figure(f"inspect {name}", statistics.median(seconds), "s", "≤ 1.0", detail)
