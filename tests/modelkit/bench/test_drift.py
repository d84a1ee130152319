"""Minutes of invokes: what they have become, and what the board told meanwhile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelkit.bench.samples import ONE
from visiond.board import Board, Throttling
from visiond.modelkit.bench.drift import sum_up_drift

COOL = Board("a board", Throttling("get_throttled", (), ()), 45.0, 1800.0, 1800.0, 4, 0.1, 1000.0, 900.0, 1000.0, False)
HOT = replace(COOL, temperature_c=84.5, cpu_mhz=1000.0, throttling=Throttling("get_throttled", ("throttled",), ()))


def test_the_first_and_the_last_tenth_are_set_side_by_side() -> None:
    found = sum_up_drift(ONE, [10.0] * 10 + [11.0] * 80 + [20.0] * 10, [COOL, HOT, COOL])
    assert (found.first_p50_ms, found.last_p50_ms, found.ratio) == (10.0, 20.0, 2.0)
    assert (found.first_temperature_c, found.highest_temperature_c) == (45.0, 84.5)
    assert (found.first_cpu_mhz, found.lowest_cpu_mhz) == (1800.0, 1000.0)
    assert found.throttling == ("throttled",)
    assert found.invokes == 100
    assert found.seconds == pytest.approx(1.2, abs=0.05)


def test_the_series_is_of_equal_times_and_not_of_equal_counts() -> None:
    """Ten seconds of quick invokes, then ten of slow ones: half of the series is quick."""
    found = sum_up_drift(ONE, [1.0] * 10_000 + [100.0] * 100, [COOL])
    assert len(found.series_p50_ms) == 20
    assert found.series_p50_ms[:9] == (1.0,) * 9
    assert found.series_p50_ms[11:] == (100.0,) * 9


def test_a_board_that_tells_nothing_is_not_said_to_be_cool() -> None:
    silent = replace(COOL, temperature_c=None, cpu_mhz=None, throttling=None)
    found = sum_up_drift(ONE, [5.0], [silent])
    assert (found.highest_temperature_c, found.lowest_cpu_mhz, found.throttling) == (None, None, None)
