"""What clients need in order to relate the daemon's monotonic stamps to the world's time."""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path
from typing import Final

_TIME_ERROR: Final = 5  # adjtimex(2): the clock is not synchronized
_TIMEX_BYTES: Final = 256  # more than struct timex has on any 64-bit Linux


@functools.cache
def boot_id() -> str:
    """The kernel's id of this boot: stamps of CLOCK_MONOTONIC compare only within one."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def wall_synced() -> bool:
    """Whether the kernel holds the wall clock to be synchronized; a Pi without an RTC is not until NTP has answered."""
    state: int = _libc().adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    return state not in (-1, _TIME_ERROR)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
