"""`visiond models bench` as a person calls it: real models in real processes, and a simulated stick."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgetpu_sim.simulator import Simulator
from onnx_writer import Node, Value, pack, write
from twins import classifier
from visiond.board import Board, read_board
from visiond.cli import main
from visiond.modelkit.bench import drift, rounds, verb
from visiond.modelkit.bench.order import Order
from visiond.modelkit.bench.report import load_report
from visiond.modelkit.bench.rounds import Collected

QUICK = ["--rounds", "2", "--threads", "1"]


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked at here shows after a fifth of a round's usual second too."""
    order_for = verb.order_for
    monkeypatch.setattr(verb, "order_for", lambda *given: replace(order_for(*given), seconds=0.2))
    monkeypatch.setattr(verb, "_PROFILE_S", 0.2)


@pytest.fixture
def simulator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    with Simulator(tmp_path / "sticks") as made:
        for name, value in made.environment().items():
            monkeypatch.setenv(name, value)
        yield made


def bench(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["models", "bench", *arguments, "--json"]) == code, capsys.readouterr().err
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.slow
def test_a_model_is_measured_with_xnnpack_and_without(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench(capsys, str(root / "models" / "shapes"), *QUICK, "--runtime", "litert")
    assert [each["subject"]["kernels"] for each in found["measured"]] == ["xnnpack", "builtin"]
    for each in found["measured"]:
        assert each["invoke"]["count"] >= 40
        assert 0 < each["invoke"]["p50_ms"] <= each["invoke"]["p99_ms"]
        stages_ms = sum(each[stage]["min_ms"] for stage in ("preprocess", "whole_invoke", "decode"))
        whole_ms = each["whole"]["min_ms"]  # of a frame that nothing has interrupted
        assert 0.3 * whole_ms < stages_ms < whole_ms + 0.001
        assert 20 < each["rss_mb"] <= each["peak_rss_mb"] < 1000
        assert each["version"].startswith("LiteRT ")
    assert [profile["operators"][0]["name"] for profile in found["profiles"]][1] == "CONV_2D"
    assert found["sha256"].keys() == {"cpu"}
    assert found["frame"] == "640×480 of golden1.png"


@pytest.mark.slow
def test_a_run_is_saved_and_compared_with_the_next(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shapes, saved = str(root / "models" / "shapes"), tmp_path / "run.json"
    options = [*QUICK, "--delegate", "xnnpack", "--runtime", "litert"]
    assert main(["models", "bench", shapes, *options, "--save", str(saved)]) == 0
    text = capsys.readouterr().out
    assert "invoke alone" in text
    assert "the whole way of a frame, 640×480 of golden1.png" in text
    found = bench(capsys, shapes, *options, "--compare", str(saved))
    assert [each["stage"] for each in found["comparison"]["ratios"]] == ["invoke", "whole"]
    assert 0.02 < found["comparison"]["ratios"][0]["ratio"] < 50

    other = tmp_path / "other"
    shutil.copytree(shapes, other)
    manifest = other / "model.yaml"
    (sha256,) = (
        line.split("sha256: ")[1].rstrip("}") for line in manifest.read_text().splitlines() if "sha256" in line
    )
    manifest.write_text(manifest.read_text().replace(f", sha256: {sha256}", ""))
    with (other / "shapes.tflite").open("ab") as file:
        file.write(bytes(16))
    assert main(["models", "bench", str(other), *options, "--compare", str(saved)]) == 65
    assert "is another model than the one measured before" in capsys.readouterr().err


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_finished(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGINT in the third round: as a person would, while a child measures."""
    began = []

    def turn(order: Order, mine: Collected) -> None:
        began.append(order)
        if len(began) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        measure_turn(order, mine)

    measure_turn = rounds._turn
    monkeypatch.setattr(rounds, "_turn", turn)
    saved = tmp_path / "run.json"
    options = ["--threads", "1", "--delegate", "xnnpack", "--runtime", "litert", "--save", str(saved)]
    assert main(["models", "bench", str(root / "models" / "shapes"), *options]) == 130
    printed = capsys.readouterr()
    assert "invoke alone" in printed.out
    assert "stopped: 2 of 5 rounds have been measured" in printed.err
    report = load_report(saved)
    assert report.rounds == len(report.measured[0].invoke.round_p50_ms) == 2


@pytest.mark.slow
def test_ctrl_c_within_the_minutes_keeps_them_too(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> Board:
        boards.append(read_board())
        if len(boards) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return boards[-1]

    boards: list[Board] = []
    measure_drift = functools.partial(drift.measure_drift, read=read)
    monkeypatch.setattr(verb, "measure_drift", measure_drift)
    options = ["--rounds", "1", "--threads", "1", "--delegate", "xnnpack", "--runtime", "litert", "--minutes", "5"]
    found = bench(capsys, str(root / "models" / "shapes"), *options, code=130)
    assert 0 < found["drift"]["seconds"] < 60
    assert (len(found["measured"]), len(found["profiles"])) == (1, 1)


@pytest.mark.slow
def test_a_result_that_cannot_be_saved_is_printed_all_the_same(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def remove(*_: object) -> tuple[()]:
        folder.rmdir()  # between the check and the end
        return ()

    monkeypatch.setattr(verb, "profile_each", remove)
    options = ["--rounds", "1", "--threads", "1", "--delegate", "xnnpack", "--runtime", "litert"]
    save = ["--save", str(folder / "run.json")]
    assert main(["models", "bench", str(root / "models" / "shapes"), *options, *save]) == 69
    printed = capsys.readouterr()
    assert "invoke alone" in printed.out
    assert "run.json cannot be written: No such file or directory; check the folder" in printed.err


@pytest.mark.slow
def test_minutes_show_drift(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--rounds", "1", "--threads", "1", "--delegate", "xnnpack", "--minutes", "0.05", "--runtime", "litert"]
    drift = bench(capsys, str(root / "models" / "shapes"), *options)["drift"]
    assert 1.5 < drift["seconds"] < 4
    assert drift["invokes"] > 100
    assert len(drift["series_p50_ms"]) > 10
    assert drift["first_p50_ms"] > 0


@pytest.mark.slow
def test_the_tool_runs_beside_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--runtime", "litert", "--delegate", "xnnpack", "--against-tool"]
    found = bench(capsys, str(root / "models" / "shapes"), *QUICK, *options)
    (tool,) = found["tool"]
    assert found["tool_failure"] is None
    assert tool["tool"] == "litert-benchmark"
    assert len(tool["tool_turn_ms"]) >= 60
    assert tool["ratio_interval"]["low"] <= tool["ratio"] <= tool["ratio_interval"]["high"]
    assert 0.2 < tool["ratio"] < 5  # both measure the same invoke; how near they come is for `make bench`


@pytest.mark.slow
def test_a_tool_whose_path_is_given_runs_once_a_round(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--runtime", "litert", "--delegate", "xnnpack", "--against-tool"]
    program = Path(sys.executable).parent / "litert-benchmark"
    found = bench(capsys, str(root / "models" / "shapes"), *QUICK, *options, str(program))
    (tool,) = found["tool"]
    assert len(tool["tool_turn_ms"]) == 2
    assert 0.2 < tool["min_ratio"] < 5


@pytest.mark.slow
def test_an_onnx_model_is_measured_and_its_operators_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = np.random.default_rng(0).normal(size=(10, 3, 3, 3)).astype(np.float32)
    nodes = [
        Node("Conv", ["picture", "weights"], ["convolved"], attributes={"kernel_shape": [3, 3], "strides": [2, 2]}),
        Node("Sin", ["convolved"], ["bent"]),
        Node("GlobalAveragePool", ["bent"], ["pooled"]),
        Node("Flatten", ["pooled"], ["scores"]),
    ]
    picture, scores = Value("picture", ("batch", 3, 224, 224)), Value("scores", ("batch", 10))
    write(tmp_path / "model.onnx", pack(nodes, [picture], [scores], {"weights": weights}))
    (tmp_path / "model.yaml").write_text(
        "name: convolution\ntask: classification\nfiles: {onnx: {path: model.onnx}}\n"
        "input: {mean: [0, 0, 0], std: [255, 255, 255]}\noutput: {decoder: scores, activation: softmax}\n"
    )
    found = bench(capsys, str(tmp_path), *QUICK)
    (measured,), (profile,) = found["measured"], found["profiles"]
    assert measured["subject"] == {"file": "onnx", "runtime": "onnx", "threads": 1, "kernels": None, "device": None}
    assert measured["version"].startswith("ONNX Runtime ")
    assert profile["source"] == "ONNX Runtime's profiling"
    counted = {each["name"]: each["count"] for each in profile["operators"]}
    assert counted["Conv"] == counted["Sin"] == counted["GlobalAveragePool"] == 1
    assert 0 < sum(each["p50_ms"] for each in profile["operators"]) < 2 * measured["invoke"]["p50_ms"]
    assert measured["whole"]["p50_ms"] > measured["preprocess"]["p50_ms"] > 0


@pytest.mark.slow
@pytest.mark.assets
def test_a_stick_is_measured_next_to_the_cpu(
    assets: Path, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.stick(0).set_invoke_ms(20.0)
    package = classifier(tmp_path / "package", assets)
    places = ["--library", str(simulator.library), "--sysfs", str(simulator.sysfs), "--dev", str(simulator.dev)]
    found = bench(capsys, str(package), *QUICK, "--runtime", "litert", *places)
    (stick,) = (each for each in found["measured"] if each["subject"]["device"] is not None)
    assert 20 <= stick["invoke"]["p50_ms"] < 40
    assert len(found["measured"]) == 3
    assert found["sha256"].keys() == {"cpu", "edgetpu"}
    (silent,) = (each for each in found["profiles"] if each["remark"] is not None)
    assert "the stick tells nothing" in silent["remark"]


@pytest.mark.slow
@pytest.mark.assets
def test_a_stick_that_aborts_is_a_sentence_and_the_cpu_is_measured(
    assets: Path, tmp_path: Path, simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    simulator.stick(0).fail("abort", at=3)
    package = classifier(tmp_path / "package", assets)
    places = ["--library", str(simulator.library), "--sysfs", str(simulator.sysfs), "--dev", str(simulator.dev)]
    found = bench(capsys, str(package), *QUICK, "--runtime", "litert", "--delegate", "xnnpack,edgetpu", *places)
    (failed,) = found["failed"]
    assert failed["subject"]["device"] == "usb:0"
    assert "its process died of SIGABRT" in failed["text"]
    assert [each["subject"]["device"] for each in found["measured"]] == [None]


@pytest.mark.slow
def test_where_nothing_can_be_measured_the_reason_is_printed_and_the_exit_code_is_1(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(root / "models" / "shapes", broken)
    manifest = broken / "model.yaml"
    (sha256,) = (
        line.split("sha256: ")[1].rstrip("}") for line in manifest.read_text().splitlines() if "sha256" in line
    )
    manifest.write_text(manifest.read_text().replace(f", sha256: {sha256}", ""))
    content = (broken / "shapes.tflite").read_bytes()
    (broken / "shapes.tflite").write_bytes(content[: len(content) // 2])
    assert main(["models", "bench", str(broken), *QUICK, "--runtime", "litert", "--delegate", "xnnpack"]) == 1
    assert "not measured: litert, XNNPACK, 1 thread: shapes.tflite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["--threads", "1;2"], "argument --threads: invalid list of numbers value: '1;2'", 64),
        (["--rounds", "0"], "--rounds 0: give a number from 1 to 1000", 64),
        (["--minutes", "nan"], "--minutes nan: give minutes", 64),
        (["--minutes", "-1"], "--minutes -1: give minutes", 64),
        (["--save", "{tmp}/nowhere/run.json"], "there is no folder", 66),
        (["--save", "/sys/kernel/run.json"], "run.json cannot be written", 69),
        (["--save", "{tmp}"], "is a folder; give the file's name too", 64),
        (["--compare", "{tmp}/nowhere.json"], "cannot be read", 66),
        (["--against-tool", "{tmp}/nowhere"], "there is no such program", 66),
        (["--device", "usb:x"], "shapes has no files.edgetpu", 69),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_measured(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, code: int
) -> None:
    given = [each.replace("{tmp}", str(tmp_path)) for each in arguments]
    assert main(["models", "bench", str(root / "models" / "shapes"), *given]) == code
    captured = capsys.readouterr()
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_a_folder_that_is_no_package_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "bench", str(tmp_path)]) == 78
    assert "a model package is a folder with a model.yaml" in capsys.readouterr().err


def test_a_file_that_is_not_the_one_named_is_found_before_it_is_run(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "changed"
    shutil.copytree(root / "models" / "shapes", changed)
    with (changed / "shapes.tflite").open("ab") as file:
        file.write(b"x")
    assert main(["models", "bench", str(changed)]) == 78
    assert "sha256" in capsys.readouterr().err
