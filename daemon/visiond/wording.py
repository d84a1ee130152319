"""What pydantic finds wrong, in the words of someone who edits the file: the value as written, what to give instead.

The remedy comes from the model's JSON Schema, the one that editors use: limits and choices stand in one place.
A validator that raises ValueError says it all itself, the remedy too; the place and the key are put before it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import pydantic

from visiond.cameras.address import redact
from visiond.schema_field import NOUNS, SchemaField, UntitledSchema
from visiond.yaml_scalars import reads_as_text
from visiond.yaml_tree import KeyPath, Node

_MAX_SHOWN: Final = 60
_PLAIN_KEY: Final = re.compile(r"[\w./+-]{1,60}")


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem and the key it belongs to; `at_key`: the key itself is wrong, not its value."""

    keypath: KeyPath
    text: str
    at_key: bool = False


def findings(error: pydantic.ValidationError, model: type[pydantic.BaseModel], root: Node) -> list[Finding]:
    """Say each of pydantic's errors in plain words; `root` is the file that the model was built from."""
    schema = model.model_json_schema(schema_generator=UntitledSchema)
    return [_finding(details, SchemaField(schema, schema), root) for details in error.errors(include_url=False)]


def nearest(wrong: str, known: Sequence[str]) -> str:
    """Return ", did you mean X?", or what is known where nothing is near."""
    close = difflib.get_close_matches(wrong.lower(), known, n=1)
    if close:
        return f", did you mean {_plain(close[0])}?"
    return f", known here: {', '.join(map(_plain, known))}" if known else ", remove it"


def name_key(keypath: KeyPath) -> str:
    """Return the dotted path: cameras.front.size[1]."""
    text = ""
    for key in keypath:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += f"{'.' if text else ''}{_plain(key)}"
    return text or "(top level)"


def show(node: Node) -> str:
    """Return a value as it stands in the file, shortened, a password in it hidden."""
    if node.kind is dict:
        return "this group of keys"
    if node.kind is list:
        items = list(node.children.values())
        short = len(items) <= 4 and all(item.kind is str for item in items)
        return f"[{', '.join(show(item) for item in items)}]" if short else f"this list of {len(items)}"
    if node.value is None:
        return "nothing"
    return quoted(node.written) if isinstance(node.value, str) else node.written[:_MAX_SHOWN]


def _plain(key: str) -> str:
    return key if _PLAIN_KEY.fullmatch(key) else quoted(key)


def quoted(text: str, most: int = _MAX_SHOWN) -> str:
    """Return a text in quotes on one line, shortened to `most` characters, a password in it hidden."""
    text = redact(text)
    return json.dumps(text if len(text) <= most else f"{text[:most]}…", ensure_ascii=False)


def _finding(details: Any, field: SchemaField, root: Node) -> Finding:
    """Follow pydantic's location through file and schema. Its names of union members have no place in either."""
    location = [key for key in details["loc"] if key != "[key]"]
    keypath: list[str | int] = []
    node: Node | None = root
    parent, parent_node = field, root
    for key in location:
        child = node.children.get(key) if node is not None else None
        below = field.child(key)
        if child is None and below is None:
            continue
        keypath.append(key)
        if node is not None:
            parent, parent_node = field, node
        node, field = child, below or field
    if "[key]" in details["loc"]:
        return Finding(tuple(keypath), _own_words(details) or "is not a possible name, choose another", at_key=True)
    if details["type"] == "extra_forbidden":
        return Finding(tuple(keypath), f"unknown key{nearest(str(keypath[-1]), parent.keys())}", at_key=True)
    if details["type"] == "missing" and isinstance(keypath[-1], int):  # a list that is too short
        return Finding(tuple(keypath[:-1]), _wrong_value(details, parent, parent_node))
    if node is None:
        return Finding(tuple(keypath), f"is missing{_give(field.remedy())}")
    return Finding(tuple(keypath), _own_words(details) or _wrong_value(details, field, node))


def _own_words(details: Any) -> str:
    """Return the text of a ValueError that a validator of this project raised: it says all, the remedy too."""
    return str(details["ctx"]["error"]) if details["type"] == "value_error" else ""


def _wrong_value(details: Any, field: SchemaField, node: Node) -> str:
    shown, remedy = show(node), field.remedy()
    if not remedy or (node.children and remedy == NOUNS["object"]):  # a union of groups: only pydantic knows which
        return f"{shown} is not possible: {details['msg']}"
    if node.value is None and not node.children:
        return f"is empty{_give(remedy)}"
    if details["type"] in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return f"{shown} is out of range{_give(field.limits())}"
    if node.kind is str and not isinstance(node.value, str) and remedy.startswith("text"):
        return f"{shown} is not text, put it in quotes"
    if isinstance(node.value, str) and not reads_as_text(node.value):
        remedy += ", without quotes"
    elif isinstance(node.value, str) and (
        close := difflib.get_close_matches(node.value, map(str, field.choices()), n=1)
    ):
        return f"{shown} is not possible, did you mean {close[0]}? Give {remedy}"
    return f"{shown} is not possible{_give(remedy)}"


def _give(remedy: str) -> str:
    return f", give {remedy}" if remedy else ""
