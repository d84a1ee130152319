"""Percentiles, and how sure a median is, against the slow and obvious."""

from __future__ import annotations

import random
import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.modelkit.bench.timings import Interval, median_interval, percentile, ratio_interval, summarize

spans = st.floats(0.001, 1000)


@given(st.lists(spans, min_size=1, max_size=60), st.sampled_from([2.5, 50, 95, 97.5, 99, 100]))
def test_a_percentile_is_the_least_that_so_many_do_not_exceed(values: list[float], percent: float) -> None:
    ordered = sorted(values)
    enough = [each for each in ordered if sum(1 for other in ordered if other <= each) >= len(ordered) * percent / 100]
    assert percentile(ordered, percent) == enough[0]


@given(st.lists(st.lists(spans, min_size=1, max_size=20), min_size=1, max_size=6))
def test_what_is_summed_up_is_of_all_rounds_together(rounds: list[list[float]]) -> None:
    timing = summarize(rounds)
    together = [span for each in rounds for span in each]
    assert timing.count == len(together)
    assert timing.p50_ms == pytest.approx(statistics.median(together), abs=1e-4)
    assert timing.min_ms <= timing.p50_ms <= timing.p95_ms <= timing.p99_ms <= timing.max_ms
    assert timing.round_p50_ms == pytest.approx([statistics.median(each) for each in rounds], abs=1e-4)
    assert timing.p50_interval_ms.low <= timing.p50_interval_ms.high


def test_the_interval_is_near_that_of_all_draws_there_are() -> None:
    medians = [9.8, 10.0, 10.1, 10.4, 12.0]
    every_draw = sorted(statistics.median(draw) for draw in product(medians, repeat=5))  # 3125 of them
    interval = median_interval(medians)
    assert interval == Interval(percentile(every_draw, 2.5), percentile(every_draw, 97.5))


def test_the_interval_holds_the_true_median_about_as_often_as_it_says() -> None:
    chance = random.Random(7)
    held = sum(
        10.0 in median_interval([chance.gauss(10.0, 1.0) for _ in range(15)]) for _ in range(60)
    )  # 95 % of 60 is 57; a bootstrap of few rounds is a little too sure
    assert held >= 50


def test_rounds_that_are_alike_leave_no_doubt() -> None:
    assert median_interval([5.0] * 5) == Interval(5.0, 5.0)
    assert ratio_interval([6.0] * 5, [5.0] * 4) == Interval(1.2, 1.2)


def test_a_ratio_of_noisy_rounds_is_less_sure_than_one_of_quiet_rounds() -> None:
    quiet = ratio_interval([10.0, 10.1, 10.2, 10.0, 10.1], [10.0, 10.1, 9.9, 10.0, 10.1])
    noisy = ratio_interval([10.0, 14.0, 10.2, 19.0, 10.1], [10.0, 13.0, 9.9, 17.0, 10.1])
    assert noisy.high - noisy.low > 5 * (quiet.high - quiet.low)
    assert 1.0 in noisy
