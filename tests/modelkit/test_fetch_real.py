"""Fetching the catalogue's own models, from the copies that are here; docs/models.md, "Fetch a model"."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from modelkit.mirror import Mirror, whole
from visiond.cli import main

MODEL = "deeplabv3_mnv2_dm05_pascal_quant.tflite"
LABELS = "pascal_voc_segmentation_labels.txt"
IN_DOCUMENT = "http://192.168.1.5:8000/"
COMMAND = f"visiond models fetch deeplabv3_pascal --to /srv/models --from {IN_DOCUMENT}"
EXPECTED = {
    "tf2_mobilenet_v2_imagenet": ("parrot.jpg", {"label": "macaw", "min_score": 0.5}),
    "deeplabv3_pascal": ("bird_segmentation.bmp", {"label": "bird", "mask": "bird_segmentation_mask.bmp", "iou": 0.8}),
}


@pytest.fixture
def mirror(assets: Path) -> Iterator[Mirror]:
    with Mirror({name: (assets / "models" / name).read_bytes() for name in (MODEL, LABELS)}) as served:
        yield served


@pytest.fixture
def blocks(root: Path) -> list[list[str]]:
    """What the document shows, in order: the commands' output, its first line the command."""
    section = (root / "docs" / "models.md").read_text().split("## Fetch a model")[1].split("\n## ")[0]
    return [block.splitlines() for block in re.findall(r"```console\n\$ (.*?)```", section, re.DOTALL)]


def run(mirror: Mirror, folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """The command of the document here, and what it prints there."""
    arguments = COMMAND.replace("/srv", str(folder)).replace(IN_DOCUMENT, mirror.address).split()[1:]
    code = main(arguments)
    told = capsys.readouterr()
    return code, (told.err + told.out).replace(str(folder), "/srv").replace(mirror.address, IN_DOCUMENT).splitlines()


@pytest.mark.assets
def test_the_document_shows_what_is_printed(
    mirror: Mirror, blocks: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, fetched, refused = blocks
    assert main(["models", "list"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert listed[0] == "visiond models list"
    assert [line for line in printed if line in listed] == [line for line in listed[1:] if line != "…"]
    code, printed = run(mirror, tmp_path, capsys)
    assert (code, [COMMAND, *printed]) == (0, fetched)
    shutil.rmtree(tmp_path / "models")
    mirror.script[MODEL].append(whole(b"<html>Welcome to our hotel</html>"))
    code, printed = run(mirror, tmp_path, capsys)
    assert (code, [COMMAND, *printed]) == (65, refused)


@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_what_was_fetched_finds_what_is_in_a_picture(name: str, root: Path, assets: Path, tmp_path: Path) -> None:
    """With a golden example of one's own, as the document advises."""
    assert main(["models", "fetch", name, "--to", str(tmp_path), "--from", str(assets / "models")]) == 0
    picture, expected = EXPECTED[name]
    for needed in (picture, expected.get("mask")):
        if needed is not None:
            shutil.copy(assets / "images" / str(needed), tmp_path / name)
    with (tmp_path / name / "model.yaml").open("a") as manifest:
        manifest.write(yaml.safe_dump({"golden": [{"image": picture, "expect": [expected]}]}))
    config = tmp_path / "visiond.yaml"
    config.write_text(
        "cameras: {front: {source: 'synthetic:shapes', model: objects}}\n"
        f"models: {{objects: {{package: ./{name}, accelerator: never}}}}\n"
    )
    assert main(["check", "-c", str(config)]) == 0
    trial = [sys.executable, "-m", "visiond.modelkit.trial", str(config)]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    done = subprocess.run(trial, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "reproduces its golden examples: 1 of 1" in done.stdout + done.stderr


@pytest.mark.parametrize("code", [64, 65, 66, 69, 75, 130])
def test_the_document_names_each_exit_code(root: Path, code: int) -> None:
    section = (root / "docs" / "models.md").read_text().split("## Fetch a model")[1].split("\n## ")[0]
    assert re.search(rf"\b{code}\b", section.split("Exit codes:")[1])
