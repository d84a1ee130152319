"""Board: fake roots of sysfs and /proc in place of a Raspberry Pi."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.board import BITS, parse_throttling, read_board, read_throttling


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_pi_tells_everything(tmp_path: Path) -> None:
    sysfs, proc = tmp_path / "sys", tmp_path / "proc"
    write(proc / "device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    write(proc / "meminfo", "MemTotal:        8046200 kB\nMemAvailable:    4096000 kB\nHugePages_Total:       0\n")
    write(proc / "loadavg", "0.52 0.58 0.59 1/467 12345\n")
    write(sysfs / "class/thermal/thermal_zone0/temp", "61322\n")
    write(sysfs / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1500000\n")
    write(sysfs / "devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "2400000\n")
    write(sysfs / "devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    (sysfs / "class/rtc/rtc0").mkdir(parents=True)
    board = read_board(sysfs, proc, tmp_path)
    assert board.model == "Raspberry Pi 5 Model B Rev 1.0"
    assert board.is_raspberry_pi
    assert board.throttling is not None
    assert board.throttling.now == board.throttling.since_boot == ("undervoltage", "throttled")
    assert board.temperature_c == pytest.approx(61.322)
    assert (board.cpu_mhz, board.cpu_max_mhz) == (1500, 2400)
    assert board.load_1min == 0.52
    assert board.memory_available_mb == 4000
    assert board.memory_total_mb == pytest.approx(7857.6, abs=0.1)
    assert board.disk_free_mb is not None
    assert board.disk_free_mb > 0
    assert board.has_rtc


def test_a_machine_that_tells_nothing_has_no_invented_numbers(tmp_path: Path) -> None:
    board = read_board(tmp_path, tmp_path, tmp_path / "missing")
    known = (board.model, board.throttling, board.temperature_c, board.cpu_mhz, board.load_1min)
    assert known == (None,) * 5
    assert (board.memory_available_mb, board.disk_free_mb) == (None, None)
    assert not board.is_raspberry_pi
    assert not board.has_rtc
    assert board.cpus >= 1


@pytest.mark.parametrize(("alarm", "now"), [("1", ("undervoltage",)), ("0", ())])
def test_without_the_firmwares_file_its_monitor_is_asked(tmp_path: Path, alarm: str, now: tuple[str, ...]) -> None:
    write(tmp_path / "class/hwmon/hwmon0/name", "cpu_thermal\n")
    write(tmp_path / "class/hwmon/hwmon1/name", "rpi_volt\n")
    write(tmp_path / "class/hwmon/hwmon1/in0_lcrit_alarm", f"{alarm}\n")
    throttling = read_throttling(tmp_path)
    assert throttling is not None
    assert (throttling.source, throttling.now, throttling.since_boot) == ("rpi_volt", now, None)


def test_a_file_of_another_kind_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "devices/platform/soc/soc:firmware/get_throttled", "not supported\n")
    assert read_throttling(tmp_path) is None


@given(st.integers(0, 15), st.integers(0, 15))
def test_each_bit_has_its_name_now_and_since_the_boot(now: int, before: int) -> None:
    value = now | before << 16
    from_kernel = parse_throttling(f"{value:x}\n", "get_throttled")
    from_tool = parse_throttling(f"throttled=0x{value:x}\n", "get_throttled")
    assert from_kernel == from_tool
    assert sum(1 << bit for bit, name in BITS.items() if name in from_kernel.now) == now
    assert from_kernel.since_boot is not None
    assert sum(1 << bit for bit, name in BITS.items() if name in from_kernel.since_boot) == before


@given(st.text(max_size=20))
def test_any_text_is_bits_or_a_value_error(text: str) -> None:
    try:
        throttling = parse_throttling(text, "any")
    except ValueError:
        return
    assert set(throttling.now) <= set(BITS.values())
