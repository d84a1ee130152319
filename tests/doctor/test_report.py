"""Findings as exit code, JSON and text."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.doctor.report import Printer, exit_code, ok, report, skipped, split, worst, wrong

FINE = ok("usb", "stick", "there", port="2-1")
LEFT_OUT = skipped("trial", "sticks", "the daemon runs")
DOUBTFUL = wrong("clock", "clock", "warn", "not set", "no server", "set it")
BROKEN = wrong("usb", "stick", "fail", "not there", "unplugged", "plug it in")


def test_warnings_are_no_failure_and_skipped_is_ok() -> None:
    assert (worst([]), worst([FINE, LEFT_OUT]), worst([FINE, DOUBTFUL])) == ("ok", "ok", "warn")
    assert worst([DOUBTFUL, BROKEN, FINE]) == "fail"
    assert [exit_code(each) for each in ([], [FINE, LEFT_OUT], [DOUBTFUL], [BROKEN])] == [0, 0, 0, 1]


def test_text_has_groups_causes_remedies_and_no_colours_off_a_terminal() -> None:
    out = io.StringIO()
    printer = Printer(out)
    findings = [FINE, BROKEN, DOUBTFUL]
    for finding in findings:
        printer.show(finding)
    printer.close(findings)
    assert out.getvalue() == (
        "usb\n  ok      stick: there\n  fail    stick: not there\n          why: unplugged\n          do:  plug it in\n"
        "\nclock\n  warn    clock: not set\n          why: no server\n          do:  set it\n\n1 ok, 1 warn, 1 fail\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_the_same_words() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for out in (plain, terminal):
        Printer(out).show(wrong("usb", "[red]stick[/]", "fail", "at /dev/bus/usb/002/003", "why [not]", "do: it"))
    words = [word for word in plain.getvalue().split() if word]
    shown = terminal.getvalue()
    assert all(word in shown for word in words)


def test_the_json_report_is_one_object() -> None:
    text = json.dumps(report([FINE, BROKEN], "/etc/v.yaml", "/run/v.sock"))
    again = json.loads(text)
    assert (again["state"], again["config"], again["socket"]) == ("fail", "/etc/v.yaml", "/run/v.sock")
    assert again["checks"][0] == {
        "group": "usb", "name": "stick", "state": "ok", "seen": "there",
        "cause": None, "remedy": None, "data": {"port": "2-1"},
    }  # fmt: skip


def test_a_sentence_is_taken_apart_at_its_remedy() -> None:
    assert split("a: b; do c", "-") == ("a: b", "do c")
    assert split("a; b; do c: d", "-") == ("a; b", "do c: d")
    assert split("nothing to do: yet", "look") == ("nothing to do: yet", "look")


@pytest.mark.parametrize(
    "sentence",
    [
        "lib opens no Edge TPU (the delegate: SIM: is not set; it names a file; a (b) c): it is not there",
        "detect.tflite is damaged (the runtime: a; b)",
        "the process died of SIGABRT, its last words: F usb.cc: 5; transfer failed; aborted",
    ],
)
def test_what_a_library_says_is_never_cut(sentence: str) -> None:
    assert split(sentence, "look") == (sentence, "look")
    if "last words" not in sentence:
        assert split(f"{sentence}; plug it in", "look") == (sentence, "plug it in")


@given(st.text())
def test_splitting_loses_no_word(sentence: str) -> None:
    cause, remedy = split(sentence, "")
    assert sentence in (cause, f"{cause}; {remedy}")
