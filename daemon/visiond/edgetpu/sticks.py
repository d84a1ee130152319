"""Coral USB sticks in sysfs: both of their ids, port, speed, and what keeps this process from using them.

Nothing is opened and nothing on the bus is touched: it may be asked at any time, also while a worker uses the stick.
"""

from __future__ import annotations

import errno
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from visiond.edgetpu.device_name import DeviceName, is_port, parse_device, port_order
from visiond.edgetpu.holders import describe, node_holder
from visiond.edgetpu.permission import BOOTLOADER_ID, READY_ID, permission_problem

__all__ = ["DeviceName", "Stick", "find_sticks", "matches", "parse_device", "select"]

SUPERSPEED_MBPS: Final = 5000.0
_OWN_FAULTS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_STATES: Final = {BOOTLOADER_ID: "bootloader", READY_ID: "ready"}


@dataclass(frozen=True, slots=True)
class Stick:
    """One stick, as it was when it was looked at.

    `port` is the kernel's name for where it is plugged in and stays when the stick re-enumerates; `node` and `usb_id`
    change then. `index` counts the sticks in order of their ports, from 0. It is not libedgetpu's number, which puts
    those in the bootloader before the others and so changes at each start of one: see `library.usb_ports`.
    `state` is `bootloader`, `ready`, `no_permission` or `busy`; `reason` says for the last two why, and the remedy;
    `remark` is what does not hinder but should be mended.
    """

    port: str
    index: int
    state: str
    reason: str | None
    speed_mbps: float | None
    serial: str | None
    node: Path
    usb_id: str
    product: str | None
    remark: str | None


def find_sticks(
    sysfs: Path = Path("/sys"),
    dev: Path = Path("/dev"),
    proc: Path = Path("/proc"),
    ours: Container[int] = (),
) -> tuple[Stick, ...]:
    """Return every stick in order of ports; none where the kernel has no USB. A process in `ours` does not make busy.

    A stick that vanishes or re-enumerates while it is looked at is left out: the next look finds it. While the kernel
    resets or configures a stick, reading its strings waits for that (drivers/usb/core/sysfs.c): not for an event loop.
    Raises OSError where this process cannot look at all, for want of descriptors or memory: no stick has gone by that.
    """
    ports = sorted(filter(is_port, _names(_devices(sysfs))), key=port_order)
    found = [stick for port in ports if (stick := _stick(port, sysfs, dev, proc, ours)) is not None]
    return tuple(replace(stick, index=index) for index, stick in enumerate(found))


def matches(stick: Stick, device: DeviceName) -> bool:
    """Whether the configured `device` means this stick."""
    if device.port is not None:
        return stick.port == device.port
    return stick.index == (device.index or 0)


def select(sticks: Iterable[Stick], device: DeviceName) -> Stick | None:
    """Return the stick that the configured `device` means, whatever its state; None where it is not plugged in."""
    return next((stick for stick in sticks if matches(stick, device)), None)


def _devices(sysfs: Path) -> Path:
    return sysfs / "bus" / "usb" / "devices"


def _stick(port: str, sysfs: Path, dev: Path, proc: Path, ours: Container[int]) -> Stick | None:
    folder = _devices(sysfs) / port
    usb_id = f"{_attribute(folder, 'idVendor')}:{_attribute(folder, 'idProduct')}".lower()
    bus, number = _attribute(folder, "busnum"), _attribute(folder, "devnum")
    if usb_id not in _STATES or bus is None or number is None or not (bus.isdecimal() and number.isdecimal()):
        return None
    node = dev / "bus" / "usb" / f"{int(bus):03}" / f"{int(number):03}"
    speed_mbps = _speed(_attribute(folder, "speed"))
    state, reason = _STATES[usb_id], _switched_off(folder, port) or permission_problem(node)
    if reason is not None:
        state = "no_permission"
    else:
        reason = _holder(port, sysfs, node, proc, ours)
        state = state if reason is None else "busy"
    serial, product = _attribute(folder, "serial"), _attribute(folder, "product")
    if (_attribute(folder, "devnum"), _attribute(folder, "idProduct")) != (number, usb_id.split(":")[1]):
        return None  # unplugged or re-enumerated meanwhile: what was read belongs to two devices
    return Stick(port, 0, state, reason, speed_mbps, serial, node, usb_id, product, _slow(port, speed_mbps))


def _attribute(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text(errors="replace").strip() or None
    except OSError as error:  # the device has gone, or has no such thing: a stick in the bootloader has no serial
        _raise_own_fault(error)
        return None


def _speed(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:  # the kernel writes "unknown" as well
        return None


def _slow(port: str, speed_mbps: float | None) -> str | None:
    if speed_mbps is None or speed_mbps >= SUPERSPEED_MBPS:
        return None
    return (
        f"the stick at port {port} is connected with {speed_mbps:g} Mbit/s instead of {SUPERSPEED_MBPS:g}, which makes "
        "inference 4 to 10 times slower: plug it into a blue USB 3 port, with a USB 3 cable and without a USB 2 hub"
    )


def _switched_off(folder: Path, port: str) -> str | None:
    """Say that somebody has taken the device's configuration away, as an interrupted reset does."""
    if _attribute(folder, "authorized") != "0":
        return None
    return f"the stick at port {port} is switched off: run echo 1 | sudo tee {folder / 'authorized'}, or unplug it once"


def _holder(port: str, sysfs: Path, node: Path, proc: Path, ours: Container[int]) -> str | None:
    """Say who uses the stick. Only a claimed interface counts: `lsusb` opens the node as well, for a moment."""
    if "usbfs" not in _drivers(port, sysfs):
        return None
    pid = node_holder(node, proc, first=ours)
    if pid is not None and pid in ours:
        return None
    more = f"`ps -fp {pid}` shows what it is" if pid is not None else f"`sudo fuser -v {node}` names it"
    return f"the stick at port {port} is used by {describe(pid, proc)}; {more}: stop it, one program can use a stick"


def _drivers(port: str, sysfs: Path) -> Sequence[str]:
    """Return the drivers bound to the device's interfaces; a program that claims one through libusb is `usbfs`."""
    found = []
    for folder in (_devices(sysfs), _devices(sysfs) / port):  # the kernel lists them in both
        for name in _names(folder):
            if name.startswith(f"{port}:"):
                try:
                    found.append((folder / name / "driver").readlink().name)
                except OSError as error:  # no driver is bound, or the interface has gone
                    _raise_own_fault(error)
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError as error:  # no USB here, or the device has gone
        _raise_own_fault(error)
        return []


def _raise_own_fault(error: OSError) -> None:
    if error.errno in _OWN_FAULTS:
        raise error
