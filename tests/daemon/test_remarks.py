"""What works and is probably not meant: `check` and `doctor` warn of it, the daemon logs it once and shows it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Daemon, shapes_model
from visiond.cli import main
from visiond.doctor.models import read_setup

StartDaemon = Callable[..., Daemon]

SAID = ": labels.offset: names 7 classes with offset 0, and the model has 6: each may have its neighbour's name"
TO_DO = "give offset: 1 if so, or the label file of this model if this one is another's, or has a line too many"


@pytest.fixture
def config(root: Path, tmp_path: Path) -> dict[str, Any]:
    """The built-in model with a label file that has a line too many."""
    package = tmp_path / "package"
    shutil.copytree(root / "models" / "shapes", package)
    with (package / "labels.txt").open("a") as labels:
        labels.write("nothing\n")
    cameras = {"front": {"source": "synthetic:shapes", "fps": 20, "model": "shapes"}}
    return {"cameras": cameras, "models": {"shapes": shapes_model(root, package=str(package))}}


def test_check_warns_of_it_and_finds_no_error(
    config: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(json.dumps(config))
    assert main(["check", "-c", str(path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{path}: no errors\n"
    assert captured.err == f"warning: {tmp_path / 'package' / 'model.yaml'}:6:36{SAID}; {TO_DO}\n"


def test_doctor_has_it_as_a_warning_with_cause_and_remedy(config: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "v.yaml"
    path.write_text(json.dumps(config))
    (finding,) = (each for each in read_setup(path).findings if each.state != "ok")
    assert (finding.group, finding.name, finding.state) == ("models", "model shapes", "warn")
    assert str(finding.cause).endswith(SAID)
    assert finding.remedy == TO_DO


def test_a_package_that_cannot_be_used_is_told_that_and_no_more(config: dict[str, Any], tmp_path: Path) -> None:
    config["models"]["shapes"]["accelerator"] = "required"  # and there is no file for it
    path = tmp_path / "v.yaml"
    path.write_text(json.dumps(config))
    (finding,) = (each for each in read_setup(path).findings if each.state != "ok")
    assert finding.state == "fail"


def test_the_daemon_logs_it_once_and_is_ok(start_daemon: StartDaemon, config: dict[str, Any]) -> None:
    daemon = start_daemon(config)
    with daemon.client() as client:
        status = client.status(lambda message: message["state"] == "ok")
        assert status["engines"]["shapes"]["remarks"] == [f"{SAID.removeprefix(': ')}; {TO_DO}"]
        words = [sys.executable, "-m", "visiond", "reload", "--socket", str(daemon.socket_path)]
        subprocess.run(words, check=True, capture_output=True, timeout=30)
        client.status(lambda message: message["reload"] is not None)
    assert daemon.stop() == 0
    assert daemon.whole_log().count(f"model shapes: {config['models']['shapes']['package']}/model.yaml:6:36{SAID}") == 1
