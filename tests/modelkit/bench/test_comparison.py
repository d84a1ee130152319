"""Two runs next to each other: what the ratios say, and what they do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelkit.bench.samples import ONE, STICK, TWO, measured, report
from visiond.errors import DataError
from visiond.modelkit.bench.comparison import check_models, compare


@pytest.mark.parametrize(
    ("now_ms", "ratio", "verdict"),
    [
        ((12.0, 12.1, 11.9, 12.0, 12.05), 1.2, "slower"),
        ((5.0, 5.1, 4.9, 5.0, 5.05), 0.5, "faster"),
        ((9.0, 12.0, 10.1, 9.5, 14.0), 1.01, "not told"),
        ((10.0, 10.1, 9.9, 10.0, 10.05), 1.0, "not told"),
    ],
)
def test_a_difference_is_told_only_where_the_rounds_tell_it(
    now_ms: tuple[float, ...], ratio: float, verdict: str
) -> None:
    for found in compare(report(measured(ONE, now_ms)), report(measured(ONE))).ratios:
        assert found.ratio == pytest.approx(ratio)
        assert found.verdict == verdict
        assert found.interval.low <= found.ratio <= found.interval.high


def test_rounds_that_lie_among_each_other_give_no_verdict() -> None:
    """Two runs of one file on a busy host: the intervals of the medians alone took them for different."""
    before, now = (25.67, 21.49, 21.79, 24.27, 22.27), (27.57, 26.9, 28.2, 23.9, 29.4)
    found = compare(report(measured(ONE, now)), report(measured(ONE, before))).ratios[0]
    assert 1.0 not in found.interval
    assert found.verdict == "not told"


def test_few_rounds_give_no_verdict() -> None:
    """Two rounds that happen to be alike are no proof of anything."""
    for found in compare(report(measured(ONE, (20.0, 20.0))), report(measured(ONE))).ratios:
        assert found.ratio == 2.0
        assert found.verdict == "not told"


def test_a_run_beside_too_much_else_gives_no_verdict() -> None:
    slow, quiet = report(measured(ONE, (20.0,) * 5), load=8.1), report(measured(ONE), load=7.9)  # of four CPUs
    for pair in ((slow, quiet), (quiet, slow)):
        assert {each.verdict for each in compare(*pair).ratios} == {"not told"}
    assert compare(report(measured(ONE, (20.0,) * 5), load=7.9), quiet).ratios[0].verdict == "slower"


def test_each_subject_is_compared_with_itself_and_a_lone_one_is_named() -> None:
    found = compare(report(measured(ONE), measured(STICK)), report(measured(TWO), measured(ONE)))
    assert {(each.subject, each.stage) for each in found.ratios} == {(ONE, "invoke"), (ONE, "whole")}
    assert found.alone == ("litert, no delegate, 2 threads (before)", "litert, Edge TPU usb:0, 1 thread (now)")


def test_what_else_differs_is_named() -> None:
    before = report(measured(ONE))
    machine = replace(before.machine, load_1min=3.5, kernel="6.6", temperature_c=None)
    now = replace(report(replace(measured(ONE), version="LiteRT 2.4.0")), machine=machine)
    assert set(compare(now, before).differences) == {
        ("load 1min", "0.2", "3.5"),
        ("kernel", "6.12.1", "6.6"),
        ("temperature c", "48.5", "not told"),
        ("litert's version", "LiteRT 2.3.0", "LiteRT 2.4.0"),
    }
    assert compare(before, before).differences == ()


def test_another_model_is_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match=r"files.cpu of mine is another model .* add --other-model"):
        check_models({"cpu": "b" * 64}, "mine", report(measured(ONE)))
    with pytest.raises(DataError, match="no file in common"):
        check_models({"onnx": "a" * 64}, "mine", report(measured(ONE)))
    check_models({"cpu": "a" * 64, "edgetpu": "c" * 64}, "mine", report(measured(ONE)))
