"""docs/package.md: its examples are packages, and its table of keys says what the format says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from visiond.modelkit import manifest
from visiond.modelkit.manifest import Manifest

SECTIONS: dict[str, type[BaseModel]] = {
    "": Manifest,
    "files.": manifest.Files,
    "files.….": manifest.ModelFile,
    "labels.": manifest.LabelsFile,
    "input.": manifest.InputRecipe,
    "output.": manifest.OutputSpec,
    "output.anchors.": manifest.Anchors,
    "golden[].": manifest.GoldenExample,
    "expect[].": manifest.Expectation,
}


@pytest.fixture
def document(root: Path) -> str:
    return (root / "docs" / "package.md").read_text()


def rows(document: str) -> Iterator[tuple[str, str, str]]:
    """(key with its section, required, left out) of the table; a row may name several keys of one section."""
    table = document.split("| key | required | left out |\n|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines():
        names, required, default = (cell.strip() for cell in line.strip("|").split("|"))
        keys = re.findall(r"`([^`]+)`", names.split(" with ")[0])
        section = max((s for s in SECTIONS if keys[0].startswith(s)), key=len)
        yield from ((f"{section}{key.removeprefix(section)}", required, default) for key in keys)
        if " with " in names:
            yield from ((f"{keys[0]}.{key}", required, default) for key in re.findall(r"`(mean|std|decoder)`", names))


def test_every_key_is_in_the_table_and_required_where_it_is(document: str) -> None:
    told = {key: required.startswith("yes") for key, required, _ in rows(document)}
    known = {
        f"{prefix}{name}": field.is_required()
        for prefix, section in SECTIONS.items()
        if prefix != "files."  # one of the three is required
        for name, field in section.model_fields.items()
    }
    assert told == known


def test_the_defaults_are_those_of_the_format(document: str) -> None:
    told = {key: default for key, _, default in rows(document)}
    for prefix, section in SECTIONS.items():
        for name, field in section.model_fields.items():
            if field.default is not PydanticUndefined and field.default not in (None, ()) and prefix != "files.":
                assert str(field.default) in told[f"{prefix}{name}"], name


def test_the_examples_are_packages(document: str) -> None:
    first, classifier, *_ = re.findall(r"```yaml\n(.*?)```", document, re.DOTALL)
    detection = yaml.safe_load(first)
    Manifest.model_validate(detection)
    package = Manifest.model_validate({**detection, **yaml.safe_load(classifier)})
    assert (package.task, package.golden[0].expect[0].box) == ("classification", None)
