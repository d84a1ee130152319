"""The operators' times put together, and what no runtime tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelkit.bench.samples import ONE, STICK, TWO
from visiond.modelkit.bench import profile as bench_profile
from visiond.modelkit.bench.profile import operator_times, profile, profile_each
from visiond.modelkit.bench.report import OperatorTime, Profile, Subject


def test_operators_of_one_name_are_one_row_the_dearest_first() -> None:
    invoke = [["CONV_2D", 2000, False], ["SOFTMAX", 500, False], ["CONV_2D", 1000, False], ["CONV_2D", 500, True]]
    slow = [[name, span_us * 3, delegated] for name, span_us, delegated in invoke]
    assert operator_times([invoke, slow, invoke]) == (
        OperatorTime("CONV_2D", 2, 3.0, 0.75, False),
        OperatorTime("SOFTMAX", 1, 0.5, 0.125, False),
        OperatorTime("CONV_2D", 1, 0.5, 0.125, True),
    )


def test_nothing_is_no_operator() -> None:
    assert operator_times([]) == ()
    assert operator_times([[["RESHAPE", 0, False]]]) == (OperatorTime("RESHAPE", 1, 0.0, 0.0, False),)


@pytest.mark.parametrize(
    ("subject", "words"),
    [
        (STICK, "the stick tells nothing"),
        (Subject("cpu", "tflite-runtime", 1, "xnnpack", None), "tflite-runtime's wheel offers no profiler"),
    ],
)
def test_what_tells_nothing_is_said_to(subject: Subject, words: str) -> None:
    found = profile(Path("nowhere"), subject, 1.0)
    assert found.operators == ()
    assert found.source is None
    assert words in str(found.remark)


def test_each_runtime_and_delegate_is_profiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Subject] = []

    def note(_folder: Path, subject: Subject, _seconds: float) -> Profile:
        asked.append(subject)
        return Profile(subject, None, 0, (), "noted")

    monkeypatch.setattr(bench_profile, "profile", note)
    four = Subject("cpu", "litert", 4, "xnnpack", None)
    assert len(profile_each(Path(), [four, TWO, ONE, STICK], 1.0)) == 3
    assert asked == [ONE, STICK, TWO]


def test_a_profiler_that_dies_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dying_profiler.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(bench_profile, "MODULE", "dying_profiler")
    found = profile(tmp_path, ONE, 0.1)
    assert found.operators == ()
    assert found.remark == "while starting its process died of SIGABRT"
