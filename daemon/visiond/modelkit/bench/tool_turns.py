"""Our interpreter next to LiteRT's benchmark tool of the wheel, in one process, a few invokes each in turn."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Final

from visiond.modelkit.bench.report import Subject, ToolMeasured
from visiond.modelkit.bench.rounds import Died, converse_or_die
from visiond.modelkit.bench.timings import median_interval
from visiond.modelkit.bench.tool import NAME

MODULE: Final = "visiond.modelkit.bench.tool_process"
_TURNS: Final = 60  # at least
_TURN_MS: Final = 100.0  # of each of the two, about
_MOST_INVOKES: Final = 50


def measure_turns(model: Path, subject: Subject, invoke_ms: float, seconds: float) -> ToolMeasured:
    """Let both measure `model` for about `seconds`; `invoke_ms` is what an invoke takes, about. Raises Died."""
    order = {
        "path": str(model),
        "threads": subject.threads,
        "invokes": max(3, min(_MOST_INVOKES, round(_TURN_MS / invoke_ms))),
        "turns": _TURNS,
        "seconds": seconds,
    }
    heard = converse_or_die(MODULE, order, lambda _: None)
    ours_ms, tool_ms = heard["ours"], heard["tool"]
    if min(tool_ms) <= 0:
        raise Died("LiteRT's benchmark tool says that an invoke takes 0 ms: it is too short for it")
    ratios = [ours / its for ours, its in zip(ours_ms, tool_ms, strict=True)]
    return ToolMeasured(
        subject=subject,
        tool=NAME,
        statistic="median",
        runs=heard["runs"],
        tool_p50_ms=round(statistics.median(tool_ms), 4),
        our_p50_ms=round(statistics.median(ours_ms), 4),
        ratio=round(statistics.median(ratios), 4),
        ratio_interval=median_interval(ratios),
        min_ratio=round(min(ours_ms) / min(tool_ms), 4),
        tool_turn_ms=tuple(tool_ms),
    )
