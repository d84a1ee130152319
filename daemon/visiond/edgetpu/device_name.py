"""How a stick is named in the configuration: `usb`, `usb:0`, or `usb:2-1.4` for what is plugged in there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

ALL: Final = "all"
ALL_STICKS: Final = 4  # that `all` looks for; one host controller's bandwidth does not feed more
MOST_OF_A_MODEL: Final = 6  # engines that may read a camera's ring at the same moment: frames.DEFAULT_SLOTS
_MOST_STICKS: Final = 100
_PORT: Final = re.compile(r"[1-9][0-9]{0,2}-[1-9][0-9]{0,2}(\.[1-9][0-9]{0,2}){0,6}", re.ASCII)
_FORMS: Final = "usb, usb:0 or usb:2-1.4"


@dataclass(frozen=True, slots=True)
class DeviceName:
    """Which stick is meant: the one at `port`, else number `index`, else the first."""

    index: int | None = None
    port: str | None = None

    def __str__(self) -> str:
        """As it is written in the configuration."""
        which = self.port if self.port is not None else self.index
        return "usb" if which is None else f"usb:{which}"


def parse_device(text: str) -> DeviceName:
    """Take a configured device apart. Raises ValueError, whose sentence says what to give."""
    kind, colon, which = text.strip().partition(":")
    if kind.lower() != "usb":
        raise ValueError(f"an unknown kind of accelerator, give {_FORMS}; a Coral on PCI Express is not driven")
    if not colon:
        return DeviceName()
    if which.isascii() and which.isdecimal() and int(which) < _MOST_STICKS:
        return DeviceName(index=int(which))
    if is_port(which):
        return DeviceName(port=which)
    raise ValueError(f"neither the number of a stick nor a USB port, give {_FORMS}; `visiond doctor` lists the sticks")


def parse_devices(text: str) -> tuple[DeviceName, ...]:
    """Return the sticks that a model's `device` names, with commas between them, or as `all`; `usb` is the first one.

    Raises ValueError, whose sentence says what to give.
    """
    if text == ALL:
        return tuple(DeviceName(index=number) for number in range(ALL_STICKS))
    found: list[DeviceName] = []
    for each in text.split(","):
        if each.strip() == ALL:
            raise ValueError("all stands alone: give all, or the sticks one by one")
        try:
            device = parse_device(each)
        except ValueError as error:
            raise ValueError(f'"{each.strip()}" is {error}; or all') from error
        found.append(DeviceName(index=0) if device == DeviceName() else device)
    if len(set(found)) < len(found):
        raise ValueError("names a stick twice, give each once")
    if len(found) > MOST_OF_A_MODEL:
        raise ValueError(f"names {len(found)} sticks, give {MOST_OF_A_MODEL} at most")
    return tuple(found)


def is_port(text: str) -> bool:
    """Whether it is the kernel's name of a USB device by bus and ports, 2-1.4: bus 2, port 1, the hub's port 4."""
    return _PORT.fullmatch(text) is not None


def port_order(port: str) -> tuple[int, ...]:
    """Return what sorts ports as people count: 2-9 before 2-10, a bus before the next."""
    return tuple(int(number) for number in re.split("[-.]", port))
