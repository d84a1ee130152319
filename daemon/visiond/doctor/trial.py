"""A trial of one stick with one model in a child process, and what its messages and its end mean."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from visiond.config import EdgeTpu
from visiond.doctor.child import Ended, Message, converse
from visiond.doctor.models import Wanted
from visiond.doctor.report import Finding, ok, split, wrong
from visiond.doctor.stick_states import RECOMPILE
from visiond.doctor.trial_order import INVOKE, TrialOrder
from visiond.edgetpu.crash_memory import FITTING_PAIRS
from visiond.edgetpu.sticks import Stick

MODULE: Final = "visiond.doctor.trial_process"
DEADLINE_S: Final = 40.0  # without a word; libedgetpu itself tries for 25 s to open a stick (usb_driver.cc:61,64,1337)
_REPLUG: Final = "unplug the stick, wait 5 s, plug it straight into the board, and run visiond doctor again"
_CRASHES: Final = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE})

Progress = Callable[[str], None]


@dataclass(slots=True)
class Trial:
    """What a trial has told so far, by the names of its messages, and its end."""

    stage: str = "starting"
    versions: str | None = None
    told: dict[str, Any] = field(default_factory=dict)
    ended: Ended | None = None

    def hear(self, message: Message) -> None:
        """Take in one message."""
        self.told.update(message)
        self.stage = message.get("stage", self.stage)
        self.versions = message.get("versions", self.versions)


def order_for(model: Wanted, stick: Stick, edgetpu: EdgeTpu, seconds: float = 0.0, hold: bool = False) -> TrialOrder:
    """Return what the child is to do."""
    settings = model.settings
    return TrialOrder(
        model=model.name,
        folder=str(model.package.folder),
        runtime=settings.runtime,
        threads=settings.threads,
        port=stick.port,
        index=stick.index,
        library=edgetpu.library,
        sysfs=str(edgetpu.sysfs),
        performance=edgetpu.performance,
        usb=edgetpu.usb.given,
        seconds=seconds,
        cpu_file=model.package.cpu_file(settings.runtime),
        hold=hold,
    )


def try_stick(order: TrialOrder, deadline_s: float, progress: Progress) -> Trial:
    """Run it; it is killed after `deadline_s` without a word."""
    trial = Trial()

    def hear(message: Message) -> None:
        trial.hear(message)
        if "stage" in message:
            progress(f"{order.model} on the stick at port {order.port}: {trial.stage}")

    trial.ended = converse(MODULE, fields(order), deadline_s, hear)
    return trial


def fields(order: TrialOrder) -> dict[str, Any]:
    """The order as JSON can hold it."""
    return {name: getattr(order, name) for name in TrialOrder.__dataclass_fields__}


def trial_findings(order: TrialOrder, trial: Trial, deadline_s: float) -> Iterator[Finding]:
    """Say whether the stick opened, what the model did on it, and how it ended if it did not go well."""
    name = f"{order.model} on port {order.port}"
    if "tested" in trial.told:
        yield _tested(name, trial.told["opened"], trial.told["tested"])
    assert trial.ended is not None
    if trial.ended.status != 0:
        yield _failure(name, trial, trial.ended, deadline_s)


def _tested(name: str, opened: Mapping[str, Any], tested: Mapping[str, Any]) -> Finding:
    golden = tested["golden"]
    examples = golden["passed"] + golden["failed"]
    proved = f"golden examples reproduced: {golden['passed']} of {examples}" if examples else "no golden examples"
    library = f" with {opened['library']}" if opened["library"] else ""
    seen = (
        f"opened in {opened['seconds']:.1f} s, invoke {tested['invoke_ms']:.1f} ms, {proved}; {opened['runtime']}"
        f"{library} ({opened['why']})"
    )
    data = {"opened": dict(opened), **tested}
    if golden["failed"]:
        failures = "; ".join(golden["failures"])
        remedy = RECOMPILE
        return wrong("trial", name, "fail", seen, f"golden examples not reproduced: {failures}", remedy, **data)
    if tested["engine"] != "edgetpu":
        cause, remedy = split(str(tested["remark"] or "the stick took no operator"), "compile it with edgetpu_compiler")
        return wrong("trial", name, "fail", seen, cause, remedy, **data)
    return ok("trial", name, seen, **data)


def _failure(name: str, trial: Trial, ended: Ended, deadline_s: float) -> Finding:
    seen = f"the process {ended.how} while {trial.stage}"
    data = {"status": ended.status, "stage": trial.stage, "versions": trial.versions, "words": ended.words}
    pair = trial.versions or "this runtime and this library"
    if "failed" in trial.told and not ended.silent:
        text = trial.told["failed"]
        cause, remedy = (text, _REPLUG) if trial.told["kind"] == INVOKE else split(text, _REPLUG)
        seen = f"refused while {trial.stage}"
    elif ended.status is None:
        cause = "it is stuck in the kernel and may hold the stick"
        remedy = "unplug the stick; if the process stays, reboot (sudo reboot)"
    elif ended.silent:
        cause, remedy = f"it hung: not a word for {deadline_s:g} s with {pair}", _REPLUG
    elif ended.status < 0 and -ended.status in _CRASHES:
        cause = f"{pair} do not fit each other"
        remedy = f"install a pair that fits: {FITTING_PAIRS}"
    elif ended.status == -signal.SIGABRT:
        said = f": {ended.words}" if ended.words else ""
        cause = f"libedgetpu gave up on a USB error{said}"
        remedy = "check plug, cable and power (no hub without a supply of its own), then run visiond doctor again"
    else:
        cause, remedy = f"it ended with {ended.words or 'nothing said'}", _REPLUG
    return wrong("trial", name, "fail", seen, cause, remedy, **data)
