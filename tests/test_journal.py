"""The log: fields and priorities, and a reader that does not read, has gone, or was never there."""

import ast
import logging
import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from visiond import journal
from visiond.journal import Entry, JournalHandler

PATIENCE_S = 10.0


class Reader:
    """A target that can be made to block or to fail."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.got_one = threading.Event()
        self.error: OSError | None = None

    def __call__(self, entry: Entry) -> None:
        self.got_one.set()
        assert self.may_go_on.wait(PATIENCE_S)
        if self.error is not None:
            raise self.error
        self.entries.append(entry)

    @property
    def texts(self) -> list[str]:
        return [entry.text for entry in self.entries]


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    made = logging.Logger("test")
    yield made
    for handler in made.handlers:
        handler.close()


def attach(log: logging.Logger, reader: Reader, most_waiting: int = 100) -> JournalHandler:
    handler = JournalHandler(reader, most_waiting)
    log.addHandler(handler)
    return handler


def test_a_record_becomes_an_entry_with_its_fields(log: logging.Logger, reader: Reader) -> None:
    handler = attach(log, reader)
    log.warning("camera %s: lost", "front", extra={"camera": "front", "event": "camera_lost"})
    handler.close()
    entry = reader.entries[0]
    assert (entry.priority, entry.text) == (4, "camera front: lost")
    assert entry.fields["VISIOND_CAMERA"] == "front"
    assert entry.fields["MESSAGE_ID"] == journal.MESSAGE_IDS["camera_lost"]
    assert entry.fields["CODE_FUNC"] == "test_a_record_becomes_an_entry_with_its_fields"
    assert "VISIOND_ENGINE" not in entry.fields


@pytest.mark.parametrize(
    ("level", "priority"), [("critical", 2), ("error", 3), ("warning", 4), ("info", 6), ("debug", 7)]
)
def test_levels_are_told_as_syslog_has_them(log: logging.Logger, reader: Reader, level: str, priority: int) -> None:
    handler = attach(log, reader)
    getattr(log, level)("x")
    handler.close()
    assert reader.entries[0].priority == priority


def test_an_event_that_is_none_or_unknown_has_no_message_id(log: logging.Logger, reader: Reader) -> None:
    handler = attach(log, reader)
    log.info("x", extra={"event": None})
    log.info("x", extra={"event": "nonsense"})
    handler.close()
    assert not any("MESSAGE_ID" in entry.fields for entry in reader.entries)


def test_the_text_is_fixed_when_it_is_logged(log: logging.Logger, reader: Reader) -> None:
    reader.may_go_on.clear()
    handler = attach(log, reader)
    names = ["front"]
    log.info("first")
    log.info("cameras %s", names)
    names.append("rear")
    reader.may_go_on.set()
    handler.close()
    assert reader.texts[1] == "cameras ['front']"


def test_an_exception_comes_with_its_trace(log: logging.Logger, reader: Reader) -> None:
    handler = attach(log, reader)
    try:
        raise ValueError("broken")
    except ValueError:
        log.exception("it failed")
    handler.close()
    assert reader.texts[0].startswith("it failed\nTraceback")
    assert reader.texts[0].endswith("ValueError: broken")


def test_message_ids_are_random_uuids_each_of_its_own() -> None:
    ids = list(journal.MESSAGE_IDS.values())
    assert len(set(ids)) == len(ids)
    assert all(uuid.UUID(each).version == 4 for each in ids)


def test_every_event_in_the_code_is_in_the_table(root: Path) -> None:
    """A dictionary with an "event" is an `extra`; a name that is not in the table would have no MESSAGE_ID."""
    found = set()
    for path in (root / "daemon" / "visiond").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "event" and isinstance(value, ast.Constant):
                        found.add(value.value)
    found.discard(journal.FIELDS["event"])
    assert "standstill" in found, "the search finds none"
    assert found <= set(journal.MESSAGE_IDS)


# 56: a log that cannot be written


def test_fault_56_a_reader_who_does_not_read_is_not_waited_for(log: logging.Logger, reader: Reader) -> None:
    reader.may_go_on.clear()
    handler = attach(log, reader, most_waiting=10)
    log.info("line 0")
    assert reader.got_one.wait(PATIENCE_S)
    began_s = time.monotonic()
    for number in range(1, 101):
        log.info("line %d", number)
    assert time.monotonic() - began_s < 1.0
    assert handler.lost == 90
    reader.may_go_on.set()
    while len(reader.entries) < 12:
        assert time.monotonic() - began_s < PATIENCE_S
        time.sleep(0.005)
    assert reader.texts[0] == "line 0"
    assert reader.entries[1] == Entry(4, "log lines lost, because nobody took them: 90")
    assert reader.texts[2:] == [f"line {number}" for number in range(1, 11)]


def test_fault_56_the_end_does_not_wait_for_a_reader_either(log: logging.Logger, reader: Reader) -> None:
    reader.may_go_on.clear()
    handler = attach(log, reader, most_waiting=2)
    for _ in range(10):
        log.info("line")
    began_s = time.monotonic()
    handler.close()
    assert time.monotonic() - began_s < 3 * journal.GOODBYE_S
    reader.may_go_on.set()


def test_fault_56_lines_that_cannot_be_written_are_counted_and_told_of_later(
    log: logging.Logger, reader: Reader
) -> None:
    reader.error = BrokenPipeError()
    handler = attach(log, reader)
    log.info("lost")
    began_s = time.monotonic()
    while handler.lost == 0:
        assert time.monotonic() - began_s < PATIENCE_S
        time.sleep(0.005)
    reader.error = None
    log.info("seen")
    handler.close()
    assert reader.texts == ["log lines lost, because nobody took them: 1", "seen"]


SET_UP = """
import faulthandler, logging, os, sys
from visiond import journal
handler = journal.set_up()
sys.stdout.flush()
logging.getLogger("x").warning("one\\ntwo", extra={"camera": "front"})
handler.close()
fd = os.open("seen", os.O_CREAT | os.O_WRONLY)
os.write(fd, f"{fd} {handler.lost} {faulthandler.is_enabled()}".encode())
"""


def run_set_up(folder: Path, root: Path, redirection: str, **environment: str) -> tuple[str, str]:
    """Return what the child has seen, and what came on its stderr."""
    command = ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, SET_UP]
    env = {**os.environ, "PYTHONPATH": str(root / "daemon"), **environment}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return (folder / "seen").read_text(), done.stderr


def test_on_a_terminal_or_in_a_file_lines_are_plain(tmp_path: Path, root: Path) -> None:
    assert run_set_up(tmp_path, root, "") == ("3 0 True", "one\ntwo\n")


def test_fault_56_no_later_descriptor_takes_the_place_of_a_closed_stderr(tmp_path: Path, root: Path) -> None:
    """Else log lines would go to a robot: the next socket gets the number 2."""
    assert run_set_up(tmp_path, root, "0<&- >&- 2>&-") == ("3 0 True", "")


def test_fault_55_a_full_disk_behind_stderr_costs_lines_and_nothing_else(tmp_path: Path, root: Path) -> None:
    assert run_set_up(tmp_path, root, "2>/dev/full") == ("3 1 True", "")


# the journal


def test_stderr_is_the_journals_when_device_and_inode_agree(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file:
        status = os.fstat(file.fileno())
        stream = f"{status.st_dev}:{status.st_ino}"
        assert journal.is_journal(stream, file.fileno())
        assert not journal.is_journal(f"{status.st_dev}:{status.st_ino + 1}", file.fileno())
        assert not journal.is_journal(None, file.fileno())
        assert not journal.is_journal("nonsense", file.fileno())
        fd = file.fileno()
    assert not journal.is_journal(stream, fd), "it is closed"


FAKE_SYSTEMD_PYTHON = """
import json
def send(MESSAGE, CODE_LINE=None, **fields):
    assert isinstance(CODE_LINE, int)
    with open("sent", "a") as file:
        print(json.dumps([MESSAGE, fields]), file=file)
"""
TO_JOURNAL = """
import os
os.environ["JOURNAL_STREAM"] = "{0.st_dev}:{0.st_ino}".format(os.fstat(2))
"""


@pytest.mark.parametrize("has_systemd_python", [True, False])
def test_the_journal_gets_fields_through_systemd_python_and_priorities_without(
    has_systemd_python: bool, tmp_path: Path, root: Path
) -> None:
    package = tmp_path / "packages" / "systemd"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    if has_systemd_python:
        (package / "journal.py").write_text(FAKE_SYSTEMD_PYTHON)
    command = [sys.executable, "-c", TO_JOURNAL + SET_UP]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path / 'packages'}:{root / 'daemon'}"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    if has_systemd_python:
        assert done.stderr == ""
        sent = (tmp_path / "sent").read_text()
        assert re.search(
            r'"one\\ntwo".*"PRIORITY": "4".*"SYSLOG_IDENTIFIER": "visiond".*"VISIOND_CAMERA": "front"', sent
        )
    else:
        assert done.stderr == "<4>one\n<4>two\n"
        assert not (tmp_path / "sent").exists()
