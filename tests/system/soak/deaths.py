"""The second part: the parent itself ends, in every way, and systemd brings it back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from system.soak import device, sticks
from system.soak.bounds import BACK_S, ORPHANS_S, STOP_S, WATCHDOG_S
from system.soak.stage import NotSeen, Stage


@dataclass(frozen=True, slots=True)
class Death:
    """`end` returns when (CLOCK_MONOTONIC) the service was to begin anew."""

    name: str
    end: Callable[[Stage], float]
    bound_s: float


def _killed(number: signal.Signals) -> Callable[[Stage], float]:
    def end(_: Stage) -> float:
        at_s = time.monotonic()
        device.tell(number)
        return at_s

    return end


def _restarted(_: Stage) -> float:
    at_s = time.monotonic()
    device.systemctl("restart", "visiond")
    return at_s


def _restarted_in_a_hang(stage: Stage) -> float:
    """Stopped while an invoke hangs: the worker must not hold up the stop."""
    sticks.sim("fail", "hang", "--times=1")
    return _restarted(stage)


def _killed_without_stick(_: Stage) -> float:
    sticks.sim("unplug")
    at_s = time.monotonic()
    device.tell(signal.SIGKILL)
    time.sleep(1)
    sticks.sim("plug")
    return at_s


def _misconfigured(stage: Stage) -> float:
    """Exit 78, which is not tried again; then somebody mends it."""
    device.put("cameras: {}\n")
    device.systemctl("restart", "visiond", check=False)
    time.sleep(1)
    status, state = device.show("ExecMainStatus"), device.show("ActiveState")
    device.configure(stage.config)
    if (status, state) != ("78", "failed"):
        raise NotSeen(f"a wrong configuration: exit status {status}, {state}")
    at_s = time.monotonic()
    device.systemctl("start", "visiond")
    return at_s


DEATHS: Final = (
    Death("parent: SIGKILL", _killed(signal.SIGKILL), BACK_S),
    Death("parent: SIGABRT", _killed(signal.SIGABRT), BACK_S),
    Death("systemctl restart", _restarted, STOP_S + BACK_S),
    Death("parent: SIGSEGV", _killed(signal.SIGSEGV), BACK_S),
    Death("parent: SIGSTOP, so that the watchdog ends it", _killed(signal.SIGSTOP), WATCHDOG_S),
    Death("systemctl restart in a hung invoke", _restarted_in_a_hang, STOP_S + BACK_S),
    Death("a wrong configuration, and mended", _misconfigured, BACK_S),
    Death("parent: SIGKILL while the stick is away", _killed_without_stick, BACK_S),
)


def die(stage: Stage, death: Death) -> float:
    """End the parent and wait for the next one's first detection; return how long that took.

    Raises NotSeen where it takes too long, or where a worker of the one before is left.
    """
    before, instance = stage.parent, stage.witness.instance
    workers = list(device.workers(before).values())
    at_s = death.end(stage)
    back_s = stage.witness.until_reborn(instance, 4 * death.bound_s)
    if back_s is None:
        raise NotSeen(f"no detection within {4 * death.bound_s:g} s; the service is {device.show('ActiveState')}")
    if back_s - at_s > death.bound_s:
        raise NotSeen(f"no detection before {back_s - at_s:.2f} s, and {death.bound_s:g} s are allowed")
    if not device.gone([before, *workers], ORPHANS_S):
        raise NotSeen("processes of the one before are left")
    return back_s - at_s
