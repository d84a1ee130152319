"""docs/models.md, "Verify": its table is that of the format, and its numbers those of the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from visiond.modelkit.consistency import TASKS_OF_TOLERANCE
from visiond.modelkit.manifest import Tolerances
from visiond.modelkit.verify.conventions import conventions
from visiond.modelkit.verify.tolerances import MAX_INPUT_QUANTA
from visiond.modelkit.verify.verb import Options

TASKS = {"classification", "detection", "pose", "segmentation"}


@pytest.fixture
def section(root: Path) -> str:
    return (root / "docs" / "models.md").read_text().split("## Verify\n")[1].split("\n## ")[0]


def rows(section: str) -> dict[str, str]:
    """Key → tasks, in the table of tolerances."""
    table = section.split("| key | broken when | of |\n|---|---|---|\n")[1].split("\n\n")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return {key: tasks for names, _, tasks in cells for key in re.findall(r"`([a-z0-9_]+)`", names)}


def test_each_tolerance_is_told_with_its_tasks(section: str) -> None:
    told = rows(section)
    assert set(told) == set(Tolerances.model_fields)
    for key, tasks in told.items():
        if tasks.startswith("all but"):
            expected = TASKS - {tasks.removeprefix("all but ")}
        else:
            expected = TASKS if tasks.startswith("all") else set(tasks.split(", "))
        assert TASKS_OF_TOLERANCE.get(key, TASKS) == expected, key


def test_its_example_can_be_copied(section: str) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", section, re.DOTALL)
    Tolerances.model_validate(yaml.safe_load(block)["tolerances"])


def test_its_numbers(section: str) -> None:
    assert len(conventions()) == 20
    assert "of twenty training conventions" in section
    assert MAX_INPUT_QUANTA == 1.0
    assert Options().sweep == 200
    assert "takes 200 pictures of the dataset" in section


def test_what_it_shows_names_real_conventions(section: str) -> None:
    shown = set(re.findall(r"^  ((?:opencv|pillow|tensorflow|torchvision)_\w+)", section, re.MULTILINE))
    assert shown
    assert shown <= {each.name for each in conventions()}
