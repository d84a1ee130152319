import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.cameras.rate import WINDOW, Rate, RateAlarm

S = 1_000_000_000


def counted(alarm: RateAlarm, fps: float, frames: int, start_s: float = 100.0) -> float:
    for number in range(frames):
        alarm.count(round((start_s + number / fps) * S))
    return start_s + frames / fps


@given(st.floats(1, 240), st.floats(0.05, 4))
def test_fault_08_less_than_nine_tenths_over_a_hundred_frames_is_told(asked_fps: float, share: float) -> None:
    alarm = RateAlarm(asked_fps)
    counted(alarm, asked_fps * share, WINDOW + 1)
    if share < 0.895:
        assert alarm.text is not None
        assert f"of the {asked_fps:g} frames a second" in alarm.text
    elif share > 0.905:
        assert alarm.text is None


def test_fault_08_a_camera_that_nearly_stands_still_is_told_before_a_hundred_frames() -> None:
    alarm = RateAlarm(30)
    now_s = counted(alarm, 1, 6)
    assert alarm.text is not None
    assert alarm.text.startswith("gives 1.0 of the 30 frames")
    counted(alarm, 30, 2 * WINDOW, now_s)  # the first of them holds the end of the pause
    assert alarm.text is None


def test_a_pause_while_the_camera_was_away_does_not_count() -> None:
    alarm = RateAlarm(30)
    now_s = counted(alarm, 30, 50)
    alarm.restart()
    counted(alarm, 30, WINDOW + 1, now_s + 60)
    assert alarm.text is None


@pytest.mark.parametrize("asked_fps", [None, 0.0])
def test_where_nothing_is_asked_nothing_is_too_little(asked_fps: float | None) -> None:
    alarm = RateAlarm(asked_fps)
    counted(alarm, 0.1, WINDOW + 1)
    assert alarm.text is None


def test_the_rate_is_that_of_the_stamps() -> None:
    rate = Rate()
    assert rate.fps() is None
    for number in range(31):
        rate.count(number * S // 30)
    assert rate.fps() == pytest.approx(30, abs=0.01)
