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
from typing import cast

import pytest

from numbered_daemon import numbered_daemon
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
                   invoke p50 8.1 ms, p99 9.9 ms; 100 results
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
