"""Latency: what invokes take, what a swap adds, and whether they have become slower than at first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.engine.latency import SLOWER, Latency, Spread


def latency(*invokes_ms: float, expected_ms: float = 7.0) -> Latency:
    made = Latency(expected_ms)
    for invoke_ms in invokes_ms:
        made.count(invoke_ms, swapped=False)
    return made


def test_before_the_first_invoke_only_the_start_is_known() -> None:
    fresh = latency()
    assert fresh.spread is None
    assert fresh.swap_ms is None
    assert (fresh.slowest_ms, fresh.times_slower, fresh.swaps) == (7.0, 1.0, 0)


def test_median_and_99th_percentile() -> None:
    assert latency(3.0).spread == Spread(3.0, 3.0)
    assert latency(*range(1, 201)).spread == Spread(101, 199)


def test_only_the_last_invokes_count() -> None:
    made = latency(50.0, *[7.0] * 299)
    assert made.slowest_ms == 50.0
    made.count(8.0, swapped=False)
    assert made.slowest_ms == 8.0
    assert made.spread == Spread(7.0, 7.0)


def test_the_deadline_is_that_of_the_usual_invokes_and_one_slow_one_hardly_moves_it() -> None:
    assert latency().deadline_ms == pytest.approx(70.0)
    assert latency(*[7.0] * 300).deadline_ms == pytest.approx(70.0)
    assert latency(*[7.0] * 150, 300.0, *[7.0] * 149).deadline_ms == pytest.approx(600.0)
    assert latency(*[7.0] * 100, *[30.0] * 200).deadline_ms == pytest.approx(300.0), "slow for long: it may be so"


def test_swaps_are_kept_apart() -> None:
    made = latency(7.0, 7.2, 6.8)
    for invoke_ms in (17.0, 17.5, 30.0):
        made.count(invoke_ms, swapped=True)
    assert made.swaps == 3
    assert made.swap_ms == pytest.approx(10.5)
    assert made.spread == Spread(17.0, 30.0), "what frames really took"
    assert made.slowest_ms == 30.0, "a deadline has to allow for a swap"


def test_where_each_invoke_swaps_it_is_compared_with_the_start() -> None:
    made = Latency(expected_ms=7.0)
    made.count(17.0, swapped=True)
    assert made.swap_ms == pytest.approx(10.0)
    assert made.spread == Spread(17.0, 17.0)


def test_a_swap_that_costs_nothing_is_not_below_nothing() -> None:
    made = latency(7.0)
    made.count(6.5, swapped=True)
    assert made.swap_ms == 0.0


def test_fault_23_slower_and_slower_is_told_against_the_first_invokes() -> None:
    made = latency(*[7.0] * 99)
    assert made.times_slower == 1.0
    made.count(7.0, swapped=False)
    for _ in range(24):
        made.count(70.0, swapped=False)
    assert made.times_slower == 1.0, "not before half of the recent ones are slow"
    for _ in range(26):
        made.count(70.0, swapped=False)
    assert made.times_slower == pytest.approx(10.0)
    assert made.times_slower > SLOWER


def test_fault_23_it_is_told_for_as_long_as_it_lasts_and_no_longer() -> None:
    made = latency(*[7.0] * 100, *[20.0] * 1000)
    assert made.times_slower == pytest.approx(20 / 7), "slow invokes do not become what is normal"
    for _ in range(50):
        made.count(7.0, swapped=False)
    assert made.times_slower == 1.0


def test_too_few_invokes_say_nothing() -> None:
    assert latency(1.0, *[100.0] * 98).times_slower == 1.0


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1, max_size=400))
def test_the_figures_are_of_what_was_counted(invokes: list[tuple[float, bool]]) -> None:
    made = Latency(7.0)
    for invoke_ms, swapped in invokes:
        made.count(invoke_ms, swapped)
    spread = made.spread
    assert spread is not None
    counted = [invoke_ms for invoke_ms, _ in invokes]
    assert {spread.p50, spread.p99} <= set(counted)
    assert spread.p50 <= spread.p99 <= made.slowest_ms
    assert made.slowest_ms in counted
    assert made.swaps == sum(swapped for _, swapped in invokes)
    assert made.times_slower >= 0
