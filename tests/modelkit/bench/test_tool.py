"""LiteRT's benchmark tool: the real one of the wheel, and programs that behave like others of its kind."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from visiond.errors import NoInputError, UnavailableError
from visiond.modelkit.bench import tool as bench_tool
from visiond.modelkit.bench.tool import (
    NAME,
    ToolRun,
    check_program,
    check_wheel,
    parse_result,
    parse_statistics,
    run_tool,
)

# What benchmark_model prints: tensorflow/lite/tools/benchmark, by tensorflow/core/util/stats_calculator.h
WARM_UP = (
    "INFO: count=9 first=87112 curr=51629 min=51629 max=87112 avg=58147.4 std=11478 p5=51629 median=51962 p95=87112"
)
RUNS = (
    "INFO: count=50 first=52162 curr=49785 min=49088 max=68610 avg=5.17432e+04 std=607 p5=49620 median=51891 p95=5862"
)
OLDER = "count=50 first=249042 curr=250889 min=247067 max=254474 avg=249684 std=1442"


def program(path: Path, body: str) -> Path:
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)
    return path


@pytest.mark.slow
def test_the_tool_of_the_wheel_measures_a_model(root: Path) -> None:
    program = Path(sys.executable).parent / NAME
    found = run_tool(check_program(program), root / "models" / "shapes" / "shapes.tflite", 1, 20, 3)
    assert found.runs == 20
    assert found.statistic == "median"
    assert found.min_ms is not None
    assert 0 < found.min_ms <= found.p50_ms < 1000


def test_benchmark_model_is_understood_and_the_warm_up_is_not_taken_for_the_runs(tmp_path: Path) -> None:
    told = program(tmp_path / "benchmark_model", f"import sys; print({WARM_UP!r}); print({RUNS!r})")
    assert run_tool(told, tmp_path / "m.tflite", 2, 50, 3) == ToolRun(50, 51.891, 49.088, "median")


def test_benchmark_model_is_given_its_own_options(tmp_path: Path) -> None:
    body = "import sys; assert sys.argv[1:] == ['--num_threads=2', '--num_runs=50', '--warmup_runs=3', "
    body += f"'--graph={tmp_path / 'm.tflite'}', '--use_xnnpack=true'], sys.argv; print({RUNS!r})"
    assert run_tool(program(tmp_path / "benchmark_model", body), tmp_path / "m.tflite", 2, 50, 3).runs == 50


def test_an_older_one_tells_a_mean() -> None:
    assert parse_statistics(OLDER) == ToolRun(50, 249.684, 247.067, "mean")


@pytest.mark.parametrize("text", ["", "count=1 curr=1357602 p5=1357602 median=1357602 p95=1357602", "STARTING!"])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="count="):
        parse_statistics(text)


def test_an_invoke_that_is_too_short_for_the_tool_is_no_measurement() -> None:
    with pytest.raises(ValueError, match="too short"):
        parse_result('{"latency": {"num_runs": 5, "median_ms": 0.0, "min_ms": 0.0}}')


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; print('ERROR: no such model', file=sys.stderr); sys.exit(1)", "ended with 1 .*no such model"),
        ("print('hello')", "gave no result that is understood"),
        ("import os; os.abort()", "ended with -6"),
        ("import time; time.sleep(60)", "said nothing for"),
    ],
)
def test_a_tool_that_fails_is_a_sentence(
    tmp_path: Path, body: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench_tool, "_DEADLINE_S", 1.5)
    for name in ("benchmark_model", "litert-benchmark"):
        with pytest.raises(UnavailableError, match=words):
            run_tool(program(tmp_path / name, body), tmp_path / "m.tflite", 1, 5, 1)


def test_a_file_that_is_no_program_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "benchmark_model").write_text("no program")
    with pytest.raises(UnavailableError, match=r"cannot be run: .*chmod"):
        run_tool(check_program(tmp_path / "benchmark_model"), tmp_path / "m.tflite", 1, 5, 1)


def test_a_path_that_is_not_there_and_a_wheel_without_the_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_wheel()
    with pytest.raises(NoInputError, match="no such program"):
        check_program(tmp_path / "nowhere")
    monkeypatch.setattr(bench_tool, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match=r"litert-benchmark is not in .*\(not installed\)"):
        check_wheel()
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(bench_tool, "find_spec", lambda _: spec)
    with pytest.raises(UnavailableError, match=r"\(installed\); 2\.3\.0 brings it"):
        check_wheel()
