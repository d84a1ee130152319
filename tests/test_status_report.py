"""`visiond status`: what a technician reads first."""

import grp
import io
import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from numbered_daemon import edgetpu, numbered_daemon, worker
from numbered_daemon import status as made_up_status
from visiond.client import Status
from visiond.errors import UnavailableError
from visiond.status_report import report, status


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="visiond-test-") as folder:
        yield Path(folder) / "visiond.sock"


def lines(state: str, reason: str | None = None) -> list[str]:
    return list(
        report(cast(Status, made_up_status(state, reason, {"connected": 3, "max": 8, "refused": 1, "closed_slow": 2})))
    )


def test_a_daemon_that_is_well() -> None:
    assert (
        "\n".join(lines("ok"))
        == """\
visiond is ok

camera front       streaming, 640x480, BGR, 30.0 fps, synthetic:shapes
                   model objects, last result 33 ms old
                   103 frames: 100 inferred, 2 superseded, 1 pending
                   skipped: 4 unreadable
camera rear        streaming, 640x480, BGR, 30.0 fps, synthetic:shapes
                   model objects, last result 33 ms old
                   103 frames: 100 inferred, 2 superseded, 1 pending
                   skipped: 4 unreadable
model objects      ready on cpu, LiteRT 2.3.0, threads 2, accelerator never
                   invoke p50 8.1 ms, p99 9.9 ms; 100 results; 84 MB
                   auto: the first choice for this model
                   golden examples: 2 reproduced, 0 not
clients            3 of 8 connected; 1 refused, 2 closed because they did not read
daemon             up 2 h 14 min; wall clock not synchronized: it may be wrong"""
    )


def test_a_daemon_that_is_blind_says_why_and_what_happens_next() -> None:
    told = lines("blind", "camera rear is lost: it was unplugged")
    assert told[0] == "visiond is blind: camera rear is lost: it was unplugged"
    rear = told[told.index(next(line for line in told if line.startswith("camera rear"))) :]
    assert rear[0] == "camera rear        lost, 640x480, BGR, 30.0 fps, synthetic:shapes"
    assert rear[1].strip() == "model objects, no result yet"
    assert [line.strip() for line in rear[4:7]] == ["it was unplugged", "next try in 2.5 s", "restarted 3 times"]


def test_golden_examples_that_fail_are_told_with_their_numbers() -> None:
    message = made_up_status("degraded", "1 golden examples are not reproduced")
    message["engines"]["objects"]["golden"] = {"passed": 1, "failed": 1, "failures": ["cat.jpg: cat 0.31, wanted 0.6"]}
    message["engines"]["objects"].update(degraded=True, accelerator="prefer")
    told = "\n".join(report(cast(Status, message)))
    assert "golden examples: 1 reproduced, 1 not\n                   cat.jpg: cat 0.31, wanted 0.6" in told
    assert "accelerator prefer, degraded" in told


def test_without_golden_examples_it_is_said_that_nothing_is_proved() -> None:
    message = made_up_status("ok", None)
    message["engines"]["objects"]["golden"] = {"passed": 0, "failed": 0, "failures": []}
    assert "golden examples: none: nothing shows" in "\n".join(report(cast(Status, message)))


DIED = "the process died of SIGABRT, its last words: F usb_driver.cc:857] transfer on tag 2 failed"


def parts(message: dict[str, Any], *titles: str) -> str:
    """The lines from the first of these titles to the last one's end."""
    found, wanted = [], False
    for line in report(cast(Status, message)):
        if line[:1].strip() or line.startswith("  on "):
            wanted = line.startswith(titles)
        if wanted:
            found.append(line)
    return "\n".join(found)


def test_a_model_on_its_cpu_twin_shows_both_workers_and_the_stick() -> None:
    message = made_up_status("degraded", "engine objects: runs on the CPU")
    gone = dict.fromkeys(("runtime", "runtime_why", "invoke_ms", "pid", "rss_mb", "golden"))
    tpu = worker(name="usb:0", engine="edgetpu", state="failed", reason=DIED, last_failure=DIED, failures=2, **gone)
    tpu.update(retry_in_s=1.5, restarts=1, results=812)
    twin = worker(name="objects on the CPU", failures=1, last_failure="killed: the engine hangs")
    reason = f"runs on the CPU: usb:0: {DIED}"
    message["engines"]["objects"].update(
        accelerator="prefer", degraded=True, standby="warm", results=912, reason=reason, workers=[tpu, twin]
    )
    message["edgetpus"] = [
        edgetpu(state="needs_replug", reason="unplug the Coral stick", remark="480 Mbit/s", pid=None)
    ]
    assert (
        parts(message, "model ", "  on ", "Edge TPU ")
        == f"""\
model objects      ready on cpu, LiteRT 2.3.0, threads 2, accelerator prefer, degraded, standby warm
                   912 results
                   golden examples: 2 reproduced, 0 not
                   {reason}
  on usb:0         failed
                   812 results
                   {DIED}
                   failed 2 times
                   next try in 1.5 s
                   restarted once
  on the CPU       ready, LiteRT 2.3.0, pid 4242
                   invoke p50 8.1 ms, p99 9.9 ms; 100 results; 84 MB
                   auto: the first choice for this model
                   failed once, last: killed: the engine hangs
Edge TPU usb:0     needs replug, port 2-1, 5000 Mbit/s, models objects
                   unplug the Coral stick
                   480 Mbit/s"""
    )


def test_what_swaps_of_parameters_cost_and_what_cannot_be_killed() -> None:
    message = made_up_status("degraded", "engine objects: slow")
    slow = "an invoke on usb:0 takes 17 ms, 2.1 times as long as at first"
    tpu = worker(
        name="usb:0", engine="edgetpu", swaps=40, swap_ms=3.14, left_behind=[33, 34], library="RuntimeVersion(14)"
    )
    message["engines"]["objects"].update(engine="edgetpu", accelerator="required", slow=slow, workers=[tpu])
    told = parts(message, "model ")
    assert "100 results; 40 swaps of parameters, 3.1 ms each; 84 MB\n" in told
    assert "cannot be killed, stuck in the kernel: process 33, 34; unplug its device, or reboot\n" in told
    assert told.endswith(f"\n                   {slow}")
    message["engines"]["objects"]["reason"] = slow
    assert parts(message, "model ").count(slow) == 1


def test_a_stick_that_is_not_there_is_shown_as_the_configuration_names_it() -> None:
    message = made_up_status()
    gone = dict.fromkeys(("port", "usb_id", "speed_mbps", "serial", "pid"))
    reason = "no Coral Edge TPU is plugged in as usb:2-1.4; `visiond doctor` lists what is there"
    message["edgetpus"] = [edgetpu(device="usb:2-1.4", state="absent", reason=reason, models=["cats", "dogs"], **gone)]
    assert parts(message, "Edge TPU ") == f"Edge TPU usb:2-1.4 absent, models cats, dogs\n                   {reason}"


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("degraded", 1), ("blind", 1)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_is_the_state(path: Path, state: str, code: int, as_json: bool) -> None:
    with numbered_daemon(path) as daemon:
        daemon.publish_status(state, "this and that")
        out = io.StringIO()
        assert status(path, as_json, out) == code
    if as_json:
        assert out.getvalue().count("\n") == 1
        told = json.loads(out.getvalue())
        assert told["reason"] == "this and that"
        assert told["clients"]["connected"] == 1, "of this moment: we count ourselves"
    else:
        assert out.getvalue().startswith(f"visiond is {state}: this and that\n\ncamera front ")


def sentence(path: Path) -> str:
    with pytest.raises(UnavailableError) as caught:
        status(path, False, io.StringIO())
    assert caught.value.exit_code == 69
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_daemon_is_one_sentence_with_a_remedy(path: Path) -> None:
    remedy = "start it (visiond run, or systemctl start visiond) or name its socket with --socket"
    assert sentence(path) == f"no daemon: there is no socket {path}; {remedy}"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(os.fspath(path))
        assert sentence(path) == f"no daemon: nobody listens at {path}; {remedy}"
    assert "cannot be reached: AF_UNIX path too long" in sentence(path.with_name("x" * 120))


def test_a_daemon_that_is_full_says_so(path: Path) -> None:
    with numbered_daemon(path, max_clients=0):
        assert sentence(path) == (
            f"the daemon at {path} has gone: busy: 0 clients are connected, which is socket.max_clients"
        )


def test_a_daemon_that_hangs_or_is_something_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visiond.daemon_connection.SILENCE_S", 0.2)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.fspath(path))
        listening.listen()
        assert sentence(path) == f"the daemon at {path} says nothing; restart it (systemctl restart visiond)"
        listening.accept()[0].close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize(
    ("group", "advice"),
    [
        ("video", "it is for the group video; join it (sudo usermod -aG video $USER)"),
        ("root", "it belongs to root alone; set socket.group in the daemon's configuration and join that group"),
    ],
)
def test_who_may_not_connect_is_told_which_group_to_join(path: Path, root: Path, group: str, advice: str) -> None:
    nobody = pwd.getpwnam("nobody")
    code = f"""
import io, os, sys
from pathlib import Path
from visiond.errors import VisiondError
from visiond.status_report import status
os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})
try:
    status(Path(sys.argv[1]), False, io.StringIO())
except VisiondError as error:
    print(error)
"""
    path.parent.chmod(0o755)
    with numbered_daemon(path):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            env={"PYTHONPATH": str(root / "daemon")},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == f"no permission to use {path}: {advice}, then log in again\n"


def test_a_board_that_is_hot_or_short_of_voltage_is_shown() -> None:
    message = cast(Status, made_up_status())
    message["board"] = {
        "throttled": ["undervoltage", "throttled"],
        "throttled_since_boot": ["soft_temperature_limit"],
        "temperature_c": 81.4,
        "memory_available_mb": 120,
    }
    line = next(line for line in report(message) if line.startswith("board"))
    assert "81 °C, 120 MB of memory free" in line
    assert "now: undervoltage, throttled" in line
    assert "since the boot: soft temperature limit" in line


def test_a_camera_that_shows_little_is_remarked_on() -> None:
    message = made_up_status("ok", None)
    message["cameras"]["front"] |= {"quality": "dark", "remark": "the picture is almost black: is there light?"}
    shown = "\n".join(report(cast(Status, message)))
    assert f"skipped: 4 unreadable\n{'':19}the picture is almost black: is there light?\ncamera rear" in shown


def test_what_is_probably_not_meant_stands_with_its_model() -> None:
    message = made_up_status("ok", None)
    text = "labels.offset: names 7 classes, and the model has 6; give offset: 1"
    message["engines"]["objects"]["remarks"] = [text]
    shown = list(report(cast(Status, message)))
    assert shown[0] == "visiond is ok"
    assert f"{'':19}{text}" in shown
