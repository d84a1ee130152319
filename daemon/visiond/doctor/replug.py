"""The last part of --exercise: a person unplugs a stick that is at work and plugs it in again, and we watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final, Protocol

from visiond.doctor.child import Child
from visiond.doctor.report import Finding, ok, skipped, wrong
from visiond.doctor.trial import MODULE, Progress, Trial, fields, try_stick
from visiond.doctor.trial_order import TrialOrder
from visiond.edgetpu.sticks import Stick

PATIENCE_S: Final = 60.0  # for a person who has to find the cable
_POLL_S: Final = 0.02  # sysfs tells nobody; a re-enumeration takes seconds
_NAME: Final = "unplugged at work"

Look = Callable[[], tuple[Stick, ...]]


class Person(Protocol):
    """Whoever sits before the terminal."""

    def agrees(self, question: str) -> bool:
        """Ask; False for no."""

    def tell(self, text: str) -> None:
        """Say something."""


def replug_findings(
    order: TrialOrder, look: Look, person: Person | None, progress: Progress, deadline_s: float
) -> Iterator[Finding]:
    """Do it where there is a person and agrees."""
    order = replace(order, seconds=0.0, cpu_file=None, hold=True)
    if person is None:
        yield skipped("exercise", _NAME, "needs a person at a terminal; run visiond doctor --exercise in one")
    elif not person.agrees(f"Unplug the stick at port {order.port} while it works, and plug it in again?"):
        yield skipped("exercise", _NAME, "declined")
    else:
        yield _replug(order, look, person, progress, deadline_s)


def _replug(order: TrialOrder, look: Look, person: Person, progress: Progress, deadline_s: float) -> Finding:
    trial = Trial()
    with Child(MODULE, fields(order)) as child:
        try:
            while "holding" not in trial.told:
                message = child.next(deadline_s)
                if message is None:
                    raise EOFError
                trial.hear(message)
        except EOFError:
            return _wrong("it did not come to work", f"the process {child.end(0).how} while {trial.stage}")
        person.tell(f"The stick at port {order.port} is at work: unplug it now.")
        if not _until(lambda: _at(order.port, look) is None):
            return _wrong(f"still there after {PATIENCE_S:g} s", "nobody unplugged it, or another stick")
        gone_s = time.monotonic()
        ended = child.end(deadline_s)
        ended_s = time.monotonic() - gone_s
    person.tell(f"It is gone, and the process that used it {ended.how} after {ended_s:.2f} s. Plug it in again now.")
    if not _until(lambda: _at(order.port, look) is not None):
        return _wrong(f"not back at port {order.port} after {PATIENCE_S:g} s", "it was not plugged in there again")
    back, back_s = _at(order.port, look), time.monotonic()
    again = try_stick(replace(order, hold=False), deadline_s, progress)
    opened_s = time.monotonic() - back_s
    how = f"the process {ended.how} {ended_s:.2f} s after the stick had gone"
    came = f"it came back as {back.usb_id}" if back is not None else "it came back, and left again"
    if "tested" not in again.told:
        assert again.ended is not None
        return _wrong(f"{how}; {came}", f"it does not work again: the process {again.ended.how} while {again.stage}")
    now = _at(order.port, look)
    seen = f"{how}; {came}; {opened_s:.1f} s later it had opened, as {now.usb_id if now else '?'}, and a model had run"
    data = {"status": ended.status, "ended_s": ended_s, "opened_s": opened_s, "silent": ended.silent}
    if ended.silent:
        cause = f"the process did not notice within {deadline_s:g} s that the stick had gone"
        return wrong(
            "exercise", _NAME, "warn", seen, cause, "visiond kills such a worker by its invoke deadline", **data
        )
    return ok("exercise", _NAME, seen, **data)


def _wrong(seen: str, cause: str) -> Finding:
    remedy = "run visiond doctor --exercise again"
    return wrong("exercise", _NAME, "fail", seen, cause, remedy)


def _at(port: str, look: Look) -> Stick | None:
    return next((stick for stick in look() if stick.port == port), None)


def _until(reached: Callable[[], bool]) -> bool:
    give_up_s = time.monotonic() + PATIENCE_S
    while not reached():
        if time.monotonic() > give_up_s:
            return False
        time.sleep(_POLL_S)
    return True
