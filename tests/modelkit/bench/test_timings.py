"""Percentiles, and how sure a median is, against the slow and obvious."""

from __future__ import annotations

import random
import statistics
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.modelkit.bench.timings import (
    Interval,
    median_interval,
    percentile,
    rank_chance,
    ratio_interval,
    summarize,
)

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


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_the_chance_is_the_share_of_all_ways_to_share_out_the_rounds(now: list[int], before: list[int]) -> None:
    """Counted one by one, with the ranks by comparing each with each."""
    together = [*now, *before]
    ranks = [sum((other < each) + (other == each) / 2 for other in together) for each in together]
    expected = len(now) * sum(ranks) / len(ranks)
    ways = [way for way in product((False, True), repeat=len(together)) if sum(way) == len(now)]
    sums = [abs(sum(rank for rank, chosen in zip(ranks, way, strict=True) if chosen) - expected) for way in ways]
    distance = abs(sum(ranks[: len(now)]) - expected)
    share = sum(each > distance - 1e-9 for each in sums) / len(sums)
    assert rank_chance(now, before) == pytest.approx(share)


def test_of_five_rounds_each_only_runs_apart_from_each_other_come_below_one_percent() -> None:
    before = [10.0, 11.0, 12.0, 13.0, 14.0]
    assert rank_chance([15.0, 16.0, 17.0, 18.0, 19.0], before) == pytest.approx(2 / 252)
    assert rank_chance([13.5, 16.0, 17.0, 18.0, 19.0], before) == pytest.approx(4 / 252)


def test_of_many_rounds_the_chance_is_the_normal_distributions() -> None:
    """Next to the exact one where both can be had: 9 rounds of 18 have 48,620 ways."""
    rng = random.Random(2)
    now, before = ([rng.gauss(middle, 1.0) for _ in range(9)] for middle in (10.8, 10.0))
    ranks = {each: number for number, each in enumerate(sorted([*now, *before]), start=1)}
    distance = abs(sum(ranks[each] for each in now) - 85.5)
    exact = [abs(sum(way) - 85.5) >= distance for way in combinations(range(1, 19), 9)]
    assert rank_chance(now, before) == pytest.approx(sum(exact) / len(exact), abs=0.02)
