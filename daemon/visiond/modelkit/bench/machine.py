"""The machine that measures: what must be the same, or be known to differ, when two runs are compared."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from visiond.board import Board
from visiond.modelkit.bench.report import Machine


def describe_machine(board: Board, proc: Path = Path("/proc")) -> Machine:
    """Put together what this machine tells of itself."""
    return Machine(
        name=board.model or _processor(proc) or platform.machine(),
        architecture=platform.machine(),
        cpus=os.cpu_count() or 1,
        kernel=platform.release(),
        python=platform.python_version(),
        opencv=_opencv(),
        load_1min=board.load_1min,
        temperature_c=board.temperature_c,
        throttled=None if board.throttling is None else bool(board.throttling.now),
    )


def _processor(proc: Path) -> str | None:
    """The processor's name as x86-64 and some ARM kernels tell it."""
    try:
        lines = (proc / "cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return None
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, None)


def _opencv() -> str:
    for name in ("opencv-python-headless", "opencv-python", "opencv-contrib-python-headless", "opencv-contrib-python"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "not known"
