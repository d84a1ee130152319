"""A short path for a socket, a server in a thread, a server in a process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from numbered_daemon import NumberedDaemon, numbered_daemon

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets, which pytest's own need not be."""
    with tempfile.TemporaryDirectory(prefix="visiond-test-") as name:
        yield Path(name)


@pytest.fixture
def path(folder: Path) -> Path:
    """Where the socket is to be."""
    return folder / "visiond.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[NumberedDaemon]:
    """A server with the limits it has in the field."""
    with numbered_daemon(path) as server:
        yield server


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start numbered_daemon.py with options, once or several times; each is ended at the end."""
    processes: list[subprocess.Popen[str]] = []

    def start_one(*options: str) -> subprocess.Popen[str]:
        script = Path(__file__).parent.parent / "numbered_daemon.py"
        process = subprocess.Popen(
            [sys.executable, str(script), str(path), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parent.parent.parent / "daemon")},
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        return process

    yield start_one
    for process in processes:
        process.kill()
        process.communicate()
