"""Daemons for the length of one test."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import pytest

import twins
from edgetpu_sim.simulator import Simulator
from harness import Daemon
from visiond.cameras.scenes import still_scene

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name (a Unix socket's path has at most 107 bytes)."""
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def start_daemon(short_folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartDaemon]:
    """Start daemons with a configuration given as data; the ones that still run are ended after the test."""
    monkeypatch.setenv("PYTHONPATH", str(root / "daemon"))
    started: list[Daemon] = []

    def start(config: dict[str, Any] | str, prefix: Sequence[str] = ()) -> Daemon:
        number = len(started)
        path = short_folder / f"visiond{number}.yaml"
        path.write_text(config if isinstance(config, str) else json.dumps(config))  # JSON is YAML
        daemon = Daemon(path, short_folder / f"v{number}.sock", prefix)
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        print(daemon.log)  # shown by pytest where the test failed


@pytest.fixture
def simulator(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A simulated Edge TPU in port 2-1, plugged in, and three empty ports; daemons started after it can drive it."""
    with Simulator(short_folder / "tpu") as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture(scope="session")
def twins_package(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Path:
    """A small classifier, compiled for the Edge TPU and not, with a golden example."""
    return twins.classifier(tmp_path_factory.mktemp("packages") / "cats", assets)


@pytest.fixture
def tpu_config(simulator: Simulator, twins_package: Path) -> TpuConfig:
    """A configuration with one camera whose model runs on the simulated Edge TPU, which answers every frame: a cat."""
    twins.answer_cat(simulator.stick(0))

    def config(cameras: int = 1, edgetpu: dict[str, Any] | None = None, **model: Any) -> dict[str, Any]:
        camera = {"source": "synthetic:still", "size": [320, 240], "fps": 20, "model": "cats"}
        names = ("front", "left", "right", "back")[:cameras]
        return {
            "cameras": {name: dict(camera) for name in names},
            "models": {"cats": {"package": str(twins_package), "threads": 1, "min_score": 0.05, **model}},
            "edgetpu": {**simulator.config(), **(edgetpu or {})},
        }

    return config


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 320×240 drawn by the project itself."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(12):
        picture, _ = still_scene(seed, (320, 240))
        cv2.imwrite(str(folder / f"{seed:02}.png"), picture)
    return folder
