"""The whole of `visiond doctor`: the command line, its exit codes and JSON, and a daemon that is left in peace."""

from __future__ import annotations

import json
import os
import pty
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from doctor.conftest import Place
from harness import Daemon
from visiond.doctor.running import find_daemon
from visiond.doctor.stick_states import STICK_STATES

pytestmark = pytest.mark.slow


def run(place: Place, *arguments: str, status: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "visiond", "doctor", "-c", str(place.write()), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)
    assert status is None or done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def checks(place: Place, *arguments: str, status: int) -> dict[tuple[str, str], dict[str, Any]]:
    report = json.loads(run(place, "--json", *arguments, status=status).stdout)
    return {(check["group"], check["name"]): check for check in report["checks"]}


def table(text: str, heading: str) -> list[str]:
    """First cells of the first table under a heading of the document, without backticks."""
    section = text.split(f"{heading}\n", 1)[1]
    rows = re.findall(r"^\| (.+?) \|", section.split("\n## ", 1)[0], re.MULTILINE)
    return [row.replace("`", "") for row in rows]


@pytest.fixture
def manual(root: Path) -> str:
    return (root / "docs" / "hardware.md").read_text()


@pytest.fixture
def daemon(place: Place) -> Iterator[Daemon]:
    """One that has taken the stick and has results from it."""
    running = Daemon(place.write(), place.socket)
    try:
        with running.client() as client:
            client.until(lambda message: message["type"] == "detections" and message["engine"] == "edgetpu")
        yield running
    finally:
        if running.process.poll() is None:
            running.stop()
        print(running.log)


def test_all_well_ends_with_0_and_a_broken_part_with_1(place: Place) -> None:
    place.settings["accelerator"] = "required"
    assert run(place, status=0).stdout.startswith("daemon\n  ok      daemon: none is running at ")
    place.simulator.stick(0).unplug()
    assert "why: no Coral USB stick is plugged in as usb:0" in run(place, status=1).stdout


def test_the_json_has_the_fields_that_the_manual_tells(place: Place, manual: str) -> None:
    report = json.loads(run(place, "--json", "--exercise", "--seconds", "1").stdout)
    rows = table(manual, "## The report as JSON")[2:]
    assert list(report) == [row for row in rows if not row.startswith("checks[]")]
    fields = [row.removeprefix("checks[].") for row in rows if row.startswith("checks[]")]
    groups = {row.split()[0] for row in table(manual, "## What is checked")}
    for check in report["checks"]:
        assert list(check) == fields
        assert check["group"] in groups
        assert check["state"] in ("ok", "warn", "fail", "skipped")
        wants_remedy = check["state"] in ("warn", "fail")
        assert all(bool(check[key]) == wants_remedy for key in ("cause", "remedy")), check
        assert isinstance(check["data"], dict)
    assert {"trial", "exercise"} <= {check["group"] for check in report["checks"]}


def test_the_manual_explains_every_state_of_a_stick(manual: str) -> None:
    assert set(table(manual, "## What `visiond status` says of a stick")) == {"state", "---", *STICK_STATES}


@pytest.mark.parametrize(
    "arguments", [("--seconds", "3"), ("--exercise", "--seconds", "0"), ("--exercise", "--seconds", "nan")]
)
def test_impossible_seconds_are_a_usage_error(place: Place, arguments: tuple[str, ...]) -> None:
    assert "--seconds" in run(place, *arguments, status=64).stderr


def test_without_a_configuration_it_still_looks_at_the_machine(place: Place) -> None:
    command = [sys.executable, "-m", "visiond", "doctor", "--json", "-c", str(place.folder / "none.yaml")]
    command += ["--socket", str(place.socket)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    report = json.loads(done.stdout)
    assert (done.returncode, report["state"]) == (1, "fail")
    assert {"configuration", "usb", "library", "runtimes", "board", "clock"} <= {c["group"] for c in report["checks"]}


def test_beside_a_running_daemon_the_stick_is_asked_about_and_never_opened(place: Place, daemon: Daemon) -> None:
    creates = place.simulator.creates
    found = checks(place, status=0)
    assert found["daemon", "daemon"]["data"]["pid"] == daemon.process.pid
    assert found["daemon", "model objects"]["data"]["engine"] == "edgetpu"
    stick = found["usb", "stick usb:0"]
    assert (stick["state"], stick["data"]["state"], stick["data"]["port"]) == ("ok", "in_use", "2-1")
    assert "asked the running daemon" in stick["seen"]
    assert "asked the running daemon" in found["cameras", "front"]["seen"]
    assert found["trial", "sticks"]["state"] == "skipped"
    exercised = checks(place, "--exercise", "--seconds", "1", status=1)
    assert exercised["trial", "sticks"]["cause"] == "the daemon has the stick"
    assert exercised["trial", "sticks"]["remedy"].startswith("sudo systemctl stop visiond")
    assert place.simulator.creates == creates
    assert place.simulator.stick(0).counters().second_openers == 0
    assert daemon.process.poll() is None


def test_a_degraded_daemon_is_a_warning_with_its_reason(place: Place, daemon: Daemon) -> None:
    place.simulator.stick(0).unplug()
    with daemon.client() as client:
        client.status(lambda status: status["state"] == "degraded")
    found = checks(place, status=0)
    assert found["daemon", "daemon"]["state"] == "warn"
    assert found["daemon", "daemon"]["cause"]
    assert found["usb", "stick usb:0"]["data"]["state"] == "absent"
    assert found["usb", "stick usb:0"]["state"] == "warn"


def test_a_daemon_that_does_not_answer_counts_as_one_that_runs(place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(place.socket))
        mute.listen()
        threading.Thread(target=lambda: mute.accept()[0].close(), daemon=True).start()
        found = place.examine()
    assert found["daemon", "daemon"].state == "fail"
    assert found["trial", "sticks"].state == "skipped"
    assert place.simulator.creates == 0


def test_the_doctor_itself_loads_nothing_native(root: Path) -> None:
    """What may crash is in its children."""
    code = "import sys, visiond.doctor.examination; print({'numpy', 'cv2', 'ai_edge_litert', 'PIL'} & set(sys.modules))"
    environment = {"PYTHONPATH": str(root / "daemon")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "set()"


def test_nobody_at_the_socket_is_no_daemon(place: Place) -> None:
    assert find_daemon(place.socket) is None
    place.socket.write_text("a file")
    assert find_daemon(place.socket) is None
    assert find_daemon(place.socket / "below") is None


def test_at_a_terminal_it_asks_before_it_wants_the_stick_unplugged(place: Place) -> None:
    command = [sys.executable, "-m", "visiond", "doctor", "-c", str(place.write()), "--exercise", "--seconds", "1"]
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown, answered = b"", False
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # EIO: the other side has closed
            break
        shown += chunk
        if b"[y/N]" in shown and not answered:
            os.write(ours, b"n\n")
            answered = True
    os.close(ours)
    process.wait(30)
    assert answered
    assert "declined" in shown.decode()
