"""What the daemon's status says of its sticks and models becomes findings: the cause, and the remedy that fits it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import pytest

from visiond.client import Status
from visiond.doctor import running
from visiond.doctor.report import Finding
from visiond.doctor.running import Running, age_of, daemon_findings, stick_findings
from visiond.doctor.stick_states import RECOMPILE
from visiond.edgetpu.sticks import Stick
from visiond.engine.served import NO_EDGETPU_FILE

WORKER: dict[str, Any] = {"name": "usb:0", "engine": "edgetpu", "state": "starting", "failures": 0}
WORKER |= {"last_failure": None, "golden": None}
STICK: dict[str, Any] = {"device": "usb:0", "state": "opening", "reason": None, "port": "2-1", "usb_id": "1a6e:089a"}
STICK |= {"speed_mbps": 5000.0, "serial": None, "remark": None, "pid": None, "models": ["objects"]}
ENGINE: dict[str, Any] = {"state": "ready", "engine": "cpu", "degraded": True, "runtime": None, "invoke_ms": None}
ENGINE |= {"restarts": 0, "golden": None, "reason": None, "slow": None}
CRASH = "the process died of SIGABRT, its last words: F usb_driver.cc: 857; transfer failed"
MISSING = "tflite-runtime is not installed; python -m pip install tflite-runtime"
GOLDEN = {"passed": 0, "failed": 1, "failures": ["cat.jpg: expected cat ≥ 0.60; no cat; best is dog 0.40"]}
AT_2_1 = Stick("2-1", 0, "ready", None, 5000.0, None, Path("/dev/bus/usb/002/002"), "18d1:9302", None, None)


def asked(stick: dict[str, Any], worker: dict[str, Any] | None = None, engine: dict[str, Any] | None = None) -> Running:
    one = {**ENGINE, "workers": [{**WORKER, **(worker or {})}], **(engine or {})}
    status = {"state": "degraded", "reason": "why", "uptime_s": 3.0}
    status |= {"engines": {"objects": one}, "edgetpus": [{**STICK, **stick}]}
    return Running(Path("/run/v.sock"), 12, cast(Status, status), None)


def of_stick(stick: dict[str, Any], worker: dict[str, Any] | None = None, *sticks: Stick) -> Finding:
    (finding,) = stick_findings(asked(stick, worker), sticks)
    return finding


def of_model(engine: dict[str, Any], stick: dict[str, Any] | None = None) -> Finding:
    _, finding = daemon_findings(asked(stick or {"state": "in_use"}, engine=engine), Path("/run/v.sock"))
    return finding


def test_an_opening_that_goes_well_is_ok() -> None:
    finding = of_stick({})
    assert finding.state == "ok"
    assert "which takes 2 to 4 s" in finding.seen


@pytest.mark.parametrize("state", ["opening", "bootloader", "ready"])
def test_an_opening_that_has_failed_before_is_a_warning_with_what_failed(state: str) -> None:
    finding = of_stick({"state": state}, {"failures": 2, "last_failure": CRASH})
    assert finding.state == "warn"
    assert finding.cause == f"it has failed 2 times: {CRASH}"
    assert "2 to 4 s" not in finding.seen


def test_a_reason_beside_a_good_state_is_a_warning() -> None:
    finding = of_stick({"state": "ready", "reason": "its trial lasts; wait"})
    assert (finding.state, finding.cause, finding.remedy) == ("warn", "its trial lasts", "wait")


def test_a_long_opening_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "age_of", lambda pid: 40.0 if pid == 77 else None)
    finding = of_stick({"pid": 77})
    assert finding.state == "warn"
    assert "process 77 has been at it for 40 s" in str(finding.cause)
    assert of_stick({"pid": 78}).state == "ok"


def test_the_age_of_a_process() -> None:
    ours_s, inits_s = age_of(os.getpid()), age_of(1)
    assert ours_s is not None
    assert inits_s is not None
    assert 0 <= ours_s <= inits_s
    assert age_of(2**22 + 1) is None  # past the kernel's largest


def test_what_worked_and_failed_long_ago_is_ok() -> None:
    assert of_stick({"state": "in_use"}, {"state": "ready", "failures": 3, "last_failure": CRASH}).state == "ok"


def test_a_missing_runtime_is_no_reason_to_unplug_the_stick() -> None:
    finding = of_stick({"state": "failed"}, {"state": "failed", "failures": 1, "last_failure": MISSING})
    assert (finding.state, finding.cause) == ("fail", "tflite-runtime is not installed")
    assert finding.remedy == "python -m pip install tflite-runtime"


def test_a_crash_is_not_cut_and_has_the_states_remedy() -> None:
    finding = of_stick({"state": "failed"}, {"state": "failed", "failures": 1, "last_failure": CRASH})
    assert finding.cause == CRASH
    assert "unplug the stick" in str(finding.remedy)


def test_golden_examples_that_fail_are_the_models_matter() -> None:
    finding = of_stick({"state": "in_use"}, {"state": "ready", "golden": GOLDEN})
    assert (finding.state, finding.remedy) == ("warn", RECOMPILE)
    assert str(finding.cause).endswith(GOLDEN["failures"][0])
    assert of_stick({"state": "failed", "reason": f"its trial has failed: {CRASH}"}).remedy == RECOMPILE


@pytest.mark.parametrize(
    ("state", "reason", "cause", "remedy"),
    [
        ("no_permission", "no permission for /dev/x: printf 'a: b; c'", "no permission for /dev/x", "printf 'a: b; c'"),
        ("no_library", "lib is empty: sudo apt install y", "lib is empty", "sudo apt install y"),
        (
            "busy",
            "used by process 3 (a; b); `ps` shows it: stop it",
            "used by process 3 (a; b)",
            "`ps` shows it: stop it",
        ),
    ],
)
def test_a_reason_is_taken_apart_by_its_state(state: str, reason: str, cause: str, remedy: str) -> None:
    finding = of_stick({"state": state, "reason": reason})
    assert (finding.cause, finding.remedy) == (cause, remedy)
    assert cause not in finding.seen


def test_a_model_without_a_twin_for_the_stick_is_told_once_and_not_here() -> None:
    """The part about models tells it, with the remedy."""
    assert of_model({"degraded": False, "reason": NO_EDGETPU_FILE}).state == "ok"
    assert of_model({"degraded": False, "reason": "another one"}).state == "warn"


def test_an_absent_stick_is_looked_for_at_other_ports() -> None:
    absent = {"state": "absent", "port": None, "usb_id": None, "speed_mbps": None, "reason": "none; ask doctor"}
    finding = of_stick({**absent, "device": "usb:9-9"}, None, AT_2_1)
    assert str(finding.remedy).startswith("set models.objects.device: usb:2-1, where a stick is")
    assert str(of_stick(absent, None, AT_2_1).remedy).startswith("plug the stick into")


def test_a_model_is_sent_to_usb_only_where_something_is_wrong_there() -> None:
    assert of_model({"reason": "it is slow"}, {"state": "failed"}).remedy == "see usb below"
    assert of_model({"reason": "none at usb:0; ask doctor"}, {"state": "absent"}).remedy == "see usb below"
    assert of_model({"reason": "it is slow"}).remedy == "journalctl -u visiond -n 50"
    assert of_model({"reason": "it is hot; give it air"}).remedy == "give it air"


def test_a_models_golden_failure_is_told_whole_with_the_remedy_of_its_engine() -> None:
    on_cpu = of_model({"golden": GOLDEN})
    assert on_cpu.cause == GOLDEN["failures"][0]
    assert str(on_cpu.remedy).startswith("correct files.cpu")
    assert of_model({"golden": GOLDEN, "engine": "edgetpu"}).remedy == RECOMPILE
    reason = "runs on the CPU: usb:0 does not reproduce the golden examples: cat.jpg: no cat; best is dog"
    assert (of_model({"reason": reason}).cause, of_model({"reason": reason}).remedy) == (reason, RECOMPILE)
