"""`visiond doctor`: every check, in order. What a running daemon owns is asked of the daemon, and not touched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from visiond.board import read_board
from visiond.clock import wall_synced
from visiond.config import EdgeTpu
from visiond.doctor import cameras, machine
from visiond.doctor.exercise import exercise_findings
from visiond.doctor.models import Setup, read_setup
from visiond.doctor.replug import Person, replug_findings
from visiond.doctor.report import Finding, Printer, exit_code, report, skipped, wrong
from visiond.doctor.running import daemon_findings, find_daemon, stick_findings
from visiond.doctor.socket_place import socket_findings
from visiond.doctor.software import software_findings
from visiond.doctor.terminal import Terminal
from visiond.doctor.trial import DEADLINE_S, Progress, order_for, trial_findings, try_stick
from visiond.doctor.trial_order import TrialOrder
from visiond.doctor.usb import free_sticks, hold_apart, no_sysfs, usb_findings
from visiond.edgetpu.library import find_library, library_problem
from visiond.edgetpu.sticks import Stick, find_sticks
from visiond.errors import UsageError
from visiond.places import default_socket_path, running_socket_path

DEFAULT_SECONDS: Final = 20.0
MOST_SECONDS: Final = 3600.0


def doctor(
    config_path: Path, socket_path: Path | None, seconds: float | None, as_json: bool, out: TextIO, err: TextIO
) -> int:
    """Print every finding; 0 where nothing has failed, else 1. `seconds`: how long to exercise the sticks, or None.

    Raises UsageError for an impossible length.
    """
    if seconds is not None and not 1 <= seconds <= MOST_SECONDS:
        raise UsageError(f"--seconds {seconds:g}: give 1 to {MOST_SECONDS:g}")
    terminal = Terminal(err)
    person = terminal if terminal.has_person and not as_json else None
    setup = read_setup(config_path)
    path = socket_path or find_socket(setup)
    printer = None if as_json else Printer(out)
    findings: list[Finding] = []
    for finding in Examination(setup, path, seconds, person, terminal.progress).findings():
        findings.append(finding)
        terminal.clear()
        if printer is not None:
            printer.show(finding)
    if printer is not None:
        printer.close(findings)
    else:
        print(json.dumps(report(findings, str(config_path), str(path)), ensure_ascii=False, allow_nan=False), file=out)
    return exit_code(findings)


def find_socket(setup: Setup) -> Path:
    """Return the configured socket; where none is, the one of this user's daemon if it is there, else the system's."""
    if setup.config is not None and setup.config.socket.path != default_socket_path():
        return setup.config.socket.path
    return running_socket_path()


class Examination:
    """One run over all checks. `deadline_s`: for how long a child that tries something may say nothing."""

    def __init__(
        self,
        setup: Setup,
        socket: Path,
        seconds: float | None,
        person: Person | None,
        progress: Progress,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._setup = setup
        self._socket = socket
        self._seconds = seconds
        self._person = person
        self._progress = progress
        self._deadline_s = deadline_s
        self._edgetpu = EdgeTpu() if setup.config is None else setup.config.edgetpu
        self._running = find_daemon(socket)
        self._replugged: set[str] = set()

    def findings(self) -> Iterator[Finding]:
        """Yield each finding as soon as it is known."""
        setup, running = self._setup, self._running
        yield from daemon_findings(running, self._socket)
        yield from setup.findings
        yield from socket_findings(self._socket, setup.config.socket.group if setup.config else None, running)
        sticks = self._look()
        if running is not None:
            yield from stick_findings(running, sticks)
        else:
            sticks = hold_apart(sticks, self._edgetpu.sysfs)
        if self._edgetpu.sysfs.is_dir():
            yield from usb_findings(sticks, setup.wanted, self._owned, running is not None)
        else:
            yield no_sysfs(self._edgetpu.sysfs, setup.wanted)
        self._progress("asking library and runtimes for their versions")
        yield from software_findings(setup, self._edgetpu.library, bool(sticks), self._deadline_s)
        yield from self._trials(sticks)
        if running is not None:
            yield from cameras.running_cameras(running)
        elif setup.config is not None:
            yield from cameras.camera_findings(setup.config)
        board = read_board()
        yield from machine.board_findings(board)
        yield from machine.clock_findings(board, wall_synced())

    @property
    def _owned(self) -> frozenset[str]:
        return frozenset() if self._running is None else self._running.ports

    def _look(self) -> tuple[Stick, ...]:
        ours = frozenset() if self._running is None else frozenset(s["pid"] for s in self._running.sticks)
        return find_sticks(self._edgetpu.sysfs, self._edgetpu.dev, ours=ours)

    def _trials(self, sticks: tuple[Stick, ...]) -> Iterator[Finding]:
        """Open the sticks that nobody has, one model after the other, each in a process of its own."""
        orders = self._orders(sticks)
        why_not = self._why_no_trial(bool(orders))
        if why_not is None:
            for order in orders:
                yield from self._trial(order)
        elif self._seconds is None:
            yield skipped("trial", "sticks", why_not[0])
        else:
            yield wrong("trial", "sticks", "fail", "nothing could be exercised", *why_not)

    def _orders(self, sticks: tuple[Stick, ...]) -> list[TrialOrder]:
        return [
            order_for(model, stick, self._edgetpu, self._seconds or 0.0)
            for model in self._setup.wanted
            for stick in free_sticks(sticks, model, self._owned)
        ]

    def _why_no_trial(self, has_orders: bool) -> tuple[str, str] | None:
        """Return why no stick is tried, and what to do so that one is; None where it is."""
        running = self._running
        if running is not None and running.status is None:
            return "a daemon runs that does not say which sticks it has", "sudo systemctl stop visiond"
        if running is not None and self._seconds is None:
            return "the daemon runs: it is asked, and its sticks are not touched", "sudo systemctl stop visiond"
        if not self._setup.wanted:
            return "no model of the configuration has files.edgetpu and may use it", "give the configuration with -c"
        if problem := library_problem(find_library(self._edgetpu.library) or Path(self._edgetpu.library)):
            return f"the library cannot be loaded: {problem.partition(': ')[0]}", "see library above"
        if has_orders:
            return None
        if self._owned:
            return "the daemon has the stick", "sudo systemctl stop visiond, and start it again afterwards"
        return "no stick is there that a model may use and nobody has", "see usb above"

    def _trial(self, order: TrialOrder) -> Iterator[Finding]:
        trial = try_stick(order, self._deadline_s, self._progress)
        yield from trial_findings(order, trial, self._deadline_s)
        if self._seconds is None:
            return
        yield from exercise_findings(order, trial)
        if trial.ended is not None and trial.ended.status == 0 and order.port not in self._replugged:
            self._replugged.add(order.port)
            yield from replug_findings(order, self._look, self._person, self._progress, self._deadline_s)
