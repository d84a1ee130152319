"""Daemons for the length of one test."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

from harness import Daemon
from visiond.cameras.scenes import still_scene

StartDaemon = Callable[..., Daemon]


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

    def start(config: dict[str, Any] | str) -> Daemon:
        number = len(started)
        path = short_folder / f"visiond{number}.yaml"
        path.write_text(config if isinstance(config, str) else json.dumps(config))  # JSON is YAML
        daemon = Daemon(path, short_folder / f"v{number}.sock")
        started.append(daemon)
        return daemon

    yield start
    for daemon in started:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()
        print(daemon.log)  # shown by pytest where the test failed


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures of 320×240 drawn by the project itself."""
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(12):
        picture, _ = still_scene(seed, (320, 240))
        cv2.imwrite(str(folder / f"{seed:02}.png"), picture)
    return folder
