"""models/catalogue.yaml and its README: each file is pinned and accounted for, the copies here are those files."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import pytest

from visiond.cli import main
from visiond.errors import ConfigError, UsageError
from visiond.modelkit.catalogue import Catalogue, CatalogueFile, load_catalogue
from visiond.modelkit.fetch.checksum import git_blob_of, mismatch
from visiond.modelkit.package import load_package

ENTRY = """
sources:
  here: {address: "http://127.0.0.1/0123456789012345678901234567890123456789/"}
models:
  one:
    source: here
    task: detection
    about: one
    license: Apache-2.0
    files: {cpu: {path: a.tflite, sha256: "%s"}}
    input: {mean: [0, 0, 0], std: [1, 1, 1]}
    output: {decoder: ssd_postprocess}
""" % ("0" * 64)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


@pytest.fixture
def readme(root: Path) -> str:
    return (root / "models" / "README.md").read_text()


def all_files(catalogue: Catalogue) -> dict[str, CatalogueFile]:
    return {file.name: file for entry in catalogue.models.values() for file in entry.remote()}


def test_there_is_a_model_for_every_task(catalogue: Catalogue) -> None:
    tasks = {entry.task for entry in catalogue.models.values()}
    assert tasks == {"classification", "detection", "pose", "segmentation"}


def test_a_file_is_the_same_wherever_it_is_named(catalogue: Catalogue) -> None:
    known = all_files(catalogue)
    for entry in catalogue.models.values():
        assert all(known[file.name] == file for file in entry.remote())


def test_each_recipe_makes_a_package(catalogue: Catalogue, tmp_path: Path) -> None:
    from visiond.modelkit.fetch.recipe import labels_name, manifest_text

    for name, entry in catalogue.models.items():
        folder = tmp_path / name
        folder.mkdir()
        for file in entry.remote():
            (folder / file.name).write_text("person\nbicycle\n")
        if (labels := labels_name(entry)) is not None:
            (folder / labels).write_text("person\nbicycle\n")
        text = manifest_text(name, entry, catalogue.address(entry), dict.fromkeys(entry.models(), "0" * 64))
        (folder / "model.yaml").write_text(text)
        package = load_package(folder)
        assert (package.name, package.task, package.input, package.output, package.license) == (
            name,
            entry.task,
            entry.input,
            entry.output,
            entry.license,
        )


def test_the_readme_has_a_row_for_each_file(catalogue: Catalogue, readme: str) -> None:
    """File, size, how the checksum is known: as the catalogue has it."""
    rows = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", readme.split("## Files")[1].split("\n## ")[0], re.M))
    told = {name: f"{file.bytes:,}" if file.bytes is not None else "?" for name, file in all_files(catalogue).items()}
    assert rows == told
    for name, file in all_files(catalogue).items():
        (row,) = re.findall(rf"^\| `{re.escape(name)}` .*$", readme, re.M)
        assert ("not confirmed" in row) == (not file.confirmed)
        assert ("copy" in row) == (file.git_blob is not None)


@pytest.mark.assets
def test_the_copies_here_are_what_the_catalogue_says(catalogue: Catalogue, assets: Path) -> None:
    copies = {name: assets / "models" / name for name in all_files(catalogue)}
    there = {name: path for name, path in copies.items() if path.exists()}
    assert len(there) == 6
    for name, path in there.items():
        assert mismatch(path, all_files(catalogue)[name]) is None
    hashed = {name for name, file in all_files(catalogue).items() if file.git_blob is not None}
    assert hashed == {*there, "coco_labels.txt"}  # that one's lines are known; see the README


def test_a_git_blob_id_is_gits(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"hello\n")  # echo hello | git hash-object --stdin
    assert git_blob_of(file) == "ce013625030ba8dba906f756967f9e9ca394464a"
    file.write_bytes(b"")
    assert git_blob_of(file) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("0123456789012345678901234567890123456789/", "master/", "sources.here.address: is not pinned to a commit"),
        ('{path: a.tflite, sha256: "%s"}' % ("0" * 64), "{path: a.tflite}", "has no checksum"),
        ("source: here", "source: there", "one has the source there"),
        ("path: a.tflite", "path: ../a.tflite", "is outside the package's folder"),
        ("about: one", "abuot: one", "did you mean about?"),
        ("cpu: ", "cpu: {}, edgetpu: ", "models.one.files.cpu.path"),
        ("license: Apache-2.0", "license: Apache-2.0\n    labels: {offset: 1}", "needs one of both"),
    ],
)
def test_a_wrong_catalogue_is_told_with_its_place(tmp_path: Path, before: str, after: str, told: str) -> None:
    path = tmp_path / "catalogue.yaml"
    assert ENTRY.count(before) == 1
    path.write_text(ENTRY.replace(before, after))
    with pytest.raises(ConfigError) as raised:
        load_catalogue(path)
    assert told in str(raised.value)
    assert f"{path}:" in str(raised.value)


def test_an_unknown_name_gets_the_nearest_one(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="no model 'movenet_lightening', did you mean movenet_lightning"):
        catalogue.entry("movenet_lightening")


def test_list_prints_every_model(catalogue: Catalogue, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["NAME", *catalogue.models]
    assert "CPU only" not in lines[0]
    assert main(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == list(catalogue.models)
    for each in listed:
        assert all(re.search(r"^https://.*/[0-9a-f]{40}/", file["address"]) for file in each["files"])


def test_a_catalogue_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--catalogue", str(tmp_path / "none.yaml")]) == 66
    assert "no such file" in capsys.readouterr().err


def test_catalogue_and_readme_are_installed(root: Path) -> None:
    listed = configparser.ConfigParser()
    listed.read(root / "setup.cfg")
    files = listed["options.data_files"]["share/visiond/models"].split()
    assert files == ["models/README.md", "models/catalogue.yaml"]
    assert all((root / file).is_file() for file in files)
