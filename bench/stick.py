"""A daemon on the simulated Edge TPU: COCO SSD's input, all of the model claimed, set boxes as its answer."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import twins
from bench.scene import ASSETS, ROOT, running
from edgetpu_sim.simulator import Simulator
from edgetpu_sim.stick import Stick
from harness import Daemon

INVOKE_MS = 7.0
BOXES = [(0.9, 0, (0.1, 0.1, 0.5, 0.5)), (0.8, 16, (0.3, 0.3, 0.9, 0.8)), (0.7, 17, (0.2, 0.6, 0.4, 0.9))]


@dataclass(frozen=True, slots=True)
class Setting:
    """Where everything is: the simulator, the package that it runs, and a folder for daemons."""

    simulator: Simulator
    package: Path
    folder: Path

    @property
    def stick(self) -> Stick:
        return self.simulator.stick(0)


@contextmanager
def setting() -> Iterator[Setting]:
    """A simulated stick at 7.0 ms per invoke, and COCO SSD as both twins of a package."""
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    package = twins.detector(folder / "coco_ssd", ASSETS)
    with Simulator(folder / "tpu") as simulator:
        stick = simulator.stick(0)
        stick.set_invoke_ms(INVOKE_MS)
        stick.claim("all")
        twins.answer_boxes(stick, BOXES)
        os.environ.update(simulator.environment())
        os.environ["PYTHONPATH"] = str(ROOT / "daemon")
        yield Setting(simulator, package, folder)
    shutil.rmtree(folder)


@contextmanager
def daemon(where: Setting, cameras: int, size: tuple[int, int], fps: float, **model: Any) -> Iterator[Daemon]:
    """A running daemon whose cameras offer a still picture, decoded already, so many times a second."""
    camera = {"source": "synthetic:still", "size": list(size), "fps": fps, "model": "m", "max_age_ms": 5000}
    config = {
        "cameras": {f"camera{number}": camera for number in range(cameras)},
        "models": {"m": {"package": str(where.package), "threads": 1, "min_score": 0.4, **model}},
        "edgetpu": {**where.simulator.config(), "max_backoff_s": 1.0},
    }
    with running(config, where.folder) as started:
        yield started
