"""`make bench`: every figure, side by side in one run. `make bench ARGS=latency` measures that part alone."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from bench import fan_out, latency, memory, start, throughput
from bench.report import Figure, print_table
from bench.scene import Model, models, pictures

PARTS = ("throughput", "latency", "memory", "start", "fan_out")


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
    finally:
        shutil.rmtree(folder)
    print_table(figures, Path("bench.json"))
    return 0


def _measure(part: str, each: list[Model], images: Path) -> list[Figure]:
    figures: list[Figure] = []
    for model in each:
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


sys.exit(main(sys.argv[1:]))
