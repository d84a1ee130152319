"""Resident memory of the parent, and of all processes together, with what they share counted once."""

from __future__ import annotations

from pathlib import Path

from bench.report import Figure
from bench.scene import Model, daemon
from harness import Daemon


def measure(model: Model, pictures: Path) -> list[Figure]:
    with daemon(model, f"images:{pictures}?loop=1", {"fps": 10, "size": [640, 480]}) as running:
        with running.client() as client:
            client.detections(50)
        parent = _rollup_mb(running.process.pid, "Rss")
        parts = {name: _rollup_mb(pid, "Pss") for name, pid in _processes(running).items()}
    detail = ", ".join(f"{name} {megabytes:.1f}" for name, megabytes in parts.items())
    return [
        Figure(f"memory {model.name}: RSS of the parent", parent, "MB", "≤ 45", "after 50 results at 10 fps"),
        Figure(f"memory {model.name}: PSS of all", sum(parts.values()), "MB", "≤ 190", detail),
    ]


def _processes(running: Daemon) -> dict[str, int]:
    return {"parent": running.process.pid, **running.workers()}


def _rollup_mb(pid: int, field: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(field)
