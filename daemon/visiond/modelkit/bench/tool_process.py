"""The child that lets LiteRT's benchmark tool and our interpreter invoke in turns, a few invokes each.

The tool's own code measures its part: `run_benchmark` of ai_edge_litert.tools.benchmark_litert_model, which is what the
command `litert-benchmark` calls. In turns of a fraction of a second, what else the machine does hits both alike.
Messages: {stage}, then {ours, tool}: the median of each turn in ms, and {runs}: the tool's invokes.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import statistics
import time
from argparse import Namespace
from pathlib import Path
from typing import Any, Final

from visiond.doctor.child_side import begin
from visiond.engine.interpreter import Interpreter, open_interpreter
from visiond.errors import VisiondError

MODULE: Final = "ai_edge_litert.tools.benchmark_litert_model"
_WARM_INVOKES: Final = 2


def main() -> None:
    """The order: `path`, `threads`, `invokes` of a turn, at least `turns` of them, and at least `seconds`."""
    order, tell = begin()
    try:
        tell(stage="running LiteRT's benchmark tool")
        tool: Any = importlib.import_module(MODULE)
        interpreter = open_interpreter(Path(order["path"]), order["threads"], "litert")
        ours_ms, tool_ms = _take_turns(interpreter, tool, order)
    except VisiondError as error:
        tell(failed=str(error))
        return
    tell(ours=ours_ms, tool=tool_ms, runs=len(tool_ms) * order["invokes"])


def _take_turns(interpreter: Interpreter, tool: Any, order: dict[str, Any]) -> tuple[list[float], list[float]]:
    ours_ms: list[float] = []
    tool_ms: list[float] = []
    give_up_s = time.monotonic() + order["seconds"]
    while len(tool_ms) < order["turns"] or time.monotonic() < give_up_s:
        first = len(ours_ms) % 2 == 0  # who is first in this turn is second in the next
        for ours in (first, not first):
            if ours:
                ours_ms.append(_our_ms(interpreter, order["invokes"]))
            else:
                tool_ms.append(_tool_ms(tool, order))
    return ours_ms, tool_ms


def _our_ms(interpreter: Interpreter, invokes: int) -> float:
    for _ in range(_WARM_INVOKES):
        interpreter.invoke()
    spans_ms = []
    for _ in range(invokes):
        began_ns = time.perf_counter_ns()
        interpreter.invoke()
        spans_ms.append((time.perf_counter_ns() - began_ns) / 1e6)
    return statistics.median(spans_ms)


def _tool_ms(tool: Any, order: dict[str, Any]) -> float:
    """What the tool says of so many invokes; the fields are those of its command line, with its defaults."""
    given = Namespace(
        model=order["path"],
        signature="",
        use_cpu=True,
        no_cpu=False,
        use_gpu=False,
        use_npu=False,
        require_full_delegation=False,
        dispatch_library_path="",
        compiler_plugin_path="",
        runtime_path="",
        num_runs=order["invokes"],
        warmup_runs=_WARM_INVOKES,
        num_threads=order["threads"],
        result_json="",
        verbose=False,
    )
    with contextlib.redirect_stdout(io.StringIO()):
        found = tool.run_benchmark(given)
    return float(found["latency"]["median_ms"])


if __name__ == "__main__":
    main()
