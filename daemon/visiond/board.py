"""The board under the daemon: supply and heat as a Raspberry Pi tells them, and clock, memory, disk and load of any.

All of it comes from small files of the kernel, so that it may be read at any time. What this machine does not tell is
None, and never a number that was made up.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# What `vcgencmd get_throttled` and the kernel's file of that name tell: Raspberry Pi documentation, "vcgencmd",
# get_throttled. The same conditions since the boot are 16 bits above.
BITS: Final = {0: "undervoltage", 1: "frequency_capped", 2: "throttled", 3: "soft_temperature_limit"}
SINCE_BOOT: Final = 16
# Raspberry Pi's kernel has had it here since 4.14; the name of the `soc` node in front of it depends on the board.
_THROTTLED: Final = ("devices/platform/soc/soc:firmware/get_throttled", "devices/platform/soc*/*firmware/get_throttled")


@dataclass(frozen=True, slots=True)
class Throttling:
    """Which of BITS hold `now`, and which have held since the boot; None where `source` does not remember."""

    source: str
    now: tuple[str, ...]
    since_boot: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB; None for what the kernel does not tell."""

    total_mb: float | None
    available_mb: float | None


@dataclass(frozen=True, slots=True)
class Board:
    """What was found at one moment; None for what this machine does not tell."""

    model: str | None
    throttling: Throttling | None
    temperature_c: float | None
    cpu_mhz: float | None
    cpu_max_mhz: float | None
    cpus: int
    load_1min: float | None
    memory_total_mb: float | None
    memory_available_mb: float | None
    disk_free_mb: float | None
    has_rtc: bool

    @property
    def is_raspberry_pi(self) -> bool:
        """Whether it calls itself one."""
        return self.model is not None and self.model.startswith("Raspberry Pi")


def read_board(sysfs: Path = Path("/sys"), proc: Path = Path("/proc"), disk: Path = Path("/")) -> Board:
    """Look at everything once, in about a millisecond; `disk` is a folder on the disk that is meant, a local one."""
    memory = read_memory(proc)
    cpu = sysfs / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"
    load = _text(proc / "loadavg")
    return Board(
        model=_text(proc / "device-tree" / "model"),
        throttling=read_throttling(sysfs),
        temperature_c=_number(sysfs / "class" / "thermal" / "thermal_zone0" / "temp", 1000),
        cpu_mhz=_number(cpu / "scaling_cur_freq", 1000),
        cpu_max_mhz=_number(cpu / "cpuinfo_max_freq", 1000),
        cpus=os.cpu_count() or 1,
        load_1min=_as_number(load.split()[0]) if load else None,
        memory_total_mb=memory.total_mb,
        memory_available_mb=memory.available_mb,
        disk_free_mb=_disk_free_mb(disk),
        has_rtc=(sysfs / "class" / "rtc" / "rtc0").exists(),
    )


def read_memory(proc: Path = Path("/proc")) -> Memory:
    """Return how much memory there is, and how much of it new processes may take."""
    sizes_mb = dict(_memory_mb(proc))
    return Memory(sizes_mb.get("MemTotal"), sizes_mb.get("MemAvailable"))


def read_throttling(sysfs: Path = Path("/sys")) -> Throttling | None:
    """Return what the firmware tells through the kernel, else the undervoltage alarm of its monitor, else None."""
    for path in (found for pattern in _THROTTLED for found in sorted(sysfs.glob(pattern))):
        text = _text(path)
        if text is not None:
            try:
                return parse_throttling(text, "get_throttled")
            except ValueError:  # not the file that was meant
                continue
    for monitor in sorted((sysfs / "class" / "hwmon").glob("hwmon*")):
        # Documentation/hwmon/raspberrypi-hwmon.rst of the kernel
        if _text(monitor / "name") == "rpi_volt" and (alarm := _text(monitor / "in0_lcrit_alarm")) in ("0", "1"):
            return Throttling("rpi_volt", ("undervoltage",) if alarm == "1" else (), None)
    return None


def parse_throttling(text: str, source: str) -> Throttling:
    """Read the hexadecimal number of the kernel's file, `50005`, or vcgencmd's line, `throttled=0x50005`.

    Raises ValueError for anything else.
    """
    value = int(text.strip().removeprefix("throttled="), 16)
    if value < 0:
        raise ValueError(f"{text!r} is no set of bits")
    now = tuple(name for bit, name in BITS.items() if value >> bit & 1)
    return Throttling(source, now, tuple(name for bit, name in BITS.items() if value >> bit + SINCE_BOOT & 1))


def _memory_mb(proc: Path) -> Iterator[tuple[str, float]]:
    """Yield name and size of each line of /proc/meminfo that counts in kB; proc(5)."""
    for line in (_text(proc / "meminfo") or "").splitlines():
        name, _, size = line.partition(":")
        value = _as_number(size.removesuffix("kB"))
        if value is not None:
            yield name, value / 1024


def _disk_free_mb(folder: Path) -> float | None:
    try:
        status = os.statvfs(folder)
    except OSError:
        return None
    return status.f_bavail * status.f_frsize / 2**20


def _number(path: Path, divisor: float) -> float | None:
    value = _as_number(_text(path) or "")
    return None if value is None else value / divisor


def _as_number(text: str) -> float | None:
    try:
        return int(text) if text.strip().lstrip("-").isdecimal() else float(text)
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    """Return a small file's text without the zero byte that ends those of the device tree; None where there is none."""
    try:
        return path.read_text(errors="replace").strip().rstrip("\0").strip() or None
    except OSError:  # the kernel has no such file, or its driver refuses
        return None
