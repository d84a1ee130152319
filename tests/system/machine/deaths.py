"""Each process dies or stands still: results come back, and nothing of it is left behind."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from device import SOCKET, Robot, Stopwatch, main_pid, property_of, say, step, until, workers

from harness import running

LISTENS = "00010000"  # __SO_ACCEPTCON in /proc/net/unix


def workers_killed() -> None:
    step("kill -9 of each worker: the daemon and its clients stay")
    pid = main_pid()
    for name, worker in workers().items():
        with Robot() as robot:
            before = robot.sees()
            clock = Stopwatch()
            os.kill(worker, signal.SIGKILL)
            until(f"another {name}", lambda name=name, worker=worker: workers().get(name) not in (None, worker))
            started_ns = time.monotonic_ns()  # the engine may answer a frame of a camera's that has died before
            after = robot.until(lambda m, ns=started_ns: m["type"] == "detections" and m["captured_ns"] > ns)
        say(f"{name}: detections of epoch {after['epoch']} after {clock}")
        assert after["epoch"] > before["epoch"]
        assert after["seq"] > before["seq"]
        assert not running(worker)
    assert main_pid() == pid


def returns(number: signal.Signals) -> None:
    """After this signal there is another daemon on the same socket, and no process of the one before."""
    with Robot() as robot:
        robot.sees()
        before, processes = robot.hello["instance"], {"visiond": main_pid(), **workers()}
        restarts = int(property_of("NRestarts"))
        clock = Stopwatch()
        os.kill(processes["visiond"], number)
        until("the daemon is gone", lambda: not running(processes["visiond"]))
        gone = str(clock)
    with Robot() as robot:
        hello = str(clock)
        robot.sees()
        assert robot.hello["instance"] != before
    say(
        f"gone after {gone}; hello of the next one after {hello}, detections after {clock}; none of {processes} is left"
    )
    assert [pid for pid in processes.values() if running(pid)] == []
    assert int(property_of("NRestarts")) == restarts + 1
    assert listeners(SOCKET) == 1
    assert listeners(SOCKET.with_name(f"{SOCKET.name}.control")) == 1


def listeners(path: Path) -> int:
    """How many sockets the kernel has that listen under this path."""
    sockets = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(1 for words in sockets if words[-1] == str(path) and words[3] == LISTENS)
