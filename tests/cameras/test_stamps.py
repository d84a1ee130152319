from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.cameras import stamps
from visiond.cameras.stamps import StreamClock, from_driver, newest

MS = 1_000_000
S = 1_000_000_000


@pytest.mark.parametrize(
    ("stamp_ns", "expected_ns"),
    [
        (99 * S, 99 * S),  # the driver's: a second ago
        (0, 100 * S),  # a driver that gives none
        (101 * S, 100 * S),  # the future
        (50 * S, 100 * S),  # far too old: another clock
        (1_700_000_000 * S, 100 * S),  # wall time
    ],
)
def test_a_drivers_stamp_is_believed_where_it_can_be_true(stamp_ns: int, expected_ns: int) -> None:
    assert from_driver(stamp_ns, 100 * S) == expected_ns


class Buffer:
    """Frames captured every 33 ms; the ones in the past are there at once, for the next one has to be waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, late_ms: int, takes_ms: int = 1) -> None:
        self.takes_ms = takes_ms
        self.now_ns = 10 * S
        self.captured_ns = self.now_ns - late_ms * MS
        self.grabbed = 0
        monkeypatch.setattr(stamps, "time", self)

    def monotonic_ns(self) -> int:
        return self.now_ns

    def grab(self) -> int:
        self.grabbed += 1
        self.captured_ns += 33 * MS
        self.now_ns = max(self.now_ns, self.captured_ns) + self.takes_ms * MS
        return self.captured_ns


def test_a_reader_that_is_in_time_gets_every_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Buffer(monkeypatch, late_ms=20)
    captured = [newest(buffer.grab, None) for _ in range(5)]
    assert buffer.grabbed == 5
    assert [after - before for before, after in pairwise(captured)] == [33 * MS] * 4


@pytest.mark.parametrize("takes_ms", [1, 15])  # to take a frame from a buffer; more when it must be decoded
def test_a_reader_that_was_late_gets_the_newest_frame(monkeypatch: pytest.MonkeyPatch, takes_ms: int) -> None:
    buffer = Buffer(monkeypatch, late_ms=1000, takes_ms=takes_ms)
    captured_ns = newest(buffer.grab, buffer.captured_ns)
    assert buffer.now_ns - captured_ns < 50 * MS
    assert buffer.grabbed >= 28


def test_a_camera_whose_stamps_are_always_old_cannot_hold_the_reader_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = Buffer(monkeypatch, late_ms=10_000_000)
    newest(buffer.grab, buffer.captured_ns)
    assert buffer.grabbed == stamps.MAX_BACKLOG


def arrivals(delays_ms: list[int], period_ms: int = 40) -> Iterator[tuple[int, int, int]]:
    """Moments of capture, arrival (in the order that a wire keeps) and presentation (another clock, 7 s behind)."""
    arrived_ns = 0
    for number, delay_ms in enumerate(delays_ms):
        captured_ns = 100 * S + number * period_ms * MS
        arrived_ns = max(captured_ns + delay_ms * MS, arrived_ns + 1)
        yield captured_ns, arrived_ns, captured_ns - 93 * S


@given(st.lists(st.integers(0, 300), min_size=1, max_size=120))
def test_a_stream_clock_finds_the_moment_of_capture_up_to_the_least_delay(delays_ms: list[int]) -> None:
    clock = StreamClock()
    least_ns = None
    for captured_ns, arrived_ns, presented_ns in arrivals(delays_ms):
        delay_ns = arrived_ns - captured_ns
        least_ns = delay_ns if least_ns is None else min(least_ns, delay_ns)
        assert clock.captured_ns(arrived_ns, presented_ns) == captured_ns + least_ns
        # never in the future, never before the truth


def test_frames_that_waited_five_seconds_are_known_to_be_old() -> None:
    clock = StreamClock()
    for _, arrived_ns, presented_ns in arrivals([5] * 100):
        clock.captured_ns(arrived_ns, presented_ns)
    stalled_ns = arrived_ns + 5 * S  # everything that was sent meanwhile comes at once
    ages_ms = []
    for number in range(1, 125):
        stamp_ns = clock.captured_ns(stalled_ns + number, presented_ns + number * 40 * MS)
        ages_ms.append((stalled_ns - stamp_ns) // MS)
    assert ages_ms[0] == pytest.approx(4960, abs=10)
    assert ages_ms[-1] == pytest.approx(40, abs=10)


def test_a_clock_that_drifts_is_followed() -> None:
    clock = StreamClock()
    for number in range(20_000):  # 200 ppm fast over 800 s: 160 ms
        arrived_ns = 100 * S + number * 40 * MS
        stamp_ns = clock.captured_ns(arrived_ns, round(number * 40 * MS * 0.9998))
    assert 0 <= arrived_ns - stamp_ns < 5 * MS


def test_a_stream_that_begins_anew_is_stamped_anew() -> None:
    clock = StreamClock()
    clock.captured_ns(100 * S, 50 * S)
    assert clock.captured_ns(101 * S, 0) == 101 * S


def test_a_stream_without_presentation_times_is_stamped_on_arrival() -> None:
    clock = StreamClock()
    assert [clock.captured_ns(number * S, 0) for number in range(1, 5)] == [S, 2 * S, 3 * S, 4 * S]
