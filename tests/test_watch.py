"""`visiond watch`: a table on a terminal, lines elsewhere, JSON for programs; and always an end in words."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from numbered_daemon import NumberedDaemon, classified, hello, numbered_daemon, posed, result, segmented, until
from numbered_daemon import status as made_up_status
from visiond.client import Detections, Message
from visiond.errors import UnavailableError, UsageError
from visiond.publish import wire
from visiond.watch import plain_line, summary, watch

rich_console = pytest.importorskip("rich.console", reason="rich is not installed (extra: tools)")


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="visiond-test-") as folder:
        yield Path(folder) / "visiond.sock"


@contextmanager
def publishing(path: Path) -> Iterator[NumberedDaemon]:
    """A daemon with a camera at work: something new every few milliseconds."""
    stop = threading.Event()
    with numbered_daemon(path) as daemon:

        def publish() -> None:
            while not stop.wait(0.005):
                now_ns = time.monotonic_ns()
                daemon.publish("front", objects=3, published_ns=now_ns)
                daemon.publish("rear", objects=0, published_ns=now_ns)

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            yield daemon
        finally:
            stop.set()
            publisher.join()


def message(of: Any, missed: int = 0, degraded: bool = False) -> Detections:
    line = wire.detections(of, seq=12, epoch=1, published_ns=16_800_000, degraded=degraded).line(missed)
    return cast(Detections, json.loads(line))


def test_json_lines_are_the_detections_and_nothing_else(path: Path) -> None:
    out = io.StringIO()
    with publishing(path):
        assert watch(path, None, 5, True, out) == 0
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["type"] for line in lines] == ["detections"] * 5
    assert {line["camera"] for line in lines} == {"front", "rear"}


def test_one_camera_only(path: Path) -> None:
    out = io.StringIO()
    with publishing(path):
        assert watch(path, "rear", 3, True, out) == 0
        with pytest.raises(UsageError, match="--camera frnt: the daemon has no such camera; there is front, rear"):
            watch(path, "frnt", 3, True, out)
    assert [json.loads(line)["camera"] for line in out.getvalue().splitlines()] == ["rear"] * 3


def test_plain_lines_where_there_is_no_terminal(path: Path) -> None:
    out = io.StringIO()
    with publishing(path):
        watch(path, "front", 2, False, out)
    first, second = out.getvalue().splitlines()
    for line in (first, second):
        assert line.endswith(" 11.8 ms cpu: cat x2 0.90, dog 0.40")


def test_what_a_plain_line_says() -> None:
    assert plain_line(message(result(number=7, objects=0), missed=3))[9:] == "front #12 (missed 3) 11.8 ms cpu: nothing"
    told = plain_line(message(classified(), degraded=True))[9:]
    assert told == "front #12 11.8 ms edgetpu degraded: cat 0.90, class 2 0.05"


def test_a_summary_names_each_label_once_the_best_first() -> None:
    found: Any = [
        {"label": label, "class_id": 7, "score": score} for label, score in (("a", 0.2), (None, 0.9), ("a", 0.6))
    ]
    assert summary(cast(Detections, {"objects": found})) == "class 7 0.90, a x2 0.60"


def test_a_pose_says_how_much_of_it_is_seen_and_a_segment_how_large_it_is() -> None:
    assert summary(message(posed())) == "person 0.62 (2 of 3)"
    assert summary(message(segmented())) == "bird 17 %, class 12 2 %"
    assert summary(message(segmented(segments=0))) == "nothing"


def test_masks_come_in_json_where_they_are_asked_for(path: Path) -> None:
    out, plain = io.StringIO(), io.StringIO()
    stop = threading.Event()
    with numbered_daemon(path) as daemon:

        def publish() -> None:
            while not stop.wait(0.005):
                daemon.publish_result(segmented())

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            assert watch(path, None, 1, True, out, masks=True) == 0
            assert watch(path, None, 1, True, plain) == 0
        finally:
            stop.set()
            publisher.join()
        with pytest.raises(UsageError, match="--masks: masks are for programs, give --json too"):
            watch(path, None, 1, False, out, masks=True)
    segments = json.loads(out.getvalue())["segments"]
    assert [each["mask"] for each in segments] == [
        {"size": [3, 4], "counts": [0, 2, 10]},
        {"size": [3, 4], "counts": [11, 1]},
    ]
    assert all("mask" not in each for each in json.loads(plain.getvalue())["segments"])


def test_a_change_of_state_is_told_beside_the_lines(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    with numbered_daemon(path) as daemon:
        daemon.publish_status("blind", "camera front is lost")

        def go_on() -> None:
            daemon.wait_for(connected=1)
            until(lambda: "blind" in said())
            daemon.publish_status("ok")
            until(lambda: "ok" in said())
            daemon.publish()

        told: list[str] = []

        def said() -> str:
            told.append(capsys.readouterr().err)
            return "".join(told)

        other = threading.Thread(target=go_on)
        other.start()
        assert watch(path, None, 1, True, out) == 0
        other.join()
    assert said() == "visiond is blind: camera front is lost\nvisiond is ok\n"
    assert out.getvalue().count("\n") == 1


@pytest.mark.parametrize("as_json", [True, False])
def test_lines_end_with_the_daemon(path: Path, as_json: bool) -> None:
    with numbered_daemon(path) as daemon:

        def end() -> None:
            daemon.wait_for(connected=1)
            daemon.close("visiond stops")
            daemon.start()

        ending = threading.Thread(target=end)
        ending.start()
        with pytest.raises(UnavailableError, match=f"the daemon at {path} has gone: visiond stops"):
            watch(path, None, None, as_json, io.StringIO())
        ending.join()


def test_without_a_daemon_and_with_a_wrong_count(path: Path) -> None:
    with pytest.raises(UnavailableError, match="no daemon: there is no socket"):
        watch(path, None, None, False, io.StringIO())
    with pytest.raises(UsageError, match="--count 0: give 1 or more"):
        watch(path, None, 0, False, io.StringIO())


def test_without_rich_a_terminal_gets_plain_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visiond.watch.find_spec", lambda _: None)
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True)
    with publishing(path):
        assert watch(path, "front", 1, False, out) == 0
    assert out.getvalue().count("\n") == 1


def rendered(*messages: Any, camera: str | None = None, later_s: float = 0.0) -> list[str]:
    """The table's lines on a terminal of 80 columns after these messages, and so many seconds."""
    from visiond.watch_table import View

    view = View(camera)
    for each in messages:
        view.take(cast(Message, each))
    console = rich_console.Console(width=80, file=io.StringIO(), force_terminal=False)
    now_s = time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visiond.watch_table.time.monotonic", lambda: now_s + later_s)
        console.print(view.render())
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines)
    return [line.rstrip() for line in lines]


def test_the_table_at_80_columns() -> None:
    lines = rendered(hello(), made_up_status(), message(result("front", objects=3)), message(result("rear", objects=0)))
    assert lines == [
        "ok",
        "camera  state       fps      age  engine  objects",
        "front   streaming  30.0  11.8 ms  cpu     cat x2 0.90, dog 0.40",
        "rear    streaming  30.0  11.8 ms  cpu     nothing",
        "Ctrl-C ends",
    ]


def test_the_table_tells_what_is_wrong_and_does_not_show_old_results_as_fresh() -> None:
    reason = "camera rear is lost: it was unplugged; plug it in again, the daemon tries every five seconds"
    seen = [message(result(camera)) for camera in ("front", "rear")]
    lines = rendered(hello(), made_up_status("blind", reason), *seen, camera="rear", later_s=90)
    assert " ".join(lines[:2]) == f"blind: {reason}"
    assert lines[3].split() == ["rear", "lost", "30.0", "90", "s", "cpu", "cat", "0.90"]
    assert lines[4:] == ["Ctrl-C ends"], "the other camera was not asked for"


def test_the_table_while_there_is_no_daemon() -> None:
    away = {"type": "away", "reason": "visiond stops", "retry_in_s": 0.5}
    lines = rendered(hello(), made_up_status(), message(result("front")), away)
    assert lines[0] == "no daemon: visiond stops; waiting for it to return"
    assert lines[2].split()[:3] == ["front", "unknown", "-"]
    assert rendered(away)[0].startswith("no daemon")
    assert rendered(hello(), away, hello())[0] == "connected"


class Terminal:
    """`watch` in a process of its own, on a terminal of 80 columns."""

    def __init__(self, path: Path, root: Path, *options: str) -> None:
        self._master, slave = pty.openpty()
        code = """
import signal, sys
from pathlib import Path
from visiond.watch import watch
signal.signal(signal.SIGINT, signal.default_int_handler)
count = int(sys.argv[2]) if len(sys.argv) > 2 else None
sys.exit(watch(Path(sys.argv[1]), None, count, False, sys.stdout))
"""
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(path), *options],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={"PYTHONPATH": str(root / "daemon"), "TERM": "xterm", "COLUMNS": "80", "LINES": "24"},
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def read_until(self, text: str) -> None:
        seen = len(self.shown)
        while text not in self.shown[seen:]:
            self.shown += os.read(self._master, 65536).decode()

    def end(self) -> int:
        """Read what is left, as a full terminal would hold the process; return the exit code."""
        try:
            while data := os.read(self._master, 65536):
                self.shown += data.decode()
        except OSError:  # that is how a terminal says that its last user has gone
            pass
        os.close(self._master)
        return self.process.wait(20)


def test_the_live_table_waits_for_the_daemon_to_return_and_ends_with_ctrl_c(path: Path, root: Path) -> None:
    with publishing(path) as daemon:
        terminal = Terminal(path, root)
        terminal.read_until("cat x2 0.90")
        daemon.close("visiond restarts")
        terminal.read_until("visiond restarts")
        terminal.read_until("waiting for it to return")
        daemon.start()
        terminal.read_until("streaming")
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown


def test_the_live_table_ends_after_its_count(path: Path, root: Path) -> None:
    with publishing(path):
        terminal = Terminal(path, root, "3")
        assert terminal.end() == 0
    assert "Traceback" not in terminal.shown
    assert "\x1b[?25h" in terminal.shown, "the cursor is back"
