"""Recipe: what a package will say of its pictures and outputs, before there is a model file to say it of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
from pydantic import Field

from visiond.errors import ConfigError, UsageError
from visiond.modelkit.consistency import contradictions
from visiond.modelkit.labels import MAX_LABEL_BYTES, Labels, parse_labels
from visiond.modelkit.manifest import InputRecipe, LabelsFile, Manifest, OutputSpec, Section, Task
from visiond.modelkit.package import file_problem
from visiond.wording import findings, name_key
from visiond.yaml_source import load
from visiond.yaml_tree import read_tree

# An option of the command line for each key that can be given there.
OPTIONS: Mapping[str, str] = {
    "task": "--task",
    "labels.path": "--labels",
    "labels.offset": "--labels-offset",
    "input.size": "--size",
    "input.resize": "--resize",
    "input.interpolation": "--interpolation",
    "input.shorter_side": "--shorter-side",
    "input.color": "--color",
    "input.mean": "--mean",
    "input.std": "--std",
    "input.pad": "--pad",
    "output.decoder": "--decoder",
    "output.activation": "--activation",
    "license": "--license",
}


class RecipeKeys(Section):
    """The keys of a model.yaml that a conversion needs; those of a whole one that it writes anew are passed over."""

    name: str | None = None
    task: Task
    labels: LabelsFile | None = None
    input: InputRecipe
    output: OutputSpec
    license: str | None = None
    source: str | None = None
    tolerances: dict[str, Any] | None = None
    files: Any = Field(None, description="Written anew.")
    golden: Any = Field(None, description="Of another model: recorded anew.")


class Recipe:
    """`keys`, and where the label file is: `labels`, None where there is none."""

    def __init__(self, keys: RecipeKeys, labels: Path | None) -> None:
        self.keys = keys
        self.labels = labels

    def problems(self) -> list[tuple[str, str]]:
        """Return what no single key shows, as (dotted key, sentence), before anything long begins."""
        keys = self.keys.model_dump(exclude_unset=True, exclude={"files", "golden", "tolerances", "name"})
        manifest = Manifest.model_validate({**keys, "name": "model", "files": {"cpu": {"path": "model.tflite"}}})
        return [(name_key(keypath), text) for keypath, text in contradictions(manifest, self.load_labels)]

    def load_labels(self) -> Labels:
        """Read the label file; raises ValueError in words. Without one, no class has a name."""
        if self.labels is None or self.keys.labels is None:
            return Labels()
        problem = file_problem(self.labels, MAX_LABEL_BYTES)
        if problem is not None:
            raise ValueError(problem)
        return parse_labels(self.labels.read_bytes(), self.keys.labels.offset, str(self.labels))


def recipe_of_file(path: Path) -> Recipe:
    """Read --recipe, a model.yaml with or without `files`. Raises NoInputError, ConfigError with a line a problem."""
    document = load(path)
    keys = document.validate(RecipeKeys)
    recipe = Recipe(keys, None if keys.labels is None else document.folder / keys.labels.path)
    problems = [document.problem(key, text) for key, text in recipe.problems()]
    if problems:
        raise ConfigError("\n".join(problems))
    return recipe


def recipe_of_options(given: Mapping[str, Any], labels: Path | None) -> Recipe:
    """Build from options, by dotted key; raises UsageError that names the options."""
    nested: dict[str, Any] = {"input": {}, "output": {}}
    for key, value in given.items():
        section, _, field = key.partition(".")
        if field:
            nested.setdefault(section, {})[field] = value
        else:
            nested[key] = value
    try:
        keys = RecipeKeys.model_validate(nested)
    except pydantic.ValidationError as error:
        root, _ = read_tree(json.dumps(nested))
        assert root is not None, "JSON is YAML"
        found = [(name_key(f.keypath), f.text) for f in findings(error, RecipeKeys, root)]
        raise UsageError(_sentences(found + _wrong_counts(nested["input"], found))) from error
    recipe = Recipe(keys, labels)
    if problems := recipe.problems():
        raise UsageError(_sentences(problems))
    return recipe


def _wrong_counts(given: Mapping[str, Any], found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what `Recipe.problems` would say of mean and std, had it come to that: all is told at once."""
    color, told = given.get("color", "rgb"), {key.partition("[")[0] for key, _ in found}
    channels = 1 if color == "gray" else 3
    return [
        (f"input.{key}", f"needs {channels} numbers with color: {color}, one per channel, not {len(given[key])}")
        for key in ("mean", "std")
        if key in given and len(given[key]) != channels and told.isdisjoint({f"input.{key}", "input.color"})
    ]


def _sentences(problems: list[tuple[str, str]]) -> str:
    """Say each once: one number for all channels is as wrong in the second as in the first."""
    lines = (f"{OPTIONS.get(key.partition('[')[0], key)}: {text}" for key, text in problems)
    return "\n".join(dict.fromkeys(lines))
