"""Tables for a pipe and for a terminal, and the sentences beside them."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from modelkit.bench.samples import ONE, STICK, TWO, measured, report
from visiond.modelkit.bench.comparison import compare
from visiond.modelkit.bench.report import Drift, Failure, OperatorTime, Profile, Report, ToolMeasured
from visiond.modelkit.bench.tables import Table, print_table
from visiond.modelkit.bench.text import print_comparison, print_report
from visiond.modelkit.bench.timings import Interval


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def printed(found: Report) -> str:
    out = io.StringIO()
    print_report(found, out)
    return out.getvalue()


def test_words_stand_left_and_numbers_right() -> None:
    out = io.StringIO()
    print_table(Table("a title", ("NAME ", "ms"), (("litert", "1.5"), ("tflite-runtime", "10.25"))), out)
    assert out.getvalue() == ("\na title\n  NAME               ms\n  litert            1.5\n  tflite-runtime  10.25\n")


def test_a_terminal_gets_the_same_cells_and_no_markup_of_theirs() -> None:
    pytest.importorskip("rich")
    out = Terminal()
    print_table(Table("a title", ("NAME ", "ms"), (("[red]x[/red]", "1.5"),)), out)
    assert "[red]x[/red]" in out.getvalue()
    assert "1.5" in out.getvalue()


def test_every_table_of_a_report_fits_a_hundred_columns() -> None:
    tool = ToolMeasured(ONE, "litert-benchmark", "median", 100, 10.0, 10.1, 1.01, Interval(1.0, 1.02), 1.0, (10.0,))
    runtime = replace(TWO, runtime="tflite-runtime")
    found = replace(report(measured(ONE), measured(runtime), measured(STICK)), tool=(tool,))
    before = report(measured(STICK), measured(runtime), measured(ONE))
    out = io.StringIO()
    print_comparison(compare(found, before), out)
    for line in (printed(found) + out.getvalue()).splitlines():
        assert len(line) <= 100, line


def test_a_comparison_has_its_milliseconds_as_the_other_tables_do() -> None:
    out = io.StringIO()
    print_comparison(compare(report(measured(ONE, (1234.5,) * 5)), report(measured(ONE, (29.0,) * 5))), out)
    assert re.search(r"invoke +29\.00 +1234\.50 +42\.569", out.getvalue())


def test_a_comparison_of_single_rounds_shows_no_interval() -> None:
    out = io.StringIO()
    print_comparison(compare(report(measured(ONE, (12.0,))), report(measured(ONE, (10.0,)))), out)
    assert re.search(r"invoke +10\.00 +12\.00 +1\.200 +– +not told", out.getvalue())


@pytest.mark.parametrize(
    ("ratio", "low", "high", "words"),
    [
        (1.01, 1.0, 1.02, "yes"),
        (1.01, 0.9, 1.2, "yes, noise is more"),
        (1.08, 1.07, 1.09, "no"),
        (1.08, 0.95, 1.2, "no, but noise is more"),
        (0.92, 0.86, 0.98, "no, but noise is more"),
        (0.92, 0.91, 0.93, "no"),
    ],
)
def test_the_tools_agreement_is_said_with_its_doubt(ratio: float, low: float, high: float, words: str) -> None:
    tool = ToolMeasured(ONE, "litert-benchmark", "median", 9, 10.0, 10.0, ratio, Interval(low, high), None, (10.0,))
    (line,) = (line for line in printed(replace(report(measured(ONE)), tool=(tool,))).splitlines() if "0.000" in line)
    assert line.endswith(f"9  {words}")


def test_a_profile_shows_the_dearest_and_sums_up_the_rest() -> None:
    operators = tuple(OperatorTime(f"OP{n}", 1, 20.0 - n, 0.1, n == 0) for n in range(10))
    text = printed(replace(report(measured(ONE)), profiles=(Profile(ONE, "LiteRT's profiler", 7, operators, None),)))
    assert "OP7" in text
    assert "OP8" not in text
    assert "2 more kinds" in text
    assert "23.000  20.0%" in text


def test_what_failed_is_said_and_why() -> None:
    failed = (Failure(STICK, "while invoking its process died of SIGABRT"),)
    silent = (Profile(STICK, None, 0, (), "the stick tells nothing"),)
    text = printed(replace(report(measured(ONE)), failed=failed, profiles=silent, tool_failure="it ended with 3"))
    assert "not measured: litert, Edge TPU usb:0, 1 thread: while invoking its process died of SIGABRT" in text
    assert "no operators of litert, Edge TPU usb:0: the stick tells nothing" in text
    assert "the tool: it ended with 3" in text


def test_drift_says_what_the_board_does_not_tell() -> None:
    drift = Drift(ONE, 120.0, 6000, 10.0, 15.0, (10.0, 15.0), None, None, None, None, None)
    text = printed(replace(report(measured(ONE)), drift=drift))
    assert "2.0 minutes of invokes, litert, XNNPACK, 1 thread: p50 10.00 ms in the first tenth" in text
    assert "1.500 times" in text
    assert "tells no temperature" in text
    assert "does not tell whether it is throttled" in text
    hot = replace(drift, first_temperature_c=45.0, highest_temperature_c=84.5, throttling=("throttled",))
    assert "45.0 °C before, 84.5 °C at most" in printed(replace(report(measured(ONE)), drift=hot))
    assert "throttling: throttled" in printed(replace(report(measured(ONE)), drift=hot))


def test_what_goes_wrong_with_all_of_them_is_told_once() -> None:
    failed = tuple(Failure(subject, "the decoder does not fit") for subject in (ONE, TWO))
    text = printed(replace(report(), failed=failed))
    assert "not measured: litert, XNNPACK, 1 thread; litert, no delegate, 2 threads: the decoder does not fit\n" in text
    assert "OpenCV 4.12.0\n" in text
