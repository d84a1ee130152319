"""Child: real processes that speak, stop speaking, crash, and print what is no message."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from visiond.doctor.child import Child, converse

Script = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Write a module; `begin` has been called in it."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    head = "import os, signal, sys, time\nprint('greetings from a library', flush=True)\n"

    def write(body: str) -> str:
        text = f"{head}from visiond.doctor.child_side import begin\norder, tell = begin()\n{body}\n"
        (tmp_path / "scripted_child.py").write_text(text)
        return "scripted_child"

    return write


def test_messages_come_through_and_what_libraries_print_does_not(script: Script) -> None:
    heard: list[Any] = []
    module = script("tell(order=order)\nprint('noise')\nos.write(1, b'native noise\\n')\ntell(stage='two')")
    ended = converse(module, {"a": [1, None]}, 20, heard.append)
    assert heard == [{"order": {"a": [1, None]}}, {"stage": "two"}]
    assert (ended.status, ended.silent) == (0, False)


def test_a_crash_is_told_with_its_signal_and_the_last_words(script: Script) -> None:
    module = script("sys.stderr.write('F usb_driver.cc:857] gone\\n'); sys.stderr.flush(); os.abort()")
    ended = converse(module, {}, 20, lambda _: None)
    assert ended.status == -signal.SIGABRT
    assert ended.words == "F usb_driver.cc:857] gone"
    assert ended.how == "died of SIGABRT"


def test_a_traceback_ends_in_its_error(script: Script) -> None:
    ended = converse(script("raise OSError('no such thing')"), {}, 20, lambda _: None)
    assert (ended.status, ended.words) == (1, "OSError: no such thing")
    assert ended.how == "ended with exit code 1"


def test_one_that_says_nothing_more_is_killed(script: Script) -> None:
    heard: list[Any] = []
    began_s = time.monotonic()
    ended = converse(script("tell(stage='hanging')\ntime.sleep(600)"), {}, 2.0, heard.append)
    assert heard == [{"stage": "hanging"}]
    assert ended.silent
    assert ended.status == -signal.SIGKILL
    assert time.monotonic() - began_s < 60


def test_leaving_it_ends_the_process(script: Script) -> None:
    with Child(script("tell(ready=True)\ntime.sleep(600)"), {}) as child:
        assert child.next(20) == {"ready": True}
        assert child.next(0.01) is None
        pid = child.pid
    assert not Path(f"/proc/{pid}").exists()


def test_it_ends_with_its_parent(script: Script) -> None:
    """The parent is killed while its child sleeps: no stick stays held by an orphan."""
    module = script("tell(ready=True)\ntime.sleep(600)")
    source_root = Path(__file__).resolve().parents[2] / "daemon"
    code = (
        f"import sys; sys.path.insert(0, {str(source_root)!r})\nfrom visiond.doctor.child import Child\n"
        f"child = Child({module!r}, {{}})\nchild.next(20)\nprint(child.pid, flush=True)\nimport time; time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        assert parent.stdout.read() == ""
    give_up_s = time.monotonic() + 20
    while _lives(pid):  # nothing announces the end of another's child
        assert time.monotonic() < give_up_s
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
