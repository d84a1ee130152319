"""What clients need in order to relate the daemon's monotonic stamps to the world's time."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Final

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronized
_TIMESYNCD_MARKER: Final = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd.service(8)
_TIMEX_BYTES: Final = 256  # more than struct timex has on any 64-bit Linux


@functools.cache
def boot_id() -> str:
    """The kernel's id of this boot: stamps of CLOCK_MONOTONIC compare only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def wall_synced(marker: Path = _TIMESYNCD_MARKER) -> bool:
    """Whether the wall clock is known to be synchronized; that of a Pi without an RTC is not until NTP has answered.

    The kernel knows. A hardened unit may not ask it, since the same call sets the clock: then systemd-timesyncd's
    marker tells, which is there from its first answer on.
    """
    state: int = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    if state == -1:
        return marker.exists()
    return state != _TIME_ERROR


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
