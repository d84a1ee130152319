"""`visiond models info PACKAGE`, as it is typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from visiond.cli import main


@pytest.fixture
def package(root: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(root / "models" / "shapes", tmp_path / "shapes"))


def test_it_tells_what_is_in_the_package(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(package)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"shapes: detection, in {package}",
        "  cpu      shapes.tflite, 392 KiB, checksum given",
        "  labels   labels.txt, 6: ball, cube, pyramid, star, ring, cross",
        "  input    stretch, bilinear, rgb, mean 0, std 255",
        "  output   yolov8",
        "  golden   3 examples",
        "  licence  Apache-2.0; models/shapes of visiond, trained by train.py on scenes of synthetic:shapes",
    ]


def test_for_programs_it_is_model_yaml_as_understood(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(package), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["folder"], told["files"]["cpu"]["bytes"]) == ("shapes", str(package), 401_336)
    assert (told["input"]["pad"], told["classes"][0]) == (114, "ball")
    assert (told["problems"], told["remarks"]) == ([], [])


def test_a_file_that_cannot_be_used_is_told_with_the_rest(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "shapes.tflite").write_bytes(b"other")
    (package / "golden1.png").unlink()
    assert main(["models", "info", str(package)]) == 1
    out = capsys.readouterr().out
    assert "  output   yolov8" in out
    assert "files.cpu.sha256: " in out
    assert "golden1.png does not exist" in out


def test_a_remark_is_a_warning(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (package / "labels.txt").write_text("ball\ncube\n")
    manifest = (package / "model.yaml").read_text()
    (package / "model.yaml").write_text(manifest[: manifest.index("golden:")] + "license: MIT\n")
    assert main(["models", "info", str(package)]) == 0
    out = capsys.readouterr().out
    assert "  golden   no examples" in out
    assert "  licence  MIT\n" in out
    assert "warning: " in out
    assert "labels" in out.split("warning: ", 1)[1]


def test_what_is_no_package_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(tmp_path)]) == 78
    assert "a model package is a folder with a model.yaml" in capsys.readouterr().err
