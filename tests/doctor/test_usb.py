"""Sticks on a fake bus: what is plugged in, what is wrong with it, what is missing."""

import os

import pytest

from doctor.conftest import Place
from edgetpu_sim.simulator import Simulator
from visiond.doctor.models import read_setup
from visiond.doctor.report import Finding
from visiond.doctor.usb import free_sticks, hold_apart, usb_findings
from visiond.edgetpu.permission import RULES
from visiond.edgetpu.stick_lock import StickLock
from visiond.edgetpu.sticks import find_sticks


def look(place: Place, owned: frozenset[str] = frozenset(), daemon_runs: bool = False) -> dict[str, Finding]:
    setup = read_setup(place.write())
    sticks = find_sticks(place.simulator.sysfs, place.simulator.dev)
    return {finding.name: finding for finding in usb_findings(sticks, setup.wanted, owned, daemon_runs)}


def test_a_stick_in_the_bootloader_and_a_ready_one_are_fine(place: Place) -> None:
    place.simulator.stick(1).plug(bootloader=False, serial="A1")
    found = look(place)
    assert [finding.state for finding in found.values()] == ["ok", "ok"]
    first, second = found["stick at port 2-1"], found["stick at port 2-2"]
    assert (first.data["usb_id"], first.data["state"], first.data["index"]) == ("1a6e:089a", "bootloader", 0)
    assert (second.data["usb_id"], second.data["state"], second.data["serial"]) == ("18d1:9302", "ready", "A1")
    assert "5000 Mbit/s, serial A1" in second.seen


def test_usb_2_is_a_warning_with_what_it_costs(place: Place) -> None:
    place.simulator.stick(0).plug(speed="480")
    speed = look(place)["stick at port 2-1, speed"]
    assert (speed.state, speed.data["speed_mbps"]) == ("warn", 480)
    assert "4 to 10 times slower" in str(speed.cause)
    assert "blue USB 3 port" in str(speed.remedy)


def test_fault_19_a_stick_without_permission_comes_with_the_exact_rules(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # the tests may run as root, who may everything
    finding = look(place)["stick at port 2-1"]
    assert (finding.state, finding.data["state"]) == ("fail", "no_permission")
    assert str(finding.cause).startswith("no permission for ")
    assert all(f"'{rule}'" in str(finding.remedy) for rule in RULES)
    assert "udevadm control --reload" in str(finding.remedy)


def test_a_stick_that_another_program_has_names_it(place: Place) -> None:
    place.simulator.stick(0).claim_interface()
    with place.simulator.stick(0).tree.node(place.simulator.stick(0).get("devnum")).open():
        finding = look(place)["stick at port 2-1"]
    assert (finding.state, finding.data["state"]) == ("fail", "busy")
    assert f"process {os.getpid()}" in str(finding.cause)
    assert "stop it" in str(finding.remedy)


@pytest.mark.parametrize(("accelerator", "state"), [("prefer", "warn"), ("required", "fail")])
def test_a_missing_stick_counts_by_the_policy_of_its_model(place: Place, accelerator: str, state: str) -> None:
    place.simulator.stick(0).unplug()
    place.settings["accelerator"] = accelerator
    assert [(name, finding.state) for name, finding in look(place).items()] == [("stick usb:0", state)]


def test_no_stick_and_nobody_who_wants_one_is_skipped(place: Place) -> None:
    place.simulator.stick(0).unplug()
    place.settings["accelerator"] = "never"
    assert [finding.state for finding in look(place).values()] == ["skipped"]


def test_of_all_one_must_be_there_and_of_two_named_ones_both(place: Place) -> None:
    place.settings["device"] = "all"
    assert list(look(place)) == ["stick at port 2-1"]
    place.settings["device"] = "usb:0,usb:2-4"
    assert list(look(place)) == ["stick at port 2-1", "stick usb:2-4"]


def test_what_the_daemon_owns_is_left_to_it(place: Place) -> None:
    place.simulator.stick(1).plug()
    assert list(look(place, frozenset({"2-1"}), daemon_runs=True)) == ["stick at port 2-2"]


def test_free_sticks_are_those_of_the_model_that_nobody_has(place: Place) -> None:
    simulator: Simulator = place.simulator
    simulator.stick(1).plug()
    simulator.stick(2).plug()
    simulator.stick(2).claim_interface()
    place.settings["device"] = "all"
    (model,) = read_setup(place.write()).wanted
    sticks = find_sticks(simulator.sysfs, simulator.dev)
    assert [stick.port for stick in free_sticks(sticks, model, frozenset({"2-1"}))] == ["2-2"]
    place.settings["device"] = "usb"
    (model,) = read_setup(place.write()).wanted
    assert [stick.port for stick in free_sticks(sticks, model, frozenset())] == ["2-1"]


def test_a_port_without_a_stick_is_told_which_port_has_one(place: Place) -> None:
    place.settings["device"] = "usb:9-9"
    missing = look(place)["stick usb:9-9"]
    assert missing.state == "warn"
    assert str(missing.remedy).startswith("set models.objects.device: usb:2-1, where a stick is")
    place.simulator.stick(0).unplug()
    assert str(look(place)["stick usb:9-9"].remedy).startswith("plug the stick into a blue USB 3 port")


def test_beside_a_daemon_no_stick_at_all_is_said(place: Place) -> None:
    place.simulator.stick(0).unplug()
    assert look(place, daemon_runs=True)["sticks"].state == "skipped"
    assert look(place, frozenset({"2-1"}), daemon_runs=True) == {}


def test_a_stick_that_another_visiond_has_locked_is_busy(place: Place) -> None:
    """sysfs shows nothing yet while that one waits to open it."""
    sysfs = place.simulator.sysfs
    sticks = find_sticks(sysfs, place.simulator.dev)
    assert hold_apart(sticks, sysfs) == sticks
    with StickLock.acquire("2-1", sysfs):
        (held,) = hold_apart(sticks, sysfs)
        (finding,) = usb_findings([held], (), frozenset(), daemon_runs=False)
    assert (finding.state, finding.data["state"]) == ("fail", "busy")
    assert f"process {os.getpid()} (" in str(finding.cause)
    assert finding.remedy == "stop it, one program can use a stick"
    assert hold_apart(sticks, sysfs) == sticks


@pytest.mark.parametrize(("accelerator", "state"), [("prefer", "warn"), ("required", "fail")])
def test_a_sysfs_that_is_not_there_is_named(place: Place, accelerator: str, state: str) -> None:
    place.settings["accelerator"] = accelerator
    place.edgetpu["sysfs"] = "/nowhere"
    found = {key: finding for key, finding in place.examine().items() if key[0] == "usb"}
    assert list(found) == [("usb", "sysfs")]
    assert found["usb", "sysfs"].state == state
    assert "the folder /nowhere does not exist" in str(found["usb", "sysfs"].cause)
