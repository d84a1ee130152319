import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.cameras import pacing
from visiond.cameras.pacing import Pacer, Thinner


class Clock:
    """A clock that only sleeping and `pass_s` move."""

    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        self.pass_s(seconds)

    def pass_s(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pacing, "time", clock)
    return clock


def test_a_schedule_does_not_drift_by_the_time_that_frames_take(clock: Clock) -> None:
    start_ns = clock.now_ns
    pacer = Pacer(25)
    played = []
    for _ in range(100):
        played.append(pacer.wait())
        clock.pass_s(0.03)  # of the 40 ms between two frames
    assert played == [start_ns + number * 40_000_000 for number in range(100)]


def test_after_a_pause_the_schedule_begins_anew_without_a_burst(clock: Clock) -> None:
    pacer = Pacer(10)
    pacer.wait()
    clock.pass_s(7)
    after_pause = [pacer.wait() for _ in range(3)]
    assert [later - earlier for earlier, later in pairwise(after_pause)] == [100_000_000] * 2


def test_fps_0_knows_no_pauses() -> None:
    pacer = Pacer(0)
    started_s = time.monotonic()
    stamps = [pacer.wait() for _ in range(1000)]
    assert time.monotonic() - started_s < 1
    assert stamps == sorted(stamps)


def kept(given_fps: float, asked_fps: float | None, seconds: float = 10, jitter_ms: float = 0) -> int:
    thinner = Thinner(asked_fps)
    jitters = (0, jitter_ms, -jitter_ms, jitter_ms / 2)
    stamps = [round((n / given_fps) * 1e9 + jitters[n % 4] * 1e6) for n in range(round(seconds * given_fps))]
    return sum(thinner.keeps(10**12 + stamp) for stamp in stamps)


@pytest.mark.parametrize(
    ("given_fps", "asked_fps", "expected"),
    [(30, 10, 100), (30, 30, 300), (30, 25, 250), (60, 1, 10), (30, None, 300), (30, 0, 300), (5, 30, 50)],
)
def test_no_more_frames_are_kept_than_asked(given_fps: float, asked_fps: float | None, expected: int) -> None:
    assert kept(given_fps, asked_fps) == pytest.approx(expected, abs=2)


def test_a_camera_that_jitters_at_the_asked_rate_loses_nothing() -> None:
    assert kept(30, 30, jitter_ms=3) == 300


@given(given_fps=st.floats(1, 240), asked_fps=st.floats(0.5, 240))
def test_the_rate_kept_is_the_smaller_one(given_fps: float, asked_fps: float) -> None:
    seconds = 20.0
    count = kept(given_fps, asked_fps, seconds)
    assert count <= asked_fps * seconds * 1.01 + 2
    if asked_fps <= given_fps / 2:
        assert count >= asked_fps * seconds * 0.85 - 2


def test_after_a_gap_frames_are_not_let_through_in_a_burst() -> None:
    thinner = Thinner(10)
    assert thinner.keeps(0)
    after_gap = [thinner.keeps(10**10 + ms * 1_000_000) for ms in range(0, 200, 10)]
    assert sum(after_gap) == 3  # at 0, 30 (early, for the schedule is caught up by half a period) and 130 ms
