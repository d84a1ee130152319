"""Which Edge TPU the workshop's verbs use."""

from __future__ import annotations

from pathlib import Path

from visiond.edgetpu.sticks import find_sticks, parse_device, select
from visiond.errors import UnavailableError, UsageError
from visiond.messages import StickOrder
from visiond.modelkit.package import Package


def stick_of(package: Package, device: str | None, library: str, sysfs: Path, dev: Path) -> StickOrder | None:
    """Return the stick of `device`, which must be usable then; with None the first one, where there is one to use.

    Raises UsageError, UnavailableError in words.
    """
    if package.files.edgetpu is None:
        if device is None:
            return None
        raise UnavailableError(f"{package.name} has no files.edgetpu; add it, or leave --device out")
    try:
        wanted = parse_device(device or "usb:0")
    except ValueError as error:
        raise UsageError(f"--device {device}: {error}") from error
    found = select(find_sticks(sysfs, dev), wanted)
    if found is not None and found.reason is None:
        return StickOrder(str(wanted), found.port, library, None, {}, str(sysfs))
    if device is None:
        return None
    missing = "no such Edge TPU is plugged in; `visiond doctor` lists what is there"
    raise UnavailableError(f"--device {device}: {missing if found is None else found.reason}")
