"""What --save writes is what --compare reads; anything else is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelkit.bench.samples import ONE, STICK, measured, report
from visiond.errors import VisiondError
from visiond.modelkit.bench.report import (
    Drift,
    Failure,
    OperatorTime,
    Profile,
    Report,
    ToolMeasured,
    as_json,
    load_report,
)
from visiond.modelkit.bench.timings import Interval


def whole_report() -> Report:
    """One with something in every field."""
    found = as_json(report(measured(ONE), measured(STICK)))
    tool = ToolMeasured(
        ONE, "litert-benchmark", "median", 100, 10.0, 10.1, 1.01, Interval(1.0, 1.02), 1.0, (10.0, 10.0)
    )
    profile = Profile(ONE, "LiteRT's profiler", 20, (OperatorTime("CONV_2D", 3, 9.0, 0.9, False),), None)
    drift = Drift(ONE, 60.0, 6000, 10.0, 11.0, (10.0, 11.0), 50.0, 80.5, 1500.0, 600.0, ("throttled",))
    parts = {"tool": (tool,), "profiles": (profile,), "drift": drift, "failed": (Failure(STICK, "it is gone"),)}
    return Report(**{field: getattr(report(measured(ONE)), field) for field in found} | parts)


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    saved.write_text(json.dumps(as_json(whole_report())))
    assert load_report(saved) == whole_report()


def test_what_json_prints_with_a_comparison_can_be_compared_again(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    saved.write_text(json.dumps({**as_json(whole_report()), "comparison": {}}))
    assert load_report(saved) == whole_report()


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        ({"format": 2}, "is of format 2, this visiond reads 1", 65),
        ({"measured": [{"subject": 1}]}, "is not a bench's result: measured.0.subject", 65),
        ({"machine": None}, "is not a bench's result: machine", 65),
    ],
)
def test_a_file_that_is_something_else_is_refused(
    tmp_path: Path, change: dict[str, Any], words: str, code: int
) -> None:
    saved = tmp_path / "run.json"
    saved.write_text(json.dumps({**as_json(whole_report()), **change}))
    with pytest.raises(VisiondError, match=words) as caught:
        load_report(saved)
    assert caught.value.exit_code == code


def test_a_run_without_rounds_is_refused_before_it_is_divided_by(tmp_path: Path) -> None:
    for rounds in ([], [0.0]):
        found = as_json(report(measured(ONE)))
        found["measured"][0]["invoke"]["round_p50_ms"] = rounds
        saved = tmp_path / "run.json"
        saved.write_text(json.dumps(found))
        with pytest.raises(VisiondError, match=r"measured\.0\.invoke\.round_p50_ms"):
            load_report(saved)


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        (b"{", "is no JSON", 65),
        (b"\xff\xfe", "it is no text", 66),
        (b"[" * 100_000, "is no JSON", 65),
        (None, "cannot be read", 66),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None, words: str, code: int) -> None:
    saved = tmp_path / "run.json"
    if content is not None:
        saved.write_bytes(content)
    with pytest.raises(VisiondError, match=words) as caught:
        load_report(saved)
    assert caught.value.exit_code == code
