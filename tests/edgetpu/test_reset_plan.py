from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from visiond.edgetpu.reset_plan import SETTLE_S, ResetPlan

ONE, TWO = Path("/dev/bus/usb/002/003"), Path("/dev/bus/usb/002/004")


def fail(plan: ResetPlan, times: int, now_s: float = 0.0) -> list[str]:
    steps = []
    for _ in range(times):
        plan.begin()
        steps.append(plan.failed(now_s))
    return steps


def test_fault_18_three_failures_for_each_step_of_the_ladder() -> None:
    plan = ResetPlan(allowed=True)
    assert fail(plan, 8) == ["retry", "retry", "reset", "retry", "retry", "authorized", "retry", "retry"]
    assert plan.needs_replug("2-1") is None
    assert fail(plan, 4) == ["needs_replug"] * 4
    assert str(plan.needs_replug("2-1")).startswith(
        "the stick at port 2-1 did not open 12 times in a row: unplug the Coral stick, wait 5 s, plug it in again; "
    )


def test_fault_18_without_leave_to_reset_a_person_is_asked_for_at_once() -> None:
    plan = ResetPlan(allowed=False)
    assert fail(plan, 4) == ["retry", "retry", "needs_replug", "needs_replug"]
    assert "plug it in again" in str(plan.needs_replug("2-1.4"))


def test_fault_18_a_stick_that_was_plugged_in_anew_starts_afresh() -> None:
    for between in ([], [None]):  # also where its absence fell between two looks
        plan = ResetPlan(allowed=False)
        plan.look(ONE, 0.0)
        fail(plan, 3, now_s=1.0)
        assert plan.needs_replug("2-1") is not None
        for node in [*between, TWO]:
            plan.look(node, 1.0 + SETTLE_S)
        assert plan.needs_replug("2-1") is None
        assert fail(plan, 3) == ["retry", "retry", "needs_replug"]


def test_fault_17_loading_the_firmware_is_no_replug() -> None:
    """Each opening that gets so far brings the stick back as another device: the ladder must go on."""
    plan = ResetPlan(allowed=True)
    steps = []
    for attempt in range(9):
        now_s = attempt * 10.0
        plan.look(ONE, now_s)
        plan.begin()
        plan.look(None, now_s + 1)
        steps.append(plan.failed(now_s + 2))
        plan.look(None, now_s + 2.1)
        plan.look(TWO, now_s + 3)
        plan.begin()
        plan.look(ONE, now_s + 4)  # a reset sends it back into the bootloader
        plan.reset_ended(now_s + 5)
    assert steps[2::3] == ["reset", "authorized", "needs_replug"]


def test_a_success_forgets_the_failures() -> None:
    plan = ResetPlan(allowed=True)
    fail(plan, 8)
    plan.begin()
    plan.opened(0.0)
    assert fail(plan, 3) == ["retry", "retry", "reset"]


@given(st.booleans(), st.lists(st.sampled_from(["fail", "open", "reset"])))
def test_a_person_is_asked_for_only_after_failures_in_a_row(allowed: bool, events: list[str]) -> None:
    plan, in_a_row = ResetPlan(allowed), 0
    for event in events:
        plan.begin()
        if event == "fail":
            in_a_row += 1
            assert (plan.failed(0.0) == "needs_replug") == (in_a_row >= (9 if allowed else 3))
        elif event == "open":
            plan.opened(0.0)
            in_a_row = 0
        else:
            plan.reset_ended(0.0)
        assert (plan.needs_replug("1-1") is not None) == (in_a_row >= (9 if allowed else 3))
