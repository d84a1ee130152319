"""`visiond models convert` as a person runs it: child, package, and what is kept when it is stopped."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from convert import networks
from visiond.cli import main
from visiond.modelkit.package import load_package

pytestmark = pytest.mark.filterwarnings("default")

RECIPE = ("--task", "classification", "--decoder", "scores", "--mean", "0", "--std", "255")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, its labels, and pictures for everything."""
    made = tmp_path_factory.mktemp("workshop")
    networks.keras3(made)
    networks.pictures(made / "pictures")
    (made / "labels.txt").write_text("".join(f"{name}\n" for name in networks.CLASSES))
    return made


def command(folder: Path, to: Path, *more: str) -> list[str]:
    labels, pictures = str(folder / "labels.txt"), str(folder / "pictures")
    given = ["models", "convert", str(folder / "net.keras"), "--to", str(to), "--labels", labels]
    return [*given, "--representative", pictures, *RECIPE, *more]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_model_becomes_a_whole_package_and_a_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = str(folder / "pictures" / "blue" / "02.png")
    more = ("--evaluate", str(folder / "pictures"), "--golden", picture, "--json")
    assert main(command(folder, tmp_path, *more)) == 0
    captured = capsys.readouterr()
    told = json.loads(captured.out)
    assert [row["variant"] for row in told["variants"]] == ["float32", "float16", "dynamic", "int8"]
    for row in told["variants"]:
        assert (row["metric"], row["pictures"], row["undecoded"]) == ("top-1", 12, 0)
        assert row["low"] <= row["value"] <= row["high"]
        assert row["agreement"] >= 0.75
        assert row["invoke_p50_ms"] > 0
        assert row["bytes"] == (tmp_path / "net" / row["file"]).stat().st_size
    assert told["variants"][0]["agreement"] == 1
    assert (told["source"]["weights"], told["source"]["zeros"]) == (3 * 3 * 3 * 8 + 8 * 8 * 8 * 4, 0)
    assert "edgetpu_compiler -s -o" in told["edgetpu"]
    assert "converting to int8" in captured.err
    assert "TensorFlow binary" not in captured.err  # its chatter is in the log
    assert names(tmp_path) == ["net"]
    assert names(tmp_path / "net") == sorted(
        [*(row["file"] for row in told["variants"]), "golden1.png", "labels.txt", "model.yaml"]
    )
    package = load_package(tmp_path / "net")
    package.verify_files()
    assert package.files.cpu is not None
    assert package.files.cpu.path == "net_int8.tflite"
    assert package.golden[0].expect[0].label in networks.CLASSES
    (tmp_path / "visiond.yaml").write_text(
        "cameras: {front: {source: 'synthetic:shapes', model: m}}\nmodels: {m: {package: ./net}}\n"
    )
    assert main(["check", "-c", str(tmp_path / "visiond.yaml")]) == 0
    assert main(command(folder, tmp_path)) == 64
    assert "is there already; give another --name or --to, or --replace" in capsys.readouterr().err


def test_killed_in_the_middle_it_goes_on_there(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(
        [sys.executable, "-m", "visiond", *command(folder, tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    assert process.stderr is not None
    with process.stderr as said:
        assert any(line.startswith("  net_float16.tflite: ") for line in said)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
    assert children
    assert not psutil.wait_procs(children, timeout=20)[1], "the child outlives its parent"
    assert names(tmp_path) == [".net.converting"]
    kept = tmp_path / ".net.converting" / "net_float32.tflite"
    made_ns = kept.stat().st_mtime_ns
    assert main(command(folder, tmp_path)) == 0
    said_again = capsys.readouterr().err.splitlines()
    assert said_again[1:3] == ["  net_float32.tflite: was there", "  net_float16.tflite: was there"]
    assert "converting to float16" not in said_again
    assert "converting to int8" in said_again
    assert names(tmp_path) == ["net"]
    assert (tmp_path / "net" / "net_float32.tflite").stat().st_mtime_ns == made_ns
    load_package(tmp_path / "net").verify_files()


def test_without_room_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "visiond", *command(folder, tmp_path, "--variants", "float32")],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)),
    )
    assert done.returncode == 69
    last = done.stderr.splitlines()[-1]
    assert "room" in last
    assert "--to" in last
    assert "Traceback" not in done.stderr
    assert not names(tmp_path)


def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Told by the child, through its parent, before TensorFlow is loaded."""
    (tmp_path / "empty").mkdir()
    assert main([*command(folder, tmp_path / "to"), "--representative", str(tmp_path / "empty")]) == 65
    assert f"{tmp_path / 'empty'} holds no picture" in capsys.readouterr().err.splitlines()[-1]
    assert not names(tmp_path / "to")
