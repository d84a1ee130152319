"""A test that fails while the machine stands still runs again, and no other one does."""

import os
import subprocess
import sys
from pathlib import Path

STANDS_STILL = """
import os, subprocess, sys, time

def stand_still():
    subprocess.Popen(["sh", "-c", f"kill -STOP {os.getpid()}; sleep 1; kill -CONT {os.getpid()}"])
    time.sleep(0.5)

runs = []
"""


def outcome(root: Path, folder: Path, test: str) -> str:
    """What pytest prints of it, with the hooks alone."""
    (folder / "test_it.py").write_text(STANDS_STILL + test)
    environment = {**os.environ, "PYTHONPATH": str(root / "tests"), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "stillness", "-p", "no:cacheprovider", "test_it.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)
    return done.stdout + done.stderr


def test_a_failure_while_the_machine_stood_still_is_tried_again_and_told(root: Path, tmp_path: Path) -> None:
    text = outcome(
        root,
        tmp_path,
        """
def test_timed(tmp_path):
    runs.append(tmp_path)
    if len(runs) == 1:
        stand_still()
    assert len(set(runs)) == 2, "with fixtures of its own"
""",
    )
    assert "1 passed" in text, text
    assert "stood still for 1." in text
    assert "s beside: AssertionError: with fixtures of its own" in text
    assert "test_it.py::test_timed ran again: the machine" in text


def test_a_failure_beside_no_standstill_counts_at_once(root: Path, tmp_path: Path) -> None:
    text = outcome(root, tmp_path, "def test_wrong():\n    runs.append(1)\n    assert len(runs) == 2\n")
    assert "1 failed" in text, text
    assert "ran again" not in text


def test_what_always_fails_is_failed(root: Path, tmp_path: Path) -> None:
    text = outcome(
        root, tmp_path, "def test_wrong():\n    runs.append(1)\n    stand_still()\n    assert not runs, len(runs)\n"
    )
    assert "AssertionError: 3" in text, text
    assert "1 failed" in text
