"""The board and the clock in a technician's words."""

from dataclasses import replace
from pathlib import Path

import pytest

from visiond.board import Board, Throttling, parse_throttling
from visiond.doctor.machine import ask_vcgencmd, board_findings, clock_findings
from visiond.doctor.report import Finding

HEALTHY = Throttling("get_throttled", (), ())
PI = Board("Raspberry Pi 4 Model B", HEALTHY, 55.0, 1500, 1800, 4, 0.5, 4000, 3000, 9000, has_rtc=False)


def findings(board: Board) -> dict[str, Finding]:
    return {finding.name: finding for finding in board_findings(board)}


def test_a_healthy_pi_is_ok_in_all() -> None:
    found = findings(PI)
    assert {name: finding.state for name, finding in found.items()} == {
        "model": "ok", "supply": "ok", "temperature": "ok", "memory": "ok", "disk": "ok", "load": "ok",
    }  # fmt: skip
    assert found["load"].seen == "load 0.5 on 4 CPUs, clock 1500 of 1800 MHz"


def test_undervoltage_now_fails_and_names_the_supply() -> None:
    supply = findings(replace(PI, throttling=parse_throttling("50005", "get_throttled")))["supply"]
    assert supply.state == "fail"
    assert supply.cause == "the supply's voltage is too low; the board is throttled"
    assert supply.remedy is not None
    assert "5.1 V" in supply.remedy


def test_fault_23_throttling_by_heat_is_a_warning_that_asks_for_a_fan() -> None:
    """The stick itself tells no temperature; the board's throttling and the pace of --exercise are what shows."""
    supply = findings(replace(PI, throttling=parse_throttling("80008", "get_throttled")))["supply"]
    assert (supply.state, supply.remedy) == ("warn", "give the board a fan or a heat sink")
    hot = findings(replace(PI, temperature_c=84.6))["temperature"]
    assert (hot.state, hot.seen) == ("warn", "85 °C")


def test_undervoltage_that_is_over_is_a_warning() -> None:
    supply = findings(replace(PI, throttling=parse_throttling("10000", "get_throttled")))["supply"]
    assert supply.state == "warn"
    assert supply.cause == "the supply's voltage is too low, not now but before"


def test_off_a_pi_the_supply_is_skipped() -> None:
    found = findings(replace(PI, model=None, throttling=None, temperature_c=None))
    assert (found["supply"].state, found["temperature"].state) == ("skipped", "skipped")
    assert found["model"].seen == "not a Raspberry Pi, 4 CPUs"


@pytest.mark.parametrize(
    ("change", "name"),
    [({"memory_available_mb": 80.0}, "memory"), ({"disk_free_mb": 5.0}, "disk"), ({"load_1min": 9.5}, "load")],
)
def test_what_is_short_is_a_warning_with_a_command(change: dict[str, float], name: str) -> None:
    finding = findings(replace(PI, **change))[name]  # type: ignore[arg-type]
    assert finding.state == "warn"
    assert finding.remedy


def test_vcgencmd_is_asked_where_the_kernel_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "vcgencmd"
    tool.write_text('#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50000\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ask_vcgencmd() == Throttling("vcgencmd", (), ("undervoltage", "throttled"))
    assert findings(replace(PI, throttling=None))["supply"].state == "warn"


def test_a_vcgencmd_that_is_not_allowed_to_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "vcgencmd"
    tool.write_text("#!/bin/sh\necho VCHI initialization failed\nexit 255\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert ask_vcgencmd() is None


def test_the_clock_warns_until_it_is_set() -> None:
    (fine,) = clock_findings(PI, synced=True)
    (doubtful,) = clock_findings(PI, synced=False)
    assert (fine.state, doubtful.state) == ("ok", "warn")
    assert doubtful.remedy is not None
    assert doubtful.remedy.startswith("sudo timedatectl set-ntp true")
    assert "RTC" in str(doubtful.cause)
