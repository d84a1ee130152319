"""What `visiond models bench` measures next to LiteRT's own benchmark tool, on the same file.

In turns of a few invokes, in one process, as the command does it: on a busy machine more changes within a second than
the two differ by.
"""

from __future__ import annotations

from pathlib import Path

from bench.report import Figure
from bench.scene import models
from visiond.modelkit.bench.report import Subject
from visiond.modelkit.bench.tool_turns import measure_turns

SECONDS = 60.0
INVOKE_MS = {"shapes": 1.0, "coco_ssd": 35.0}  # about
THREADS = (1, 2)


def measure() -> list[Figure]:
    with models() as each:
        return [_figure(model.name, model.file, threads) for model in each for threads in THREADS]


def _figure(name: str, file: Path, threads: int) -> Figure:
    subject = Subject("cpu", "litert", threads, "xnnpack", None)
    found = measure_turns(file, subject, INVOKE_MS[name], SECONDS)
    interval, turns = found.ratio_interval, len(found.tool_turn_ms)
    detail = (
        f"ours {found.our_p50_ms:.3f}, the tool {found.tool_p50_ms:.3f} ms; ratio {found.ratio:.3f} (95 %: "
        f"{interval.low:.3f} to {interval.high:.3f}), of the least {found.min_ratio:.3f}; {turns} turns, "
        f"{found.runs} invokes each"
    )
    title = f"bench next to LiteRT's tool, {name}, {threads} thread{'s' * (threads > 1)}: apart by"
    return Figure(title, abs(found.ratio - 1), "", "≤ 0.05", detail)
