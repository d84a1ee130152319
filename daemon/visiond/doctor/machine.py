"""The machine: supply and heat of a Raspberry Pi, memory, disk and load of any, and the clock."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from typing import Final

from visiond.board import Board, Throttling, parse_throttling
from visiond.doctor.report import Finding, State, ok, skipped, wrong

HOT_C: Final = 80.0  # a Raspberry Pi 4 and 5 slow down from 80 on, and more at 85: their documentation, "Frequency
# management and thermal control"
LEAST_MEMORY_MB: Final = 150.0  # a worker with a small model takes about 100
LEAST_DISK_MB: Final = 100.0
_VCGENCMD_S: Final = 5.0
_SUPPLY: Final = (
    "use the supply that came with the board (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5), and a powered hub for USB"
)
_WORDS: Final = {
    "undervoltage": "the supply's voltage is too low",
    "frequency_capped": "the clock is held down",
    "throttled": "the board is throttled",
    "soft_temperature_limit": "the soft temperature limit is reached",
}


def board_findings(board: Board) -> Iterator[Finding]:
    """Say what the board tells; off a Raspberry Pi, that it tells less."""
    data = {key: value for key, value in asdict(board).items() if key != "throttling"}
    yield ok("board", "model", f"{board.model or 'not a Raspberry Pi'}, {board.cpus} CPUs", **data)
    yield _power(board)
    yield _heat(board)
    yield _memory(board)
    yield _disk(board)
    if board.load_1min is not None:
        seen = f"load {board.load_1min:.1f} on {board.cpus} CPUs{_clock(board)}"
        if board.load_1min > 2 * board.cpus:
            cause = "more wants to run than the CPUs can do"
            yield wrong(
                "board", "load", "warn", seen, cause, "find out with `top`; lower fps or threads in the configuration"
            )
        else:
            yield ok("board", "load", seen)


def clock_findings(board: Board, synced: bool) -> Iterator[Finding]:
    """Say whether the wall clock may be believed; frames are stamped by another one, which needs nothing."""
    rtc = "has an RTC" if board.has_rtc else "has no RTC"
    seen = f"{'synchronized' if synced else 'not synchronized'}; the board {rtc}"
    if synced:
        yield ok("clock", "wall clock", seen, synced=synced, has_rtc=board.has_rtc)
        return
    more = "" if board.has_rtc else ", and without an RTC it is wrong after each start until then"
    cause = f"no time server has set it{more}; detections and trackers do not depend on it"
    remedy = "sudo timedatectl set-ntp true, then look at `timedatectl timesync-status`"
    yield wrong("clock", "wall clock", "warn", seen, cause, remedy, synced=synced, has_rtc=board.has_rtc)


def ask_vcgencmd() -> Throttling | None:
    """Ask the firmware through its own tool, where the kernel has no file; None without the tool or its answer."""
    tool = shutil.which("vcgencmd")
    if tool is None:
        return None
    try:
        done = subprocess.run([tool, "get_throttled"], capture_output=True, text=True, timeout=_VCGENCMD_S)
        return parse_throttling(done.stdout, "vcgencmd")
    except (OSError, ValueError, subprocess.TimeoutExpired):  # not permitted: it says so instead of a number
        return None


def _power(board: Board) -> Finding:
    throttling = board.throttling or (ask_vcgencmd() if board.is_raspberry_pi else None)
    if throttling is None:
        return skipped("board", "supply", "this board does not tell: no get_throttled, no rpi_volt, no vcgencmd")
    now, before = throttling.now, throttling.since_boot or ()
    data = {"source": throttling.source, "now": list(now), "since_boot": list(before)}
    if not now and not before:
        memory = "now" if throttling.since_boot is None else "now and since the boot"
        return ok("board", "supply", f"no undervoltage, no throttling, {memory} ({throttling.source})", **data)
    state: State = "fail" if "undervoltage" in now else "warn"
    seen = f"now: {', '.join(now) or 'nothing'}; since the boot: {', '.join(before) or 'nothing'} ({throttling.source})"
    parts = [
        _WORDS[name] if name in now else f"{_WORDS[name]}, not now but before"
        for name in _WORDS
        if name in {*now, *before}
    ]
    low = "undervoltage" in (*now, *before)
    remedy = f"{_SUPPLY}; a weak supply also makes the stick vanish" if low else "give the board a fan or a heat sink"
    return wrong("board", "supply", state, seen, "; ".join(parts), remedy, **data)


def _heat(board: Board) -> Finding:
    if board.temperature_c is None:
        return skipped("board", "temperature", "this machine does not tell")
    seen = f"{board.temperature_c:.0f} °C"
    if board.temperature_c < HOT_C:
        return ok("board", "temperature", seen, temperature_c=board.temperature_c)
    cause = f"from {HOT_C:.0f} °C on the board slows itself down"
    remedy = "give the board a fan or a heat sink"
    return wrong("board", "temperature", "warn", seen, cause, remedy, temperature_c=board.temperature_c)


def _memory(board: Board) -> Finding:
    available_mb, total_mb = board.memory_available_mb, board.memory_total_mb
    if available_mb is None or total_mb is None:
        return skipped("board", "memory", "this machine does not tell")
    seen = f"{available_mb:.0f} of {total_mb:.0f} MB available"
    if available_mb >= LEAST_MEMORY_MB:
        return ok("board", "memory", seen)
    cause = f"less than {LEAST_MEMORY_MB:.0f} MB: a worker that is started may be killed for want of memory"
    return wrong(
        "board",
        "memory",
        "warn",
        seen,
        cause,
        "end other programs (`top`, then M), or set standby: cold for the models",
    )


def _disk(board: Board) -> Finding:
    if board.disk_free_mb is None:
        return skipped("board", "disk", "this machine does not tell")
    seen = f"{board.disk_free_mb:.0f} MB free"
    if board.disk_free_mb >= LEAST_DISK_MB:
        return ok("board", "disk", seen)
    cause = "the disk is nearly full; visiond itself writes nothing, but logs and updates do"
    return wrong("board", "disk", "warn", seen, cause, "sudo journalctl --vacuum-size=50M; sudo apt clean")


def _clock(board: Board) -> str:
    if board.cpu_mhz is None or board.cpu_max_mhz is None:
        return ""
    return f", clock {board.cpu_mhz:.0f} of {board.cpu_max_mhz:.0f} MHz"
