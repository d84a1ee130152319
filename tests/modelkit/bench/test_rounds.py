"""Rounds of processes that may die, and the order that they come in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelkit.bench.samples import ONE, STICK, TWO
from visiond.modelkit.bench import rounds as bench_rounds
from visiond.modelkit.bench.order import Order, order_for
from visiond.modelkit.bench.report import Failure, Measured, Subject
from visiond.modelkit.bench.rounds import Collected, Step, measure_rounds, sum_up, sum_up_tool, turns_in_all
from visiond.modelkit.bench.tool import ToolRun

# A child that measures nothing: with two threads it takes twice as long, and `fault` is what it does at its end.
CHILD = """
import json, os, sys, time
order = json.loads(sys.argv[1])
with open({log!r}, "a") as log:
    print(json.dumps(order), file=log)
print(json.dumps({{"stage": "invoking"}}), flush=True)
if order["threads"] == 2 and {fault!r}:
    exec({fault!r})
opened = {{"runtime": "LiteRT 1", "library": None, "engine": {engine!r}, "remark": None, "frame": "a frame"}}
print(json.dumps({{"opened": {{**opened, "load_ms": 5, "first_invoke_ms": 2}}}}))
spans = [order["threads"] * 1.0] * 4
names = ("invoke_ms", "whole_ms", "preprocess_ms", "whole_invoke_ms", "decode_ms")
print(json.dumps({{"slice": {{**{{name: spans for name in names}}, "rss_mb": 50, "peak_rss_mb": 60}}}}))
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str = "", engine: str = "cpu") -> None:
    (tmp_path / "counting_child.py").write_text(CHILD.format(log=str(tmp_path / "log"), fault=fault, engine=engine))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bench_rounds, "MODULE", "counting_child")


def orders(*subjects: Subject) -> dict[Subject, Order]:
    return {subject: order_for("package", subject, None) for subject in subjects}


def rounds_of(
    given: dict[Subject, Order], rounds: int, tool: Path | None, model: Path | None, step: Step
) -> dict[Subject, Collected]:
    collected = {subject: Collected() for subject in given}
    measure_rounds(given, rounds, tool, model, step, collected)
    return collected


def test_every_round_has_all_of_them_and_every_second_one_is_turned_round(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, monkeypatch)
    steps: list[str] = []
    found = rounds_of(orders(ONE, TWO), 3, None, None, steps.append)
    assert [json.loads(line)["threads"] for line in log.read_text().splitlines()] == [1, 2, 2, 1, 1, 2]
    assert len(steps) == turns_in_all(orders(ONE, TWO), 3, None) == 6
    one, two = (sum_up(subject, found[subject]) for subject in (ONE, TWO))
    assert isinstance(one, Measured)
    assert isinstance(two, Measured)
    assert (one.invoke.p50_ms, two.invoke.p50_ms) == (1.0, 2.0)
    assert one.invoke.count == 12
    assert one.invoke.round_p50_ms == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("os.abort()", "while invoking its process died of SIGABRT"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "while invoking its process died of SIGSEGV"),
        ("raise SystemError('no such kernel')", "ended with exit code 1: SystemError: no such kernel"),
        ("print(json.dumps({'failed': 'the stick is gone'}), flush=True); sys.exit(0)", "the stick is gone"),
        ("sys.exit(0)", "while invoking its process ended without a result"),
        ("time.sleep(60)", "while invoking its process said nothing more and was killed"),
    ],
)
def test_a_process_that_dies_or_hangs_is_a_sentence_and_the_others_go_on(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch, fault: str, words: str
) -> None:
    child(tmp_path, monkeypatch, fault)
    monkeypatch.setattr(bench_rounds, "DEADLINE_S", 1.0)
    found = rounds_of(orders(ONE, TWO), 2, None, None, lambda _: None)
    failed, went_on = sum_up(TWO, found[TWO]), sum_up(ONE, found[ONE])
    assert isinstance(failed, Failure)
    assert words in failed.text
    assert isinstance(went_on, Measured)
    assert went_on.invoke.count == 8
    assert len(log.read_text().splitlines()) == 3, "one that has died is not started again"


def test_a_stick_that_takes_no_operator_is_not_passed_off_as_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child(tmp_path, monkeypatch, engine="cpu")
    order = Order("package", "edgetpu", "litert", 1, "xnnpack", {"port": "1-1"})
    found = sum_up(STICK, rounds_of({STICK: order}, 1, None, None, lambda _: None)[STICK])
    assert isinstance(found, Failure)
    assert "it ran on the CPU" in found.text


def test_the_tool_is_compared_within_each_round() -> None:
    """A machine that is three times as slow in one round is so for both, and no difference between them."""
    paces = (1.0, 3.0, 1.0, 1.2, 1.0)
    mine = Collected(
        slices=[{"invoke_ms": [10.2 * pace, 10.2 * pace]} for pace in paces],
        by_tool=[ToolRun(20, 10.0 * pace, 9.9 * pace, "median") for pace in paces],
    )
    found = sum_up_tool(ONE, mine, Path("/somewhere/litert-benchmark"))
    assert found is not None
    assert found.ratio == pytest.approx(1.02)
    assert (found.ratio_interval.low, found.ratio_interval.high) == pytest.approx((1.02, 1.02))
    assert found.min_ratio == pytest.approx(10.2 / 9.9, abs=1e-4)
    assert (found.runs, found.tool) == (100, "litert-benchmark")


def test_a_tool_that_fails_takes_nothing_from_our_own_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch)
    tool = tmp_path / "litert-benchmark"
    tool.write_text("#!/bin/sh\necho 'ERROR: no' >&2; exit 3\n")
    tool.chmod(0o755)
    found = rounds_of(orders(ONE, TWO), 2, tool, tmp_path / "m.tflite", lambda _: None)
    assert isinstance(sum_up(ONE, found[ONE]), Measured)
    assert sum_up_tool(ONE, found[ONE], tool) is None
    assert "ended with 3" in str(found[ONE].tool_failure)
    assert found[TWO].tool_failure is None, "the tool has no way without XNNPACK: it is not run for that"


def test_what_is_finished_at_ctrl_c_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child(tmp_path, monkeypatch)
    collected = {subject: Collected() for subject in (ONE, TWO, STICK)}

    def stop(step: str) -> None:
        if step.startswith("round 2 of 3") and "2 threads" in step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_rounds(orders(ONE, TWO), 3, None, None, stop, collected)
    one, two, stick = (sum_up(subject, mine) for subject, mine in collected.items())
    assert isinstance(one, Measured)
    assert isinstance(two, Measured)
    assert (one.invoke.count, two.invoke.count) == (4, 4)
    assert stick == Failure(STICK, "stopped before its first round was over")


def test_a_turn_without_its_partner_is_not_compared() -> None:
    mine = Collected(slices=[{"invoke_ms": [10.0]}, {"invoke_ms": [99.0]}], by_tool=[ToolRun(20, 10.0, 9.9, "median")])
    found = sum_up_tool(ONE, mine, Path("/somewhere/litert-benchmark"))
    assert found is not None
    assert (found.ratio, found.our_p50_ms) == (1.0, 10.0)
