"""The sticks on USB, as sysfs shows them: nothing is opened, so that it may be asked beside a running daemon."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from visiond.doctor.models import Wanted
from visiond.doctor.report import Finding, State, ok, skipped, wrong
from visiond.doctor.stick_states import STICK_STATES, stick_reason
from visiond.edgetpu.device_name import DeviceName
from visiond.edgetpu.stick_lock import StickAbsent, StickBusy, StickLock
from visiond.edgetpu.sticks import Stick, matches, select

_FREE: Final = ("bootloader", "ready")


def usb_findings(
    sticks: Sequence[Stick], wanted: Sequence[Wanted], owned: Collection[str], daemon_runs: bool
) -> Iterator[Finding]:
    """Say what is plugged in and what is missing; sticks at the ports `owned` are the daemon's, which tells of them.

    Where it runs, it also tells what it misses, by a configuration that may be another one.
    """
    for stick in sticks:
        if stick.port not in owned:
            yield from _stick(stick)
    if daemon_runs:
        if not sticks and not owned:
            yield skipped("usb", "sticks", "no Coral USB stick is plugged in; what the daemon misses, it tells above")
        return
    if not sticks and not wanted:
        yield skipped("usb", "sticks", "no Coral USB stick is plugged in, and no model wants one")
    for device in dict.fromkeys(device for model in wanted for device in missing_devices(model, sticks)):
        models = [model for model in wanted if device in missing_devices(model, sticks)]
        yield _missing(device, models, sticks)


def no_sysfs(sysfs: Path, wanted: Sequence[Wanted]) -> Finding:
    """Say that the folder, in which sticks are looked for, is not there."""
    state: State = "fail" if any(model.is_required for model in wanted) else "warn"
    cause = f"edgetpu.sysfs: the folder {sysfs} does not exist, so that no stick can be found"
    return wrong("usb", "sysfs", state, "not there", cause, "leave edgetpu.sysfs out: then it is /sys")


def missing_devices(model: Wanted, sticks: Sequence[Stick]) -> tuple[DeviceName, ...]:
    """Return the configured sticks that are not plugged in; of `device: all`, one must be."""
    devices = model.devices[:1] if model.settings.device == "all" else model.devices
    return tuple(device for device in devices if select(sticks, device) is None)


def free_sticks(sticks: Sequence[Stick], model: Wanted, owned: Collection[str]) -> Iterator[Stick]:
    """Yield the sticks that the model may use and nobody has."""
    for stick in sticks:
        if stick.state in _FREE and stick.port not in owned and any(matches(stick, d) for d in model.devices):
            yield stick


def _stick(stick: Stick) -> Iterator[Finding]:
    name = f"stick at port {stick.port}"
    known = STICK_STATES[stick.state]
    speed = "speed not known" if stick.speed_mbps is None else f"{stick.speed_mbps:g} Mbit/s"
    serial = f", serial {stick.serial}" if stick.serial else ""
    seen = f"usb:{stick.index}, {stick.usb_id} {stick.state}, {speed}{serial}"
    data: dict[str, Any] = {
        "port": stick.port,
        "index": stick.index,
        "usb_id": stick.usb_id,
        "state": stick.state,
        "speed_mbps": stick.speed_mbps,
        "serial": stick.serial,
        "node": str(stick.node),
    }
    if stick.reason is None:
        yield ok("usb", name, f"{seen}: {known.meaning}", **data)
    else:
        cause, remedy = stick_reason(stick.state, stick.reason, str(known.remedy))
        yield wrong("usb", name, "fail", seen, cause, remedy, **data)
    if stick.remark is not None:
        cause, _, remedy = stick.remark.partition(": ")
        yield wrong("usb", f"{name}, speed", "warn", speed, cause, remedy, speed_mbps=stick.speed_mbps)


def _missing(device: DeviceName, models: Sequence[Wanted], sticks: Sequence[Stick]) -> Finding:
    names = ", ".join(model.name for model in models)
    state: State = "fail" if any(model.is_required for model in models) else "warn"
    instead = "has no results" if state == "fail" else "runs on the CPU"
    cause = f"no Coral USB stick is plugged in as {device}, and the model {names} wants it: it {instead}"
    remedy = name_instead(device, [model.name for model in models], sticks) or str(STICK_STATES["absent"].remedy)
    return wrong("usb", f"stick {device}", state, "not there", cause, remedy)


def name_instead(device: DeviceName, models: Sequence[str], sticks: Sequence[Stick]) -> str | None:
    """Say how to name the sticks that are there, where `device` names a port without one; None where none is there."""
    if device.port is None or not sticks:
        return None
    devices = ",".join(f"usb:{stick.port}" for stick in sticks)
    many = "sticks are" if len(sticks) > 1 else "a stick is"
    keys = " and ".join(f"models.{name}.device: {devices}" for name in models)
    return f"set {keys}, where {many}, or plug one in at port {device.port}"


def hold_apart(sticks: Sequence[Stick], sysfs: Path) -> tuple[Stick, ...]:
    """Return the sticks, those as `busy` that another visiond has locked: sysfs shows only who has opened one.

    Each lock is taken for a moment: not beside a running daemon of ours, which may be about to take it.
    """
    return tuple(_unless_locked(stick, sysfs) for stick in sticks)


def _unless_locked(stick: Stick, sysfs: Path) -> Stick:
    if stick.state not in _FREE:
        return stick
    try:
        StickLock.acquire(stick.port, sysfs).release()
    except StickBusy as error:
        return replace(stick, state="busy", reason=str(error))
    except StickAbsent:  # unplugged since it was looked at; the trial says so
        return stick
    return stick
