"""What pydantic says, in plain words: each kind of error, and kinds of schema that the configuration does not have."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from visiond.wording import findings, name_key, nearest
from visiond.yaml_tree import read_tree


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Letterbox(Section):
    kind: Literal["letterbox"]
    pad: int = Field(default=0, ge=0, le=255)


class Stretch(Section):
    kind: Literal["stretch"]


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("is odd, give an even number")
    return number


class Recipe(Section):
    resize: Annotated[Letterbox | Stretch, Field(discriminator="kind")] | None = None
    above: float = Field(default=1, gt=0)
    below: float = Field(default=0, lt=1)
    least: int = Field(default=3, ge=3)
    most: int = Field(default=3, le=3)
    between: float = Field(default=0.5, gt=0, lt=1)
    even: Annotated[int, AfterValidator(_even)] = 0
    one: Literal["only"] = "only"
    either: int | bool | None = None
    name: str = Field(default="a", pattern="^[a-z]+$")
    short: str = Field(default="a", min_length=1, max_length=3)
    numbers: Annotated[tuple[float, ...], Field(strict=False, min_length=2)] = (0, 0)
    anything: Any = None
    items: list[Stretch] = []
    wide: int = 5
    narrow: int = 4

    @model_validator(mode="after")
    def _wider(self) -> "Recipe":
        if self.wide <= self.narrow:
            raise ValueError("wide is not above narrow, give more")
        return self


def said(text: str) -> list[str]:
    root, problems = read_tree(text)
    assert root is not None
    assert problems == []
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(root.plain())
    return [f"{name_key(finding.keypath)}: {finding.text}" for finding in findings(caught.value, Recipe, root)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("above: 0", "above: 0 is out of range, give above 0"),
        ("above: x", 'above: "x" is not possible, give a number above 0'),
        ("below: 1", "below: 1 is out of range, give below 1"),
        ("least: 2", "least: 2 is out of range, give of at least 3"),
        ("most: 4.5", "most: 4.5 is not possible, give a whole number of at most 3"),
        ("between: 1", "between: 1 is out of range, give above 0 and below 1"),
        ("even: 3", "even: is odd, give an even number"),
        ("one: x", 'one: "x" is not possible, give only'),
        ("one: onyl", 'one: "onyl" is not possible, did you mean only? Give only'),
        ("name: A", 'name: "A" is not possible, give text that matches ^[a-z]+$'),
        ("name: 5", "name: 5 is not text, put it in quotes"),
        ("name: [a]", 'name: ["a"] is not possible, give text that matches ^[a-z]+$'),
        ("short: abcd", 'short: "abcd" is not possible, give text of 1 to 3 characters'),
        ("short: ''", 'short: "" is not possible, give text of 1 to 3 characters'),
        ("numbers: 5", "numbers: 5 is not possible, give a list"),
        ("numbers: [1]", "numbers: [1] is not possible, give a list"),
        ("numbers: [1, a]", 'numbers[1]: "a" is not possible, give a number'),
        ("numbers: [1, 2, 3, 4, x]", 'numbers[4]: "x" is not possible, give a number'),
        ("numbers: {a: 1}", "numbers: this group of keys is not possible, give a list"),
        ("resize: {kind: letterbox, pad: 256}", "resize.pad: 256 is out of range, give 0 to 255"),
        ("resize: {kind: letterbox, pat: 2}", "resize.pat: unknown key, did you mean pad?"),
        (
            "resize: {kind: letterbx}",
            "resize: this group of keys is not possible: Input tag 'letterbx' found using 'kind'",
        ),
        ("resize: {}", "resize: is empty, give keys with values below it"),
        ("resize: 5", "resize: 5 is not possible, give keys with values below it"),
        ("items: [{kind: stretch}, {}]", "items[1].kind: is missing, give stretch"),
        ("items: [5]", "items[0]: 5 is not possible, give keys with values below it"),
        ("items: 'a b'", 'items: "a b" is not possible, give a list'),
        ("wide: 3", "(top level): wide is not above narrow, give more"),
    ],
)
def test_each_kind_of_error_is_a_sentence(text: str, expected: str) -> None:
    assert said(text)[0].startswith(expected)


def test_a_value_of_several_kinds_names_them_all() -> None:
    lines = said("either: x")
    assert lines[0] == 'either: "x" is not possible, give a whole number or true or false'


def test_a_long_value_is_shortened_and_a_line_break_in_it_shown_as_such() -> None:
    (line,) = said(f"above: {'x' * 500}")
    assert line == f'above: "{"x" * 60}…" is not possible, give a number above 0'
    (line,) = said('above: "a\\nb"')
    assert line == 'above: "a\\nb" is not possible, give a number above 0'
    (line,) = said("numbers: [a b, 2, 3, 4, 5]")
    assert line == 'numbers[0]: "a b" is not possible, give a number'


@pytest.mark.parametrize(
    ("keypath", "name"),
    [
        ((), "(top level)"),
        (("cameras", "front", "size", 1), "cameras.front.size[1]"),
        (("golden", 0, "expect", 2, "box"), "golden[0].expect[2].box"),
        (("a b", "c\nd"), '"a b"."c\\nd"'),
        (("",), '""'),
    ],
)
def test_keys_are_named_by_their_dotted_path(keypath: tuple[str | int, ...], name: str) -> None:
    assert name_key(keypath) == name


def test_the_nearest_name_or_all_of_them() -> None:
    assert nearest("Thread", ["threads", "path"]) == ", did you mean threads?"
    assert nearest("xyz", ["threads", "path"]) == ", known here: threads, path"
    assert nearest("xyz", []) == ", remove it"
