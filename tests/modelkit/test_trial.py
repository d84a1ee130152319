"""The trial that a new version passes before it takes over: real processes, real models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import shapes_model
from visiond.config import load_config
from visiond.modelkit import trial


def config(folder: Path, model: dict[str, Any]) -> Path:
    path = folder / "visiond.yaml"
    camera = {"source": "synthetic:shapes", "model": "shapes"}
    path.write_text(json.dumps({"cameras": {"front": camera}, "models": {"shapes": model}}))
    return path


def package(root: Path, folder: Path) -> Path:
    made = folder / "package"
    shutil.copytree(root / "models" / "shapes", made)
    return made


def test_a_model_that_does_as_its_package_says(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert trial.main([str(config(tmp_path, shapes_model(root)))]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ok: model shapes on LiteRT ")
    assert out.endswith("reproduces its golden examples: 3 of 3\n")


def test_one_that_finds_something_else_fails(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = package(root, tmp_path)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace("label: cross", "label: ring", 1))
    assert trial.main([str(config(tmp_path, shapes_model(root, package=str(folder))))]) == 1
    out = capsys.readouterr().out
    assert out.startswith("failed: model shapes on LiteRT ")
    assert "does not reproduce its golden examples: golden1.png: expected ring" in out


def test_a_file_that_is_no_model_fails_in_words(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = package(root, tmp_path)
    (folder / "shapes.tflite").write_bytes(b"TFL3" * 1000)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace(", sha256: ", ", sha256: ").replace(sha_of(manifest), ""))
    assert trial.main([str(config(tmp_path, shapes_model(root, package=str(folder))))]) == 1
    assert capsys.readouterr().out.startswith("failed: model shapes does not run: ")


def sha_of(manifest: Path) -> str:
    line = next(line for line in manifest.read_text().splitlines() if "sha256" in line)
    return ", sha256: " + line.split("sha256: ")[1].rstrip("}")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", "while starting its process died of SIGABRT"),
        ("import time; time.sleep(60)", "while starting its process said nothing more and was killed"),
        ("raise ImportError('numpy is too new')", "ended with exit code 1: ImportError: numpy is too new"),
    ],
)
def test_a_process_that_dies_or_hangs_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    (tmp_path / "dying_trial.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(trial, "_MODULE", "dying_trial")
    (outcome,) = trial.trials(load_config(config(tmp_path, shapes_model(root))), deadline_s=1.5)
    assert not outcome.good
    assert words in outcome.text


def test_a_package_for_the_edge_tpu_alone_is_not_tried(root: Path, tmp_path: Path) -> None:
    folder = package(root, tmp_path)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text().replace("  cpu: {", "  edgetpu: {"))
    path = config(tmp_path, shapes_model(root, package=str(folder), accelerator="required"))
    (outcome,) = trial.trials(load_config(path))
    assert outcome == trial.Outcome("shapes", True, "has no file for the CPU, and is not tried")


@pytest.mark.parametrize(("text", "code"), [(None, 66), ("cameras: {}\n", 78)])
def test_a_configuration_that_cannot_be_used(
    tmp_path: Path, text: str | None, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "visiond.yaml"
    if text is not None:
        path.write_text(text)
    assert trial.main([str(path)]) == code
    assert str(path) in capsys.readouterr().err
