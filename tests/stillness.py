"""Tests that fail while the machine stands still run again: what is timed then says nothing of the program.

A virtual machine on a busy host gets no processor for seconds now and then. A thread that sleeps and looks how long it
slept sees that, and the kernel counts what the host took away. Only a failure beside such evidence is repeated, and
each one is listed at the end.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import pytest
from _pytest.runner import runtestprotocol

STILL_S: Final = 0.25  # processes of these tests do not keep each other waiting so long
STOLEN_SHARE: Final = 0.25  # of one processor's time
MOST_RUNS: Final = 3
_NAP_S: Final = 0.05
_STOLEN: Final = 8  # the column of /proc/stat's line `cpu`: proc(5)
_TOLD: Final = "the machine stood still"


class Watch:
    """Looks from `with` to its end whether the machine stood still."""

    def __enter__(self) -> Self:
        self.longest_s = 0.0
        self._end = threading.Event()
        self._began_s, self._stolen_s = time.monotonic(), stolen_s()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.spent_s = time.monotonic() - self._began_s
        self.stolen_s = stolen_s() - self._stolen_s

    def _look(self) -> None:
        while not self._end.is_set():
            before_s = time.monotonic()
            self._end.wait(_NAP_S)
            self.longest_s = max(self.longest_s, time.monotonic() - before_s - _NAP_S)

    def told(self) -> str | None:
        """In words, None where it did not."""
        if self.longest_s >= STILL_S:
            return f"for {self.longest_s:.1f} s"
        if self.stolen_s >= STOLEN_SHARE * max(self.spent_s, 1.0):
            return f"{self.stolen_s:.1f} s of {self.spent_s:.1f} s, by what the kernel counts as stolen"
        return None


def words(reports: Sequence[pytest.TestReport]) -> str:
    """The first line of what the first failure says."""
    failed = next(report for report in reports if report.failed)
    crash = getattr(failed.longrepr, "reprcrash", None)
    return str(failed.longrepr if crash is None else crash.message).strip().split("\n", 1)[0][:100]


def stolen_s() -> float:
    """Seconds that the host has taken from all processors since the start, 0 where the kernel does not count them."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return int(fields[_STOLEN]) / os.sysconf("SC_CLK_TCK") if len(fields) > _STOLEN else 0.0


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool:
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for run in range(1, MOST_RUNS + 1):
        with Watch() as watch:
            reports = runtestprotocol(item, nextitem=nextitem, log=False)
        told = watch.told()
        if told is None or run == MOST_RUNS or not any(report.failed for report in reports):
            break
        item.user_properties.append((_TOLD, f"{told} beside: {words(reports)}"))
        item._initrequest()  # type: ignore[attr-defined] # new fixtures
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for kind in ("passed", "failed", "error"):
        for report in terminalreporter.stats.get(kind, []):
            if report.when == "call" or kind == "error":
                for told in (value for name, value in report.user_properties if name == _TOLD):
                    terminalreporter.write_line(f"{report.nodeid} ran again: {_TOLD} {told}")
