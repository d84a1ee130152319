"""Ours and the tool's in turns: what is made of them, and what becomes of a tool that fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelkit.bench.samples import ONE
from visiond.modelkit.bench import tool_turns
from visiond.modelkit.bench.rounds import Died
from visiond.modelkit.bench.tool_turns import measure_turns


def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    (tmp_path / "tool_child.py").write_text(f"import json, os, sys\norder = json.loads(sys.argv[1])\n{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(tool_turns, "MODULE", "tool_child")


def test_each_turn_is_compared_with_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns that are slow for both make no difference between them."""
    tool_ms = [10.0, 30.0, 10.0, 12.0, 10.0]
    told = {"ours": [each * 1.03 for each in tool_ms], "tool": tool_ms, "runs": 50}
    child(tmp_path, monkeypatch, f"print(json.dumps({told!r}))")
    found = measure_turns(tmp_path / "m.tflite", ONE, 10.0, 1.0)
    assert found.ratio == pytest.approx(1.03)
    assert (found.ratio_interval.low, found.ratio_interval.high) == pytest.approx((1.03, 1.03))
    assert found.min_ratio == pytest.approx(1.03)
    assert (found.tool_p50_ms, found.our_p50_ms, found.runs) == (10.0, 10.3, 50)


@pytest.mark.parametrize(("invoke_ms", "invokes"), [(0.5, 50), (10.0, 10), (35.0, 3), (4000.0, 3)])
def test_a_turn_is_short_and_has_a_few_invokes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invoke_ms: float, invokes: int
) -> None:
    child(
        tmp_path,
        monkeypatch,
        f"json.dump(order, open({str(tmp_path / 'order')!r}, 'w'))\n"
        "print(json.dumps({'ours': [1.0], 'tool': [1.0], 'runs': 1}))",
    )
    measure_turns(tmp_path / "m.tflite", ONE, invoke_ms, 7.0)
    order = json.loads((tmp_path / "order").read_text())
    path = str(tmp_path / "m.tflite")
    assert order == {"path": path, "threads": 1, "invokes": invokes, "turns": 60, "seconds": 7.0}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("print(json.dumps({'ours': [0.004], 'tool': [0.0], 'runs': 1}))", "0 ms: it is too short"),
        ("import nowhere", "ended with exit code 1: ModuleNotFoundError: No module named 'nowhere'"),
        ("os.abort()", "died of SIGABRT"),
        ("print(json.dumps({'failed': 'm.tflite is damaged'}))", "m.tflite is damaged"),
    ],
)
def test_what_fails_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str) -> None:
    child(tmp_path, monkeypatch, code)
    with pytest.raises(Died, match=words):
        measure_turns(tmp_path / "m.tflite", ONE, 1.0, 1.0)
