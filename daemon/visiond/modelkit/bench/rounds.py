"""Rounds: every subject is measured in turn, again and again, each time in a process of its own.

What else the machine does then hits all of them alike, the order is turned round every time, and memory holds one
model at a time. A process that dies is a sentence, and its subject is out.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from visiond.doctor.child import Message, converse
from visiond.errors import UnavailableError
from visiond.modelkit.bench.order import Order
from visiond.modelkit.bench.report import Failure, Measured, Subject, ToolMeasured
from visiond.modelkit.bench.timings import median_interval, summarize
from visiond.modelkit.bench.tool import ToolRun, run_tool

MODULE: Final = "visiond.modelkit.bench.measure_process"
DEADLINE_S: Final = 120.0  # without a word: a large model that is loaded on a busy, throttled board
_TOOL_WARM_S: Final = 0.2  # as long as our own warm-up

Step = Callable[[str], None]
Hear = Callable[[Message], None]


class Died(Exception):
    """A child gave no result; the text says why."""


@dataclass(slots=True)
class Collected:
    """What the rounds have told of one subject so far."""

    slices: list[Message] = field(default_factory=list)
    opened: list[Message] = field(default_factory=list)
    by_tool: list[ToolRun] = field(default_factory=list)
    tool_failure: str | None = None
    failure: str | None = None


def converse_or_die(module: str, order: dict[str, Any], hear: Hear) -> Message:
    """Let a child do its work; returns its last message of each name. Raises Died where it did not come to its end."""
    heard: dict[str, Any] = {"stage": "starting"}

    def listen(message: Message) -> None:
        heard.update(message)
        hear(message)

    ended = converse(module, order, DEADLINE_S, listen)
    if "failed" in heard:
        raise Died(heard["failed"])
    if ended.status != 0 or ended.silent:
        words = f": {ended.words}" if ended.words else ""
        raise Died(f"while {heard['stage']} its process {ended.how}{words}")
    return heard


def measure_rounds(
    orders: dict[Subject, Order],
    rounds: int,
    tool: Path | None,
    model: Path | None,
    step: Step,
    collected: dict[Subject, Collected],
) -> None:
    """Measure every subject `rounds` times; `step` is told what begins. `tool` runs `model` beside those it can run.

    `collected` has one for each subject, and grows: after Ctrl-C what has come is in it.
    """
    for number in range(rounds):
        for subject, by_tool in _turns(orders, tool, number):
            mine = collected[subject]
            step(f"round {number + 1} of {rounds}: {'the tool, ' if by_tool else ''}{subject.name}")
            if mine.failure is not None:
                continue
            if by_tool and tool is not None and model is not None:
                _tool_turn(tool, model, subject, mine)
            else:
                _turn(orders[subject], mine)


def turns_in_all(orders: dict[Subject, Order], rounds: int, tool: Path | None) -> int:
    """How many steps `measure_rounds` takes."""
    return sum(1 for number in range(rounds) for _ in _turns(orders, tool, number))


def sum_up(subject: Subject, mine: Collected) -> Measured | Failure:
    """What all rounds say together."""
    if mine.failure is not None:
        return Failure(subject, mine.failure)
    if not mine.slices:
        return Failure(subject, "stopped before its first round was over")
    opened = mine.opened[-1]
    spans = {name: summarize([each[f"{name}_ms"] for each in mine.slices]) for name in _SPANS}
    return Measured(
        subject=subject,
        version=" with ".join(each for each in (opened["runtime"], opened["library"]) if each),
        load_ms=round(statistics.median(each["load_ms"] for each in mine.opened), 2),
        first_invoke_ms=round(statistics.median(each["first_invoke_ms"] for each in mine.opened), 3),
        rss_mb=round(statistics.median(each["rss_mb"] for each in mine.slices), 1),
        peak_rss_mb=round(max(each["peak_rss_mb"] for each in mine.slices), 1),
        remark=opened["remark"],
        **spans,
    )


def sum_up_tool(subject: Subject, mine: Collected, tool: Path) -> ToolMeasured | None:
    """Ours next to the tool's; None where it has not run."""
    if not mine.by_tool or mine.failure is not None or mine.tool_failure is not None:
        return None
    pairs = list(zip(mine.slices, mine.by_tool, strict=False))  # Ctrl-C may have come between the two of a round
    ours = [statistics.median(each["invoke_ms"]) for each, _ in pairs]
    tools = [run.p50_ms for _, run in pairs]
    ratios = [our / its for our, its in zip(ours, tools, strict=True)]
    least = [run.min_ms for run in mine.by_tool if run.min_ms is not None]
    our_least = min(span for each in mine.slices for span in each["invoke_ms"])
    return ToolMeasured(
        subject=subject,
        tool=tool.name,
        statistic=mine.by_tool[0].statistic,
        runs=sum(run.runs for run in mine.by_tool),
        tool_p50_ms=statistics.median(tools),
        our_p50_ms=statistics.median(ours),
        ratio=round(statistics.median(ratios), 4),
        ratio_interval=median_interval(ratios),
        min_ratio=round(our_least / min(least), 4) if least else None,
        tool_turn_ms=tuple(tools),
    )


def sum_up_program(
    collected: dict[Subject, Collected], tool: Path | None
) -> tuple[tuple[ToolMeasured, ...], str | None]:
    """The same of all subjects, and why one is missing; nothing without a tool."""
    found = [] if tool is None else [sum_up_tool(subject, mine, tool) for subject, mine in collected.items()]
    failure = next((mine.tool_failure for mine in collected.values() if mine.tool_failure), None)
    return tuple(each for each in found if each is not None), failure


_SPANS: Final = ("invoke", "whole", "preprocess", "whole_invoke", "decode")


def _turns(orders: dict[Subject, Order], tool: Path | None, number: int) -> Iterator[tuple[Subject, bool]]:
    """Who is measured in this round, in order; True: by the tool. Every second round is the other way round."""
    turns = [
        (subject, by_tool)
        for subject in orders
        for by_tool in (False, True)
        if not by_tool or (tool is not None and can_run_tool(subject))
    ]
    # The tool is told to invoke as often as we did, so that the first round begins with us.
    return iter(turns if number % 2 == 0 else turns[::-1])


def can_run_tool(subject: Subject) -> bool:
    """Whether the tool measures the same: LiteRT with XNNPACK on the CPU."""
    return subject.runtime == "litert" and subject.kernels == "xnnpack" and subject.device is None


def _turn(order: Order, mine: Collected) -> None:
    try:
        heard = converse_or_die(MODULE, order.as_json(), lambda _: None)
        if "slice" not in heard:
            raise Died(f"while {heard['stage']} its process ended without a result")
    except Died as error:
        number = len(mine.slices) + 1
        mine.failure = f"{error}" if number == 1 else f"round {number}: {error}"
        return
    if order.stick is not None and heard["opened"]["engine"] != "edgetpu":
        mine.failure = heard["opened"]["remark"] or "the delegate took no operator: it ran on the CPU"
        return
    mine.opened.append(heard["opened"])
    mine.slices.append(heard["slice"])


def _tool_turn(tool: Path, model: Path, subject: Subject, mine: Collected) -> None:
    if mine.tool_failure is not None:
        return
    spans: Sequence[float] = mine.slices[-1]["invoke_ms"]
    warm_runs = max(3, round(_TOOL_WARM_S * 1000 / statistics.median(spans)))
    try:
        mine.by_tool.append(run_tool(tool, model, subject.threads, len(spans), warm_runs))
    except UnavailableError as error:
        mine.tool_failure = str(error)
