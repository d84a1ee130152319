"""The daemon's log: into systemd's journal with its fields, else to stderr. Whoever logs never waits for a reader."""

from __future__ import annotations

import faulthandler
import importlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from visiond.systemd import leave_to_main_thread

# What happened, for those who search the journal: `journalctl MESSAGE_ID=…`. An id never changes.
MESSAGE_IDS: Final[Mapping[str, str]] = {
    "start": "4f04f1f46ad64b66ad63ad9ed1bb3918",
    "stop": "0bf422e9368a47b7be84ca4d787b2c73",
    "fallback": "ab2ed212e4764970aac330c8fdf43093",
    "return": "bbc62581965246f38071d8fdd11ec851",
    "camera_lost": "01159b3794e343c89540b25b79686185",
    "camera_back": "cbdbe9784bd44f24bb7a42c4e88028f3",
    "reload_applied": "e5d31f65e5bb4a47b575e2f34e604761",
    "reload_refused": "cad887e2006e49abb3323d7808e94b06",
    "reload_reverted": "ee18913d8523469daf530d2edc5f5a21",
    "standstill": "58634ac68c0a48bcad83179f87c2952c",
    "model_remark": "ae378679478f41e5adc061700e9838d7",
}
FIELDS: Final[Mapping[str, str]] = {
    "camera": "VISIOND_CAMERA",
    "engine": "VISIOND_ENGINE",
    "model": "VISIOND_MODEL",
    "event": "VISIOND_EVENT",
}
IDENTIFIER: Final = "visiond"
MOST_WAITING: Final = 1000  # lines; a reader who is that far behind is not there
GOODBYE_S: Final = 0.3  # for the last lines, at the end
_STDERR: Final = 2

# syslog(3): the priority of each of logging's levels, from the highest
_PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG: Final = 7


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log, or several, that no longer changes; `fields` by their names in the journal."""

    priority: int
    text: str
    fields: Mapping[str, str] = field(default_factory=dict)


Target = Callable[[Entry], None]


class JournalHandler(logging.Handler):
    """Passes entries to `target` in a thread of its own; what the target does not take in time is dropped and counted.

    A call gives the fields: `log.warning("…", extra={"camera": name, "event": "camera_lost"})`.
    """

    def __init__(self, target: Target, most_waiting: int = MOST_WAITING) -> None:
        """`target` may block, and may raise OSError: then the entry is lost."""
        super().__init__()
        self.lost = 0  # since the start
        self._target = target
        self._waiting: queue.Queue[Entry | None] = queue.Queue(most_waiting)
        self._failed = 0  # counted by the thread alone
        self._dropped = 0  # counted under the handler's lock
        self._told = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the record, in words; never waits."""
        try:
            self._waiting.put_nowait(to_entry(record, self.format(record)))
        except queue.Full:
            self._dropped += 1
            self.lost = self._dropped + self._failed

    def close(self) -> None:
        """Give the last lines GOODBYE_S to be written."""
        if self._thread.is_alive():
            try:
                self._waiting.put(None, timeout=GOODBYE_S)
                self._thread.join(GOODBYE_S)
            except queue.Full:  # nobody has read for long, nor will now
                pass
        super().close()

    def _run(self) -> None:
        leave_to_main_thread()
        while (entry := self._waiting.get()) is not None:
            self._pass_on(entry)

    def _pass_on(self, entry: Entry) -> None:
        try:
            if self.lost > self._told:
                lost = self.lost
                self._target(Entry(4, f"log lines lost, because nobody took them: {lost - self._told}"))
                self._told = lost
            self._target(entry)
        except OSError:  # the reader has gone, or the disk behind it is full; `lost` tells, here and in the log
            self._failed += 1
            self.lost = self._dropped + self._failed


def set_up(level: int = logging.INFO) -> JournalHandler:
    """Send the log of this process where it belongs, and every thread's trace to stderr when a signal kills it.

    Call it first: standard descriptors that are closed are opened on /dev/null, before a socket gets their numbers.
    """
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        _open_if_closed(fd)
        if getattr(sys, name) is None:  # as Python leaves those that were closed at its start
            setattr(sys, name, os.fdopen(fd, mode, closefd=False))
    faulthandler.enable()
    handler = JournalHandler(choose_target())
    logging.basicConfig(level=level, format="%(message)s", handlers=[handler])
    return handler


def choose_target() -> Target:
    """Return the journal where stderr leads to it, with fields if systemd-python is there; else stderr itself."""
    if not is_journal(os.environ.get("JOURNAL_STREAM"), _STDERR):
        return write_plain
    try:
        return _journal_with_fields()
    except ImportError:
        return write_with_priority


def is_journal(stream: str | None, fd: int) -> bool:
    """Whether this descriptor is what $JOURNAL_STREAM names: device and inode, systemd.exec(5)."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return stream == f"{status.st_dev}:{status.st_ino}"


def to_entry(record: logging.LogRecord, text: str) -> Entry:
    """Return the record as an entry; `text` is what the formatter made of it."""
    given = {name: str(value) for key, name in FIELDS.items() if (value := getattr(record, key, None)) is not None}
    message_id = MESSAGE_IDS.get(str(getattr(record, "event", "")))
    if message_id is not None:
        given["MESSAGE_ID"] = message_id
    place = {"CODE_FILE": record.pathname, "CODE_LINE": str(record.lineno), "CODE_FUNC": str(record.funcName)}
    return Entry(_priority(record.levelno), text, {**place, **given})


def write_plain(entry: Entry, fd: int = _STDERR) -> None:
    """Write the text and nothing else. Raises OSError where nobody reads."""
    _write(fd, entry.text + "\n")


def write_with_priority(entry: Entry, fd: int = _STDERR) -> None:
    """Write each line with its priority in front, as sd-daemon(3) has it. Raises OSError where nobody reads."""
    _write(fd, "".join(f"<{entry.priority}>{line}\n" for line in entry.text.splitlines()))


def _journal_with_fields() -> Target:
    """Return what sends an entry through systemd-python. Raises ImportError where that is not installed."""
    journal = importlib.import_module("systemd.journal")  # Debian: python3-systemd

    def send(entry: Entry) -> None:
        fields = dict(entry.fields)
        line = int(fields.pop("CODE_LINE", "0"))
        journal.send(entry.text, PRIORITY=str(entry.priority), SYSLOG_IDENTIFIER=IDENTIFIER, CODE_LINE=line, **fields)

    return send


def _priority(level: int) -> int:
    return next((priority for least, priority in _PRIORITIES if level >= least), _DEBUG)


def _write(fd: int, text: str) -> None:
    rest = text.encode(errors="backslashreplace")
    while rest:
        rest = rest[os.write(fd, rest) :]


def _open_if_closed(fd: int) -> None:
    try:
        os.fstat(fd)
    except OSError:
        os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, which is this one
