"""--exercise: pace, heat, agreement with the CPU, on a stick whose outputs and times are set."""

import pytest

from doctor.conftest import Place
from visiond.doctor.exercise import exercise_findings
from visiond.doctor.trial import Trial
from visiond.doctor.trial_order import TrialOrder

pytestmark = pytest.mark.slow

NAME = "objects on port 2-1"


def test_a_stick_that_agrees_is_ok_in_pace_and_agreement(place: Place) -> None:
    place.simulator.stick(0).set_invoke_ms(5.0)
    found = place.examine(seconds=1.0)
    pace, agreement = found["exercise", f"{NAME}, pace"], found["exercise", f"{NAME}, agreement"]
    assert (pace.state, agreement.state) == ("ok", "ok")
    assert 5.0 <= pace.data["p50_ms"] <= pace.data["p99_ms"] <= pace.data["worst_ms"]
    assert pace.data["invokes"] > 20
    assert (agreement.data["max_quanta"], agreement.data["top_iou"]) == (0, 1)
    assert agreement.data["golden"]["passed"] == 1
    assert found["exercise", "unplugged at work"].state == "skipped"
    assert found["exercise", f"{NAME}, gain"].data["times"] > 0


def test_a_stick_that_finds_something_else_fails_with_the_difference(place: Place) -> None:
    place.simulator.stick(0).output_from_input(0x55)
    found = place.examine(seconds=1.0)
    agreement = found["exercise", f"{NAME}, agreement"]
    assert agreement.state == "fail"
    assert agreement.data["max_quanta"] > 1
    assert found["trial", NAME].state == "fail"


def test_fault_23_a_stick_that_becomes_slower_is_a_warning(place: Place) -> None:
    place.simulator.stick(0).set_invoke_ms(2.0)
    place.simulator.stick(0).set_ramp_ms(0.2, 30.0)
    pace = place.examine(seconds=2.0)["exercise", f"{NAME}, pace"]
    assert pace.state == "warn"
    assert pace.data["last_ms"] > 1.5 * pace.data["first_ms"]
    assert "hot" in str(pace.cause)


def test_a_fault_in_the_middle_of_it_is_told(place: Place) -> None:
    place.simulator.stick(0).fail("abort", at=30)
    found = place.examine(seconds=2.0)
    assert [finding.state for key, finding in found.items() if key[0] == "trial"] == ["fail"]
    assert "invoking" in found["trial", NAME].seen
    assert not [key for key in found if key[0] == "exercise"]


def test_nothing_to_exercise_is_a_failure(place: Place) -> None:
    place.simulator.stick(0).unplug()
    finding = place.examine(seconds=1.0)["trial", "sticks"]
    assert (finding.state, finding.remedy) == ("fail", "see usb above")


TIMED = {"invokes": 100, "p50_ms": 8.0, "p99_ms": 9.0, "worst_ms": 12.0, "first_ms": 8.0, "last_ms": 8.1}
COMPARED = {
    "runtime": "LiteRT 2.3.0", "invoke_ms": 40.0, "golden": {"passed": 1, "failed": 0, "failures": []}, "pictures": 2,
    "max_quanta": None, "mean_quanta": None, "max_real": 0.01, "mean_real": 0.002, "top_iou": 0.97, "top_differs": 0,
}  # fmt: skip
ORDER = TrialOrder("objects", "/p", "auto", 1, "2-1", 0, "lib", "/sys", None, {}, seconds=20.0, cpu_file="cpu")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "ok"),
        ({"top_iou": 0.5}, "fail"),
        ({"top_differs": 1}, "fail"),
        ({"max_quanta": 80.0, "mean_quanta": 0.06}, "ok"),
        ({"max_quanta": 40.0, "mean_quanta": 2.0}, "warn"),
    ],
)
def test_agreement_is_judged_by_what_is_found(change: dict[str, float], state: str) -> None:
    trial = Trial(told={"timed": TIMED, "compared": {**COMPARED, **change}})
    _, agreement, gain = exercise_findings(ORDER, trial)
    assert agreement.state == state
    assert gain.data["times"] == 5
    assert "others by 0.01 at most" in agreement.seen


def test_a_package_without_a_twin_says_so() -> None:
    order = TrialOrder("objects", "/p", "auto", 1, "2-1", 0, "lib", "/sys", None, {}, seconds=20.0)
    _, agreement = exercise_findings(order, Trial(told={"timed": TIMED}))
    assert agreement.state == "skipped"


def test_the_limits_are_told_and_a_slow_stick_is_so_many_times_slower() -> None:
    trial = Trial(
        told={"timed": {**TIMED, "p50_ms": 80.0}, "compared": {**COMPARED, "max_quanta": 1.0, "mean_quanta": 0.01}}
    )
    _, agreement, gain = exercise_findings(ORDER, trial)
    assert "0.010 on average (limit 0.5)" in agreement.seen
    assert gain.seen == "80.0 ms on the stick, 40.0 ms on the CPU: 2.0 times slower"
    assert gain.state == "warn"
