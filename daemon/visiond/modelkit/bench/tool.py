"""LiteRT's own benchmark tool: where it is, how it is run as a program, and what it prints.

Two of them are known. `litert-benchmark` comes with the ai-edge-litert wheel; `benchmark_model` is the C++ program of
the same project, which one builds oneself. Both run the file on the CPU with XNNPACK and an input of random numbers.
The wheel's is run in turns with us (`tool_turns.py`), a program whose path is given once a round (`rounds.py`).
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from visiond.errors import NoInputError, UnavailableError

NAME: Final = "litert-benchmark"
_DEADLINE_S: Final = 600.0
# tensorflow/core/util/stats_calculator.h: one such line after the warm-up and one after the runs, in microseconds
_STATISTICS = re.compile(r"count=(\d+) first=.* min=([\d.e+]+) .* avg=([\d.e+]+)(?:.* median=([\d.e+]+))?")


@dataclass(frozen=True, slots=True)
class ToolRun:
    """What the tool says of one run. `p50_ms` is its mean where it tells no median: `statistic` says which it is."""

    runs: int
    p50_ms: float
    min_ms: float | None
    statistic: str


def check_program(given: Path) -> Path:
    """Return the tool's path; raises NoInputError where there is none."""
    if not given.is_file():
        raise NoInputError(f"--against-tool {given}: there is no such program; give its path, or leave the path out")
    return given.absolute()


def check_wheel() -> None:
    """Raise UnavailableError where this Python's ai-edge-litert does not bring the tool. Nothing is imported."""
    spec = find_spec("ai_edge_litert")
    folders = [] if spec is None else spec.submodule_search_locations or []
    if not any((Path(folder) / "tools" / "benchmark_litert_model.py").is_file() for folder in folders):
        raise UnavailableError(
            f"--against-tool: {NAME} is not in this Python's ai-edge-litert ({'' if folders else 'not '}installed); "
            "2.3.0 brings it (pip install -U ai-edge-litert); or give the path of a benchmark_model"
        )


def run_tool(tool: Path, model: Path, threads: int, runs: int, warm_runs: int) -> ToolRun:
    """Let it measure `model`. Raises UnavailableError where it fails, with its last words."""
    with tempfile.TemporaryDirectory(prefix="visiond-bench-") as folder:
        result = Path(folder) / "result.json"
        is_python = NAME in tool.name
        options = [f"--num_threads={threads}", f"--num_runs={runs}", f"--warmup_runs={warm_runs}"]
        options += (
            [f"--model={model}", f"--result_json={result}"] if is_python else [f"--graph={model}", "--use_xnnpack=true"]
        )
        try:
            done = subprocess.run(
                [tool, *options], capture_output=True, text=True, errors="replace", timeout=_DEADLINE_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{tool} said nothing for {_DEADLINE_S:.0f} s and was ended") from error
        except OSError as error:
            raise UnavailableError(f"{tool} cannot be run: {error.strerror}; chmod +x, or another path") from error
        if done.returncode != 0:
            raise UnavailableError(f"{tool} ended with {done.returncode} for {model.name}: {_last_line(done.stderr)}")
        try:
            return parse_result(result.read_text()) if is_python else parse_statistics(done.stdout + done.stderr)
        except (OSError, ValueError, KeyError) as error:
            raise UnavailableError(
                f"{tool} gave no result that is understood ({error}); is it of this name?"
            ) from error


def parse_result(text: str) -> ToolRun:
    """Read the JSON of `litert-benchmark --result_json`. Raises ValueError or KeyError."""
    latency = json.loads(text)["latency"]
    run = ToolRun(int(latency["num_runs"]), float(latency["median_ms"]), float(latency["min_ms"]), "median")
    return _plausible(run)


def parse_statistics(text: str) -> ToolRun:
    """Read what `benchmark_model` prints. Older ones tell a mean and no median. Raises ValueError."""
    lines = _STATISTICS.findall(text)
    if not lines:
        raise ValueError("no line with count=, min=, avg=")
    count, min_us, mean_us, median_us = lines[-1]
    p50_ms = float(median_us or mean_us) / 1000
    return _plausible(ToolRun(int(count), p50_ms, float(min_us) / 1000, "median" if median_us else "mean"))


def _plausible(run: ToolRun) -> ToolRun:
    if run.p50_ms <= 0 or (run.min_ms is not None and run.min_ms <= 0):
        raise ValueError("an invoke of 0 ms: it is too short for the tool to measure")
    return run


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("INFO")]
    return lines[-1][:300] if lines else "it gave no reason"
