"""The card is full, or read-only: the service writes nothing there, and even starts again."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deaths import returns
from device import Journal, Robot, run, say, step

FILLER = Path("/var/tmp/filler")


def full_disk() -> None:
    step("the disk is full, and then the daemon is killed (kill -9)")
    with full():
        say(run("df", "--human-readable", "/").splitlines()[-1])
        sees()
        returns(signal.SIGKILL)


def read_only_root() -> None:
    step("the root is read-only, and then the daemon is stopped (SIGSTOP): the watchdog ends it")
    journal = Journal()
    run("mount", "--options", "remount,ro", "/")
    try:
        say(run("findmnt", "--noheadings", "--output", "TARGET,OPTIONS", "/").strip())
        sees()
        returns(signal.SIGSTOP)
    finally:
        run("mount", "--options", "remount,rw", "/")
    journal.tell("Watchdog timeout", "Fatal Python error: Aborted", "listens on")


def sees() -> None:
    with Robot() as robot:
        first = robot.sees()
        status = robot.told(lambda status: status["cameras"]["front"]["inferred"] > first["seq"])
    say(f"result {first['seq']} and later ones; {status['state']}")
    assert status["state"] == "ok"


@contextmanager
def full() -> Iterator[None]:
    """Not a byte is free, for root neither: as much in one piece as there is, then block by block."""
    try:
        with FILLER.open("wb") as file:
            free = os.statvfs("/")
            end = free.f_bfree * free.f_frsize * 99 // 100
            os.posix_fallocate(file.fileno(), 0, end)
            for size in (1 << 20, 1 << 12):
                end = extended(file.fileno(), end, size)
        yield
    finally:
        FILLER.unlink()


def extended(descriptor: int, end: int, size: int) -> int:
    """Take pieces of this size until there is none left; return the file's new end."""
    while True:
        try:
            os.posix_fallocate(descriptor, end, size)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            return end
        end += size
