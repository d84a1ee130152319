"""Comparison: two runs next to each other, subject by subject, with how sure each ratio is."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from visiond.errors import DataError
from visiond.modelkit.bench.report import Machine, Report, Subject
from visiond.modelkit.bench.timings import Interval, Timing, rank_chance, ratio_interval

LEAST_ROUNDS: Final = 5  # of each run, for a verdict: of fewer, the interval says next to nothing
MOST_CHANCE: Final = 0.01  # of a verdict on two runs of one speed
LOAD_PER_CPU: Final = 2.0  # above it, something else has had the cores: no verdict
_STAGES: Final = ("invoke", "whole")


@dataclass(frozen=True, slots=True)
class Ratio:
    """One stage of one subject: now, of before, by the medians of the rounds' medians. Above 1 is slower now.

    `chance` is that of rounds so far apart from two runs of one speed, 0 to 1. `rounds` is how many the run with fewer
    has; `busy`: one of the two was measured beside too much other work.
    """

    subject: Subject
    stage: str
    before_p50_ms: float
    now_p50_ms: float
    ratio: float
    interval: Interval
    chance: float
    rounds: int
    busy: bool

    @property
    def verdict(self) -> str:
        """In a word; no difference is told where the rounds of both lie among each other, or are too few."""
        if self.busy or self.rounds < LEAST_ROUNDS or 1.0 in self.interval or self.chance > MOST_CHANCE:
            return "not told"
        return "slower" if self.ratio > 1 else "faster"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`differences`: what else is not the same, as (what, before, now). `alone`: subjects that one run has alone."""

    ratios: tuple[Ratio, ...]
    differences: tuple[tuple[str, str, str], ...]
    alone: tuple[str, ...]


def compare(now: Report, before: Report) -> Comparison:
    """Set both side by side."""
    earlier = {each.subject: each for each in before.measured}
    later = {each.subject: each for each in now.measured}
    busy = _is_busy(now.machine) or _is_busy(before.machine)
    ratios = [
        _ratio(subject, stage, getattr(measured, stage), getattr(earlier[subject], stage), busy)
        for subject, measured in later.items()
        if subject in earlier
        for stage in _STAGES
    ]
    alone = [f"{subject.name} (before)" for subject in earlier if subject not in later]
    alone += [f"{subject.name} (now)" for subject in later if subject not in earlier]
    return Comparison(tuple(ratios), tuple(_differences(now, before)), tuple(alone))


def _ratio(subject: Subject, stage: str, now: Timing, before: Timing, busy: bool) -> Ratio:
    now_ms, before_ms = statistics.median(now.round_p50_ms), statistics.median(before.round_p50_ms)
    interval = ratio_interval(now.round_p50_ms, before.round_p50_ms)
    chance = round(rank_chance(now.round_p50_ms, before.round_p50_ms), 4)
    rounds = min(len(now.round_p50_ms), len(before.round_p50_ms))
    return Ratio(subject, stage, before_ms, now_ms, round(now_ms / before_ms, 4), interval, chance, rounds, busy)


def _is_busy(machine: Machine) -> bool:
    return machine.load_1min is not None and machine.load_1min > LOAD_PER_CPU * machine.cpus


def check_models(sha256: Mapping[str, str], package: str, before: Report) -> None:
    """Raise DataError where the files to be measured, `sha256` by their keys, are not those of the run before."""
    same = sha256.keys() & before.sha256.keys()
    for file in sorted(same):
        if sha256[file] != before.sha256[file]:
            raise DataError(
                f"--compare: files.{file} of {package} is another model than the one measured before "
                f"({before.package}; sha256 {sha256[file][:12]}… and {before.sha256[file][:12]}…); "
                "to compare them all the same, add --other-model"
            )
    if not same:
        raise DataError(
            f"--compare: {package} and what was measured before ({before.package}) have no file in common; "
            "to compare them all the same, add --other-model"
        )


def _differences(now: Report, before: Report) -> Iterator[tuple[str, str, str]]:
    pairs = {
        "visiond": (before.visiond, now.visiond),
        "package": (before.package, now.package),
        "frame": (before.frame, now.frame),
        "rounds": (before.rounds, now.rounds),
        **{
            f"files.{file}": (before.sha256.get(file, "not there")[:12], now.sha256.get(file, "not there")[:12])
            for file in sorted(now.sha256.keys() | before.sha256.keys())
        },
    }
    for field in fields(now.machine):
        pairs[field.name.replace("_", " ")] = (getattr(before.machine, field.name), getattr(now.machine, field.name))
    versions = {each.subject: each.version for each in before.measured}
    for each in now.measured:
        if each.subject in versions:
            pairs[f"{each.subject.runtime}'s version"] = (versions[each.subject], each.version)
    for what, (earlier, later) in pairs.items():
        if earlier != later:
            yield what, _text(earlier), _text(later)


def _text(value: object) -> str:
    return "not told" if value is None else f"{value:.1f}" if isinstance(value, float) else str(value)
