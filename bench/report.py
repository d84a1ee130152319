"""A figure with its bar, and the table of all of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number. `bar` is what it is held against: "≥ 0.95", or "" for none; `detail`: how it came about."""

    name: str
    value: float
    unit: str
    bar: str
    detail: str

    @property
    def meets(self) -> bool:
        if not self.bar:
            return True
        sign, limit = self.bar.split()
        return self.value >= float(limit) if sign == "≥" else self.value <= float(limit)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def spread(values: Sequence[float], unit: str) -> str:
    """Minimum, median and maximum, for a detail."""
    return f"{min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f} {unit} (min / median / max)"


def print_table(figures: Sequence[Figure], json_path: Path) -> None:
    """Print every figure next to its bar, and keep them as JSON."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(f"{name} {version(name)}" for name in ("ai-edge-litert", "opencv-python-headless", "numpy"))
    print(f"\n{machine}; {versions}\n")
    width = max(len(figure.name) for figure in figures)
    for figure in figures:
        mark = "" if not figure.bar else "meets" if figure.meets else "SHORT"
        print(
            f"{figure.name:<{width}}  {figure.value:9.3f} {figure.unit:<9} {figure.bar:<9} {mark:<5}  {figure.detail}"
        )
    content = {"machine": machine, "versions": versions, "figures": [{**asdict(f), "meets": f.meets} for f in figures]}
    json_path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
    print(f"\nwritten to {json_path}")
