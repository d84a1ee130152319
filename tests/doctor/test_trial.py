"""A stick is tried in a child process, which opens it, invokes, crashes, hangs: real exit statuses throughout."""

import os
import signal

import pytest

from doctor.conftest import Place
from visiond.doctor.child import Ended
from visiond.doctor.report import Finding
from visiond.doctor.trial import Trial, trial_findings
from visiond.doctor.trial_order import TrialOrder
from visiond.edgetpu.stick_lock import StickLock

pytestmark = pytest.mark.slow

TRIAL = ("trial", "objects on port 2-1")


def tried(place: Place, deadline_s: float = 30.0) -> Finding:
    return place.examine(deadline_s=deadline_s)[TRIAL]


def test_a_free_stick_is_opened_and_its_golden_example_reproduced(place: Place) -> None:
    place.simulator.stick(0).set_open_ms(300)
    finding = tried(place)
    assert finding.state == "ok"
    assert finding.data["golden"] == {"passed": 1, "failed": 0, "failures": []}
    assert finding.data["opened"]["seconds"] >= 0.3
    assert "RuntimeVersion(14)" in finding.seen
    counters = place.simulator.stick(0).counters()
    assert (counters.opens, counters.closes, counters.owner, counters.second_openers) == (1, 1, 0, 0)


def test_the_options_of_the_configuration_reach_the_library(place: Place) -> None:
    place.edgetpu["performance"] = "low"
    assert tried(place).state == "ok"
    assert place.simulator.stick(0).options["Performance"] == "Low"
    assert place.simulator.stick(0).dropped == {}


def test_a_stick_that_computes_nonsense_fails(place: Place) -> None:
    place.simulator.stick(0).output_constant(0)
    finding = tried(place)
    assert finding.state == "fail"
    assert "golden1.png" in str(finding.cause)
    assert str(finding.remedy).startswith("run edgetpu_compiler anew on the model that files.cpu is")


def test_a_model_of_which_the_stick_takes_nothing_fails(place: Place) -> None:
    place.simulator.stick(0).claim("custom")
    finding = tried(place)
    assert (finding.state, finding.data["engine"]) == ("fail", "cpu")
    assert "edgetpu_compiler" in str(finding.remedy)


@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        ("create_segv", "opening the stick and loading the model"),
        ("prepare_segv", "opening the stick and loading the model"),
        ("segv", "running the first invoke"),
    ],
)
def test_fault_20_a_pair_that_crashes_is_named_with_pairs_that_fit(place: Place, kind: str, stage: str) -> None:
    place.simulator.stick(0).fail(kind)
    finding = tried(place)
    assert (finding.state, finding.data["status"], finding.data["stage"]) == ("fail", -signal.SIGSEGV, stage)
    assert "LiteRT" in str(finding.cause)
    assert "libedgetpu_sim.so" in str(finding.cause)
    assert "do not fit each other" in str(finding.cause)
    assert "tflite-runtime 2.11.1 to 2.17.1" in str(finding.remedy)


def test_an_abort_is_told_with_the_librarys_last_words(place: Place) -> None:
    place.simulator.stick(0).fail("abort")
    finding = tried(place)
    assert finding.data["status"] == -signal.SIGABRT
    assert "usb_driver.cc" in str(finding.cause)
    assert "power" in str(finding.remedy)


@pytest.mark.parametrize("kind", ["create_hang", "hang"])
def test_a_hang_is_killed_at_the_deadline(place: Place, kind: str) -> None:
    place.simulator.stick(0).fail(kind)
    finding = tried(place, deadline_s=4.0)
    assert finding.state == "fail"
    assert "hung: not a word for 4 s" in str(finding.cause)
    assert str(finding.remedy).startswith("unplug the stick")
    place.simulator.stick(0).heal()
    assert tried(place).state == "ok"


def test_a_process_that_cannot_be_killed_is_told_as_such() -> None:
    order = TrialOrder("objects", "/p", "auto", 1, "2-1", 0, "lib", "/sys", None, {})
    trial = Trial(stage="running the first invoke", ended=Ended(None, "", silent=True))
    (finding,) = trial_findings(order, trial, 40.0)
    assert (finding.state, finding.seen) == ("fail", "the process cannot be killed while running the first invoke")
    assert "reboot" in str(finding.remedy)


def test_fault_19_a_stick_that_refuses_is_told_in_words(place: Place) -> None:
    """Where this user may write to the node (root may) and the kernel refuses all the same."""
    place.simulator.stick(0).deny()
    finding = tried(place)
    assert finding.state == "fail"
    assert "opens no Edge TPU" in str(finding.cause)


def test_an_invoke_that_returns_an_error_is_told(place: Place) -> None:
    place.simulator.stick(0).fail("error")
    finding = tried(place)
    assert finding.state == "fail"
    assert finding.seen == "refused while running the first invoke"


def test_a_stick_that_is_locked_is_not_touched(place: Place) -> None:
    with StickLock.acquire("2-1", place.simulator.sysfs):
        found = place.examine()
    stick = found["usb", "stick at port 2-1"]
    assert (stick.state, stick.data["state"]) == ("fail", "busy")
    assert f"is used by process {os.getpid()} (" in str(stick.cause)
    assert str(stick.remedy).startswith("stop it")
    assert found["trial", "sticks"].state == "skipped"
    assert place.simulator.creates == 0


def test_the_second_of_two_sticks_is_the_one_that_is_tried(place: Place) -> None:
    """Its number in the library is another one than in sysfs, and changes when the first starts."""
    place.simulator.stick(1).plug()
    place.simulator.stick(1).claim("all")
    place.settings["device"] = "usb:2-2"
    found = place.examine()
    assert ("trial", "objects on port 2-2") in found
    assert TRIAL not in found
    assert (place.simulator.stick(0).counters().opens, place.simulator.stick(1).counters().opens) == (0, 1)


def test_what_the_library_says_is_not_cut_and_the_remedy_is_ours(place: Place) -> None:
    """The simulated library's own words hold colons; with no stick to open, it says them."""
    place.simulator.stick(0).fail("create_fail")
    finding = tried(place)
    assert "it is not plugged in, not permitted, or another program has it" in str(finding.cause)
    assert finding.remedy == "plug it in or stop that program, and ask `visiond doctor`"
