"""docs/models.md, "Look into a model" and "Lints": it shows what the commands print; … stands for lines left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from visiond.cli import main
from visiond.modelkit import calibration, edgetpu_package, lint
from visiond.modelkit.inspection import as_json, inspect_file

FILE = "yolov8n_full_integer_quant"


@pytest.fixture
def document(root: Path) -> str:
    return (root / "docs" / "models.md").read_text()


def shown(document: str, command: str) -> list[str]:
    """The lines below `$ command` in its block."""
    (block,) = re.findall(rf"```console\n\$ {re.escape(command)}\n(.*?)```", document, re.DOTALL)
    return str(block).splitlines()


def assert_shown(lines: list[str], printed: list[str]) -> None:
    """Each line is printed, in this order, and next to the one before it where no … stands between."""
    position, loose = 0, False
    for line in lines:
        if line.strip() == "…":
            loose = True
            continue
        assert line in printed[position:], line
        found = printed.index(line, position)
        assert loose or found == position, f"{printed[position]!r} is left out before {line!r}"
        position, loose = found + 1, False


@pytest.mark.assets
@pytest.mark.parametrize("name", [f"{FILE}.tflite", f"{FILE}_edgetpu.tflite"])
def test_what_inspect_shows_is_what_it_prints(
    document: str, assets: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert main(["models", "inspect", str(assets / "models" / name)]) == 0
    assert_shown(shown(document, f"visiond models inspect {name}"), capsys.readouterr().out.splitlines())


@pytest.mark.assets
def test_what_check_shows_is_what_it_prints(
    document: str, assets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "yolov8n"
    folder.mkdir()
    for name in (f"{FILE}.tflite", f"{FILE}_edgetpu.tflite"):
        (folder / name).symlink_to(assets / "models" / name)
    (folder / "model.yaml").write_text(
        f"name: yolov8n\ntask: detection\nfiles:\n  cpu: {{path: {FILE}.tflite}}\n"
        f"  edgetpu: {{path: {FILE}_edgetpu.tflite}}\ninput:\n  resize: letterbox\n  pad: 114\n"
        "  mean: [0, 0, 0]\n  std: [255, 255, 255]\noutput:\n  decoder: yolov8\n"
    )
    camera = {"source": "synthetic:shapes", "model": "objects"}
    config = {"cameras": {"front": camera}, "models": {"objects": {"package": "./yolov8n"}}}
    (tmp_path / "visiond.yaml").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    assert main(["check", "-c", "visiond.yaml"]) == 0
    captured = capsys.readouterr()
    printed = (captured.err + captured.out).replace(f"{tmp_path}/", "").splitlines()
    assert shown(document, "visiond check -c visiond.yaml") == printed


@pytest.mark.assets
def test_each_field_of_the_json_is_told(document: str, assets: Path) -> None:
    section = document.split("## Look into a model")[1].split("## Lints")[0]
    for name in (FILE, f"{FILE}_edgetpu"):
        found = as_json(inspect_file(assets / "models" / f"{name}.tflite"))
        groups = [
            found,
            found["edgetpu"],
            found["inputs"][0],
            *found["edgetpu"]["parts"],
            found["edgetpu"]["on_cpu"][0],
        ]
        for key in {key for group in groups for key in group}:
            assert f"`{key}`" in section, key


def test_its_limits_are_those_of_the_program(document: str) -> None:
    section = document.split("## Lints")[1]
    assert (
        f"fewer than {calibration._FEW_LEVELS} of the input's 256 levels, or more than {calibration._CUT} " in section
    )
    assert f"fewer than {lint._LEAST_LEVELS} levels" in section
    assert f"more than {edgetpu_package.CHIP_BYTES >> 20} MiB, or {lint._STREAMED_BYTES >> 10} KiB" in section
