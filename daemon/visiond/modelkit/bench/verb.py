"""`visiond models bench PACKAGE`: how long this model takes on this machine, by runtime, threads and delegate."""

from __future__ import annotations

import datetime
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from visiond import __version__
from visiond.board import read_board
from visiond.errors import NoInputError, UnavailableError, UsageError
from visiond.modelkit.bench.comparison import Comparison, check_models, compare
from visiond.modelkit.bench.drift import Stopped, measure_drift
from visiond.modelkit.bench.machine import describe_machine
from visiond.modelkit.bench.order import Order, order_for
from visiond.modelkit.bench.profile import profile_each
from visiond.modelkit.bench.progress import Progress
from visiond.modelkit.bench.report import (
    FORMAT,
    Drift,
    Failure,
    Measured,
    Profile,
    Report,
    Subject,
    ToolMeasured,
    as_json,
    load_report,
)
from visiond.modelkit.bench.rounds import (
    Collected,
    Died,
    can_run_tool,
    measure_rounds,
    sum_up,
    sum_up_program,
    turns_in_all,
)
from visiond.modelkit.bench.subjects import Wish, choose_subjects
from visiond.modelkit.bench.text import print_comparison, print_report
from visiond.modelkit.bench.tool import check_program, check_wheel
from visiond.modelkit.bench.tool_turns import measure_turns
from visiond.modelkit.package import Package, load_package
from visiond.modelkit.verify.files import check_writable, is_folder, write_whole

_SLICE_S: Final = 2.5  # about what one subject takes in one round, with its start
_PROFILE_S: Final = 1.0
_TURNS_S: Final = 2.0  # of the tool's turns for each round that there are


@dataclass(frozen=True, slots=True)
class Options:
    """How it is measured. `tool`: None for none, an empty path for the wheel's; `minutes` of drift."""

    rounds: int = 5
    minutes: float = 0.0
    tool: Path | None = None
    save: Path | None = None
    compare: Path | None = None
    other_model: bool = False
    to_json: bool = False


def bench(folder: Path, wish: Wish, options: Options, out: TextIO, err: TextIO) -> int:
    """Measure, print, save; 0, or 1 where nothing could be measured. Raises a VisiondError in words.

    Raises KeyboardInterrupt after Ctrl-C, when what was finished is printed and saved.
    """
    _check(options)
    package = load_package(folder)
    package.verify_files()
    subjects, stick = choose_subjects(package, wish)
    sha256 = {file: _sha256(package.file(file)) for file in sorted({subject.file for subject in subjects})}
    before = None if options.compare is None else load_report(options.compare)
    if before is not None and not options.other_model:
        check_models(sha256, package.name, before)
    orders = {subject: order_for(str(package.folder), subject, stick) for subject in subjects}
    report, stopped = measure(package, orders, sha256, options, err)
    if stopped and not report.measured:
        raise KeyboardInterrupt
    comparison = None if before is None else compare(report, before)
    try:
        _print(report, comparison, options, out)
    finally:  # of the two, neither is lost with the other
        if options.save is not None:
            text = json.dumps(as_json(report), ensure_ascii=False, indent=1)
            write_whole(options.save.absolute(), f"{text}\n".encode())
    if stopped:
        raise KeyboardInterrupt
    return 0 if report.measured else 1


@dataclass(slots=True)
class _Work:
    """What has been measured so far."""

    collected: dict[Subject, Collected]
    summed: tuple[Measured | Failure, ...] = ()
    tool: tuple[ToolMeasured, ...] = ()
    tool_failure: str | None = None
    profiles: tuple[Profile, ...] = ()
    drift: Drift | None = None
    cold: tuple[Failure, ...] = ()


def measure(
    package: Package, orders: dict[Subject, Order], sha256: dict[str, str], options: Options, err: TextIO
) -> tuple[Report, bool]:
    """Measure everything that is asked for; True: Ctrl-C has ended it, and the report is of what came before."""
    began, board = datetime.datetime.now(datetime.UTC), read_board()
    program = _program(options.tool)
    work = _Work({subject: Collected() for subject in orders})
    stopped = False
    with Progress(err) as progress:
        try:
            _carry_out(work, package, orders, options, program, progress)
        except KeyboardInterrupt as stop:
            stopped = True
            work.drift = stop.drift if isinstance(stop, Stopped) else None
    if not work.summed:  # within the rounds
        _sum_up(work, program)
    rounds = max(len(mine.slices) for mine in work.collected.values()) if stopped else options.rounds
    if stopped:
        print(f"stopped: {rounds} of {options.rounds} rounds have been measured", file=err)
    report = Report(
        format=FORMAT,
        visiond=__version__,
        package=package.name,
        sha256=sha256,
        frame=next((each["frame"] for mine in work.collected.values() for each in mine.opened), "none"),
        rounds=rounds,
        began=began.isoformat(timespec="seconds"),
        machine=describe_machine(board),
        measured=_measured(work),
        failed=tuple(each for each in work.summed if isinstance(each, Failure)) + work.cold,
        tool=work.tool,
        tool_failure=work.tool_failure,
        profiles=work.profiles,
        drift=work.drift,
    )
    return report, stopped


def _carry_out(
    work: _Work,
    package: Package,
    orders: dict[Subject, Order],
    options: Options,
    program: Path | None,
    progress: Progress,
) -> None:
    """One part after the other, each into `work` when it is there: Ctrl-C may come at any time."""
    model = package.file("cpu") if package.files.cpu is not None else None
    turns = turns_in_all(orders, options.rounds, program)
    rounds = f"{options.rounds} round{'s' * (options.rounds > 1)}"
    progress.begin(
        f"measuring {len(orders)} variant{'s' * (len(orders) > 1)} of {package.name} in {rounds}, "
        f"about {turns * _SLICE_S:.0f} s",
        turns,
    )
    measure_rounds(orders, options.rounds, program, model, progress.step, work.collected)
    progress.end()
    _sum_up(work, program)
    measured = _measured(work)
    if program is None and options.tool is not None and model is not None:
        work.tool, work.tool_failure = _take_turns(measured, model, options.rounds, progress)
    work.profiles = profile_each(package.folder, [each.subject for each in measured], _PROFILE_S)
    work.drift, work.cold = _drift(measured, orders, options.minutes * 60, progress)


def _sum_up(work: _Work, program: Path | None) -> None:
    work.summed = tuple(sum_up(subject, mine) for subject, mine in work.collected.items())
    work.tool, work.tool_failure = sum_up_program(work.collected, program)


def _measured(work: _Work) -> tuple[Measured, ...]:
    return tuple(each for each in work.summed if isinstance(each, Measured))


def _program(given: Path | None) -> Path | None:
    """The tool that is a program of its own, None for none or the wheel's, which is there then. Raises VisiondError."""
    if given is None or given.name:
        return None if given is None else check_program(given)
    check_wheel()
    return None


def _take_turns(
    measured: tuple[Measured, ...], model: Path, rounds: int, progress: Progress
) -> tuple[tuple[ToolMeasured, ...], str | None]:
    """The wheel's tool next to each subject that it can run, as long as the rounds were; and why it could not."""
    seconds, found = rounds * _TURNS_S, []
    mine = [each for each in measured if can_run_tool(each.subject)]
    progress.begin(f"LiteRT's benchmark tool in turns with ours, about {seconds * len(mine):.0f} s", len(mine))
    try:
        for each in mine:
            progress.step(f"the tool, {each.subject.name}")
            found.append(measure_turns(model, each.subject, each.invoke.p50_ms, seconds))
    except Died as error:
        return tuple(found), str(error)
    finally:
        progress.end()
    return tuple(found), None


def _drift(
    measured: tuple[Measured, ...], orders: dict[Subject, Order], seconds: float, progress: Progress
) -> tuple[Drift | None, tuple[Failure, ...]]:
    """Minutes of the quickest one: what a daemon would run, and what heats most."""
    if seconds == 0 or not measured:
        return None, ()
    subject = min(measured, key=lambda each: each.invoke.p50_ms).subject
    progress.begin(f"invoking for {seconds / 60:.1f} minutes: {subject.name}", seconds)
    try:
        return measure_drift(orders[subject], subject, seconds, progress.reach), ()
    except Died as error:
        return None, (Failure(subject, f"within the {seconds / 60:.1f} minutes: {error}"),)
    finally:
        progress.end()


def _check(options: Options) -> None:
    if not 1 <= options.rounds <= 1000:
        raise UsageError(f"--rounds {options.rounds}: give a number from 1 to 1000; 5 unless given")
    if not 0 <= options.minutes <= 24 * 60:
        raise UsageError(f"--minutes {options.minutes:g}: give minutes from 0 to 1440")
    if options.save is not None:
        _check_save(options.save)


def _check_save(path: Path) -> None:
    """Raise now what `write_whole` would after minutes of work."""
    if is_folder(path):
        raise UsageError(f"--save {path}: is a folder; give the file's name too")
    try:
        check_writable(path.absolute())
    except UnavailableError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise NoInputError(f"--save {path}: there is no folder {path.absolute().parent}; make it first") from error
        raise


def _print(report: Report, comparison: Comparison | None, options: Options, out: TextIO) -> None:
    if options.to_json:
        print(json.dumps(_with_comparison(report, comparison), ensure_ascii=False), file=out)
        return
    print_report(report, out)
    if comparison is not None:
        print_comparison(comparison, out)


def _with_comparison(report: Report, comparison: Comparison | None) -> dict[str, Any]:
    found = as_json(report)
    return found if comparison is None else {**found, "comparison": asdict(comparison)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
