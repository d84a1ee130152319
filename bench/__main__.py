"""`make bench`: every figure, side by side in one run. `make bench ARGS=latency` measures that part alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bench import (
    decode,
    fan_out,
    inspection,
    latency,
    litert_tool,
    memory,
    preprocess,
    start,
    stick,
    stick_faults,
    stick_latency,
    stick_rate,
    throughput,
)
from bench.report import Figure, print_table
from bench.scene import ASSETS, Model, models, pictures

STICK_PARTS = {"edgetpu_rate": stick_rate, "edgetpu_latency": stick_latency, "edgetpu_faults": stick_faults}
LONE_PARTS = {
    "preprocess": preprocess,
    "decode": decode,
    "inspect": inspection,
    "tool": litert_tool,
}  # that need no daemon
PARTS = ("throughput", "latency", "memory", "start", "fan_out", *LONE_PARTS, *STICK_PARTS)


def main(wanted: list[str]) -> int:
    unknown = set(wanted) - set(PARTS)
    if unknown:
        print(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 64
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    try:
        images = pictures(folder / "pictures")
        with models() as each:
            figures = [figure for part in wanted or PARTS for figure in _measure(part, each, images)]
            figures += _measure_stick([part for part in wanted or PARTS if part in STICK_PARTS])
        for part in (part for part in wanted or PARTS if part in LONE_PARTS):
            print(f"measuring {part} …", file=sys.stderr, flush=True)
            figures += LONE_PARTS[part].measure()
    finally:
        shutil.rmtree(folder)
    print_table(figures, Path("bench.json"))
    return 0


def _measure(part: str, each: list[Model], images: Path) -> list[Figure]:
    figures: list[Figure] = []
    for model in each if part not in (*LONE_PARTS, *STICK_PARTS) else []:
        print(f"measuring {part} with {model.name} …", file=sys.stderr, flush=True)
        if part == "throughput":
            figures.append(throughput.measure(model, images))
        elif part == "latency":
            figures += latency.measure(model, images)
        elif part == "memory":
            figures += memory.measure(model, images)
        elif part == "start" and model.name == "shapes":
            figures.append(start.measure(model))
        elif part == "fan_out" and model.name == "shapes":
            figures.append(fan_out.measure(model))
    return figures


def _measure_stick(wanted: list[str]) -> list[Figure]:
    """Parts on the simulated Edge TPU, whose model is of the assets."""
    if not wanted or not ASSETS.is_dir():
        return []
    figures: list[Figure] = []
    with stick.setting() as where:
        for part in wanted:
            print(f"measuring {part} …", file=sys.stderr, flush=True)
            figures += STICK_PARTS[part].measure(where)
    return figures


sys.exit(main(sys.argv[1:]))
