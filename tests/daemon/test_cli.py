"""The command line's contract: what each verb prints, where, and its exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from harness import Daemon, shapes_model

StartDaemon = Callable[..., Daemon]


@pytest.fixture
def visiond(root: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "visiond", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(root / "daemon"), **environment}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


Visiond = Callable[..., subprocess.CompletedProcess[str]]


def one_sentence(done: subprocess.CompletedProcess[str], code: int) -> str:
    assert done.returncode == code, done
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


@pytest.fixture
def daemon(start_daemon: StartDaemon, root: Path) -> Daemon:
    cameras = {"front": {"source": "synthetic:shapes", "fps": 20, "model": "shapes"}}
    running: Daemon = start_daemon({"cameras": cameras, "models": {"shapes": shapes_model(root)}})
    with running.client() as client:
        client.status(lambda message: message["state"] == "ok")
    return running


def test_check_accepts_the_configurations_that_the_project_ships(visiond: Visiond, root: Path) -> None:
    done = visiond("check", "-c", root / "config" / "demo.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "no errors" in done.stdout


def test_check_prints_every_error_with_its_place_and_exits_78(visiond: Visiond, tmp_path: Path) -> None:
    config = tmp_path / "visiond.yaml"
    config.write_text(
        "cameras:\n  front:\n    sorce: synthetic:shapes\n    fps: -1\n    model: shapes\nmodels:\n  shapes: {}\n"
    )
    done = visiond("check", "-c", config)
    assert done.returncode == 78
    places = [line.split(": ")[0] for line in done.stderr.splitlines()]
    assert f"{config}:3:5" in places
    assert f"{config}:4:10" in places
    assert "source" in done.stderr  # did you mean
    assert done.stdout == ""


def test_check_names_a_broken_package(visiond: Visiond, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "model.yaml").write_text("name: x\ntask: detection\n")
    config = tmp_path / "visiond.yaml"
    config.write_text(
        "cameras:\n  a: {source: 'synthetic:shapes', model: m}\n"
        "models:\n  m: {package: ./package, accelerator: never}\n"
    )
    done = visiond("check", "-c", config)
    assert done.returncode == 78
    assert str(tmp_path / "package" / "model.yaml") in done.stderr


def test_check_warns_of_golden_pictures_that_are_missing(visiond: Visiond, root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "models" / "shapes", tmp_path / "package")
    (tmp_path / "package" / "golden2.png").unlink()
    config = tmp_path / "visiond.yaml"
    config.write_text("cameras:\n  a: {source: 'synthetic:shapes', model: m}\nmodels:\n  m: {package: ./package}\n")
    done = visiond("check", "-c", config)
    assert done.returncode == 0
    assert "golden[1].image: " in done.stderr


@pytest.mark.parametrize("verb", ["check", "run"])
def test_a_missing_configuration_is_named_with_exit_66(visiond: Visiond, tmp_path: Path, verb: str) -> None:
    assert str(tmp_path / "none.yaml") in one_sentence(visiond(verb, "-c", tmp_path / "none.yaml"), 66)
    assert str(tmp_path / "env.yaml") in one_sentence(visiond(verb, VISIOND_CONFIG=str(tmp_path / "env.yaml")), 66)


@pytest.mark.parametrize("arguments", [[], ["fly"], ["watch", "--count", "many"], ["run", "--nonsense"]])
def test_a_wrong_command_line_is_told_with_exit_64(visiond: Visiond, arguments: list[str]) -> None:
    assert "--help" in one_sentence(visiond(*arguments), 64)


def test_what_a_verb_does_not_know_is_told_with_its_own_help(visiond: Visiond) -> None:
    said = one_sentence(visiond("models", "inspect", "a.tflite", "b.tflite"), 64)
    assert (
        said.strip() == "visiond models inspect: unrecognized arguments: b.tflite; see `visiond models inspect --help`"
    )
    assert "see `visiond watch --help`" in one_sentence(visiond("watch", "--bogus"), 64)


def test_schema_is_a_json_schema_that_the_shipped_configurations_meet(visiond: Visiond, root: Path) -> None:
    import yaml

    schema = json.loads(visiond("schema").stdout)
    jsonschema.Draft202012Validator.check_schema(schema)
    for path in (root / "config").glob("*.yaml"):
        jsonschema.validate(yaml.safe_load(path.read_text()), schema)


def test_without_a_daemon_status_and_watch_say_so_with_exit_69(visiond: Visiond, short_folder: Path) -> None:
    for arguments in (["status"], ["watch", "--json", "--count", 1]):
        assert str(short_folder / "no.sock") in one_sentence(
            visiond(*arguments, "--socket", short_folder / "no.sock"), 69
        )


def test_status_is_readable_and_its_exit_code_is_the_state(visiond: Visiond, daemon: Daemon) -> None:
    done = visiond("status", "--socket", daemon.socket_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok" in done.stdout
    assert "front" in done.stdout
    status: dict[str, Any] = json.loads(visiond("status", "--json", "--socket", daemon.socket_path).stdout)
    assert status["type"] == "status"
    os.kill(daemon.workers()["camera front"], signal.SIGSTOP)
    with daemon.client() as client:
        client.status(lambda message: message["state"] == "blind")
        done = visiond("status", "--socket", daemon.socket_path)
    assert done.returncode == 1
    assert "blind" in done.stdout


def test_watch_gives_json_lines_or_a_table(visiond: Visiond, daemon: Daemon) -> None:
    done = visiond("watch", "--json", "--count", 3, "--camera", "front", "--socket", daemon.socket_path)
    assert done.returncode == 0
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    assert [message["camera"] for message in messages if message["type"] == "detections"] == ["front"] * 3
    done = visiond("watch", "--count", 3, "--socket", daemon.socket_path)
    assert done.returncode == 0
    assert "front" in done.stdout


def test_watch_into_head_ends_quietly(root: Path, daemon: Daemon) -> None:
    command = (
        f"{sys.executable} -m visiond watch --json --socket {daemon.socket_path} | head -1; echo ${{PIPESTATUS[0]}}"
    )
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    line, code = done.stdout.splitlines()
    assert json.loads(line)["type"] == "detections"
    assert (code, done.stderr) == ("0", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [["schema"], ["--help"], ["models", "list"], ["models", "info", "{root}/models/shapes"], ["doctor"]]
)
def test_an_output_that_is_full_is_a_sentence(root: Path, arguments: list[str], unbuffered: str) -> None:
    command = [sys.executable, "-m", "visiond", *(each.replace("{root}", str(root)) for each in arguments)]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon"), "PYTHONUNBUFFERED": unbuffered}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, timeout=60, check=False
        )
    text = one_sentence(done, 69)
    assert text.startswith("the output cannot be written: No space left on device; make room there")


def test_an_empty_socket_path_is_a_usage_error(visiond: Visiond, root: Path) -> None:
    assert "--socket" in one_sentence(visiond("run", "-c", root / "config" / "demo.yaml", "--socket", ""), 64)


def test_a_hang_up_does_not_reach_the_workers(daemon: Daemon) -> None:
    workers = daemon.workers()
    for pid in (*workers.values(), daemon.process.pid):
        os.kill(pid, signal.SIGHUP)
    with daemon.client() as client:
        client.detections(3)
    assert daemon.workers() == workers


def test_cameras_says_what_is_here_or_what_to_check(visiond: Visiond) -> None:
    done, as_json = visiond("cameras"), visiond("cameras", "--json")
    assert done.returncode == as_json.returncode
    if done.returncode == 0:
        assert all(json.loads(line)["source"] in done.stdout for line in as_json.stdout.splitlines())
    else:
        assert (done.returncode, as_json.stdout) == (69, "")
        assert "no camera found" in done.stdout


def test_a_second_daemon_ends_with_75_and_leaves_the_first_alone(visiond: Visiond, daemon: Daemon) -> None:
    config = daemon.log_path.with_suffix(".yaml")
    text = one_sentence(visiond("run", "-c", config, "--socket", daemon.socket_path), 75)
    assert f"pid {daemon.process.pid}" in text
    with daemon.client() as client:
        client.detections(2)


def test_the_demo_shows_detections_and_ends_by_itself(root: Path, tmp_path: Path) -> None:
    """What `make run SECONDS=4` does, with `visiond` on the PATH."""
    (tmp_path / "visiond").write_text(f'#!/bin/sh\nexec {sys.executable} -m visiond "$@"\n')
    (tmp_path / "visiond").chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon"), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", str(root / "examples" / "demo.sh"), "4"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 0, done
    socket_path = re.search(r"its socket is (\S+)", done.stdout)
    assert socket_path is not None
    assert not Path(socket_path[1]).parent.exists()
    names = (root / "models" / "shapes" / "labels.txt").read_text().split()
    assert any(name in done.stdout for name in names)
