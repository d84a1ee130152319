"""Timing: what many runs of one thing took, and how sure its median is."""

from __future__ import annotations

import math
import random
import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Final

from pydantic import Field

_RESAMPLES: Final = 2000
_SEED: Final = 1  # the same numbers give the same interval
_MAX_COMBINATIONS: Final = 10_000  # milliseconds

Rounds = Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the true value lies with 95 % confidence, as far as the rounds can tell."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Timing:
    """Of `count` runs in several rounds, in milliseconds.

    The percentiles are of all runs together, `round_p50_ms` is each round's median, and `p50_interval_ms` what these
    make of the median: rounds differ by what else the machine does, and single runs within a round tell nothing of it.
    """

    count: int
    p50_ms: float
    p95_ms: float
    p99_ms: float
    mean_ms: float
    min_ms: float
    max_ms: float
    round_p50_ms: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    p50_interval_ms: Interval


def summarize(rounds: Rounds) -> Timing:
    """Sum up the spans of each round, in milliseconds. At least one span is needed."""
    spans = sorted(span for each in rounds for span in each)
    medians = tuple(round(statistics.median(each), 4) for each in rounds if each)
    return Timing(
        count=len(spans),
        p50_ms=round(statistics.median(spans), 4),
        p95_ms=round(percentile(spans, 95), 4),
        p99_ms=round(percentile(spans, 99), 4),
        mean_ms=round(statistics.fmean(spans), 4),
        min_ms=round(spans[0], 4),
        max_ms=round(spans[-1], 4),
        round_p50_ms=medians,
        p50_interval_ms=median_interval(medians),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest of the ordered values that `percent` of them do not exceed: the nearest rank."""
    rank = -(-len(ordered) * percent // 100)  # rounded up
    return ordered[max(0, int(rank) - 1)]


def median_interval(medians: Sequence[float]) -> Interval:
    """The interval of the median of rounds' medians, by the bootstrap's percentiles (Efron, 1979)."""
    return _interval(lambda draw: statistics.median(draw(medians)))


def ratio_interval(now: Sequence[float], before: Sequence[float]) -> Interval:
    """The same of the ratio of two runs' medians, from the medians of their rounds."""
    return _interval(lambda draw: statistics.median(draw(now)) / statistics.median(draw(before)))


def rank_chance(now: Sequence[float], before: Sequence[float]) -> float:
    """How likely the rounds of two runs of one speed lie as far apart, 0 to 1, by Wilcoxon's rank sums (1945).

    Exact for few rounds; of many, by the normal distribution. It asks more than the intervals of two medians do: of
    five rounds each, every one of the one run has to be slower than every one of the other to come below 1 %.
    """
    together = sorted((*now, *before))
    ranks = [(bisect_left(together, each) + bisect_right(together, each) + 1) / 2 for each in (*now, *before)]
    expected = len(now) * (len(ranks) + 1) / 2
    distance = abs(sum(ranks[: len(now)]) - expected)
    if math.comb(len(ranks), len(now)) <= _MAX_COMBINATIONS:
        others = [abs(sum(each) - expected) for each in combinations(ranks, len(now))]
        return sum(each >= distance for each in others) / len(others)
    deviation = math.sqrt(len(now) * len(before) * (len(ranks) + 1) / 12)
    return 2 * statistics.NormalDist().cdf(-distance / deviation)


def _interval(estimate: Callable[[Callable[[Sequence[float]], list[float]]], float]) -> Interval:
    """Draw the rounds again and again, with repetition: where 95 % of the estimates lie."""
    chance = random.Random(_SEED)
    estimates = sorted(estimate(lambda values: chance.choices(values, k=len(values))) for _ in range(_RESAMPLES))
    return Interval(round(percentile(estimates, 2.5), 4), round(percentile(estimates, 97.5), 4))
