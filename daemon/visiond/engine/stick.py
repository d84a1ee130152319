"""From a stick in sysfs to the delegate that opens it: the lock, and the number that libedgetpu has for it now.

Both load or precede the library, which may abort: only in a process that may die.
"""

from __future__ import annotations

from pathlib import Path

from visiond.edgetpu.delegate_options import delegate_options
from visiond.edgetpu.library import find_library, library_problem, usb_ports
from visiond.edgetpu.stick_lock import StickLock
from visiond.engine.edgetpu import NO_DEVICE, NO_LIBRARY, DelegateFailed, DelegateOrder, delegate_version
from visiond.errors import UnavailableError
from visiond.messages import StickOrder


def claim_stick(stick: StickOrder | None) -> StickLock | None:
    """Become the stick's owner: a second opener would crash the first. Raises StickBusy before anything touches it."""
    return None if stick is None else StickLock.acquire(stick.port, Path(stick.sysfs))


def delegate_order(stick: StickOrder) -> DelegateOrder:
    """Which delegate to load; loads the library to ask for the number that the stick has for it at this moment.

    Take it within `stick_lock.opening_turn`. Raises DelegateFailed in words.
    """
    library = find_library(stick.library) or Path(stick.library)
    if problem := library_problem(library):
        raise DelegateFailed(problem, NO_LIBRARY)
    delegate_version(library)  # says in words why it cannot be loaded
    try:
        ports = usb_ports(library)
    except UnavailableError as error:
        raise DelegateFailed(str(error), NO_LIBRARY) from error
    if stick.port not in ports:  # another number would be another stick, and its owner would crash
        seen = ", ".join(ports) or "none"
        raise DelegateFailed(f"{library.name} does not see the stick at port {stick.port} (it sees {seen})", NO_DEVICE)
    return DelegateOrder(str(library), delegate_options(ports.index(stick.port), stick.performance, stick.usb))
