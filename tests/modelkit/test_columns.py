"""Tables that are wider than the terminal: shown in parts, and no cell cut off or broken."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelkit.bench.samples import ONE, TWO, measured, report
from visiond.cli import main
from visiond.modelkit.bench.text import print_report
from visiond.modelkit.columns import split_columns, widths_of
from visiond.modelkit.convert.measurement import Measured
from visiond.modelkit.convert.table import print_table
from visiond.modelkit.evaluation.measure import Evaluation
from visiond.modelkit.verify import terminal


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def shown_in(out: io.StringIO) -> list[str]:
    """Without the styles, which take no room."""
    return re.sub("\x1b\\[[0-9;]*m", "", out.getvalue()).splitlines()


def lines(out: io.StringIO) -> list[str]:
    found = shown_in(out)
    assert max(map(len, found)) <= 80, found
    return found


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12), st.integers(1, 120), st.integers(1, 3), st.integers(0, 3))
def test_every_column_is_in_one_table_behind_the_keys(widths: list[int], width: int, keys: int, gap: int) -> None:
    keys = min(keys, len(widths))
    tables = split_columns(widths, width, keys, gap)
    assert [n for table in tables for n in table[keys:]] == list(range(keys, len(widths)))
    for table in tables:
        assert table[:keys] == list(range(keys))
        fits = sum(widths[n] + gap for n in table) <= width
        assert fits or len(table) <= keys + 1, "one alone that does not fit stays alone"


def test_what_fits_stays_one_table() -> None:
    assert split_columns(widths_of((("ab", "c"), ("d", "efg"))), 9, 1, 2) == [[0, 1]]
    assert split_columns([2, 3, 3], 13, 1, 2) == [[0, 1], [0, 2]]


def test_a_conversions_figures_are_whole(narrow: Terminal) -> None:
    found = Evaluation("a", "top-1", 1.0, 0.98, 1.0, {}, 450, 0, 1.5, ())
    rows = [
        Measured(name, f"n_{name}.tflite", 8_300, 7_100, "float32", "float32", 9, found, 1.0)
        for name in ("float32", "float16", "dynamic", "int8")
    ]
    print_table(rows, narrow)
    text = "\n".join(lines(narrow))
    assert "…" not in text
    for cell in ("VARIANT", "95 % INTERVAL", "8.3 kB", "98.0–100.0 %", "+0.00 points", "100.00 %", "1.50 ms"):
        assert cell in text, cell
    for name in ("float32 ", "float16 ", "int8 "):
        assert sum(line.startswith(name) for line in text.splitlines()) == 2, "each part names its rows"


def test_a_benchs_words_and_numbers_are_whole(narrow: Terminal) -> None:
    quick = replace(measured(TWO, [0.0845] * 5), subject=replace(TWO, runtime="tflite-runtime"))
    print_report(report(measured(ONE), quick), narrow)
    text = "\n".join(lines_of_tables(narrow))
    for cell in ("RUNTIME", "tflite-runtime", "XNNPACK", "PREPROCESS", "LOAD ms", "RSS MB", "11834.3", "9.90–10.10"):
        assert cell in text, cell
    assert text.count("tflite-runtime") == 4, "each of the two tables in two parts"


def lines_of_tables(out: io.StringIO) -> list[str]:
    """Without the head, whose sentences the terminal breaks."""
    found = shown_in(out)
    tables = found[next(n for n, line in enumerate(found) if line.strip() == "invoke alone") :]
    assert max(map(len, tables)) <= 80, tables
    return tables


def test_a_verifications_names_are_whole_and_its_sentences_broken_between_words(narrow: Terminal) -> None:
    show = terminal._rich(narrow)
    what = "torchvision's resize of a tensor, bilinear with aligned corners, then scaled to the input's quanta"
    name = "torchvision_bilinear_aligned *"
    show.table(
        "Preprocessing", ("convention", "equal", "max quanta", "mean", ""), [(name, "31.25%", "12", "0.5", what)]
    )
    text = "\n".join(lines(narrow))
    assert name in text
    assert all(word in text for word in what.split())
    long = "cpu litert no XNNPACK, …serving_default_scores:0"
    show.table(
        "Outputs", ("variant", "max", "mean", "max real", "cosine"), [(long, "255", "25.800", "0.123", "0.99999")]
    )
    text = "\n".join(lines(narrow))
    for cell in (long, "25.800", "0.99999"):
        assert cell in text


def test_the_list_of_models_fits_a_terminal_and_is_a_line_each_for_a_pipe(
    narrow: Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "list"]) == 0
    piped = capsys.readouterr().out.splitlines()
    monkeypatch.setattr("sys.stdout", narrow)
    assert main(["models", "list"]) == 0
    shown = lines(narrow)
    assert len(shown) > len(piped)
    assert " ".join(" ".join(shown).split()) == " ".join(" ".join(piped).split()), "the same words in the same order"
