"""Adds golden examples to the text of a model.yaml and leaves every other character of it as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import yaml

_KEY: Final = "golden"
_WIDE: Final = 1 << 20  # one example, one line


def add_golden(text: str, examples: Sequence[Mapping[str, Any]]) -> str:
    """Return `text` with `examples` behind those that it has. Raises ValueError where it is no mapping.

    A block list gets a line for each, in its own indentation; a list in brackets gets them before its bracket.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("it is no mapping of keys")
    found = next((value for key, value in root.value if key.value == _KEY), None)
    if found is None and root.flow_style:
        items = ", ".join(json.dumps(each) for each in examples)
        return _inserted(text, _before_bracket(root), f'{", " if root.value else ""}"{_KEY}": [{items}]')
    if found is None:
        lines = "".join(f"  - {_flow(each)}\n" for each in examples)
        return f"{text}{'' if text.endswith(chr(10)) else chr(10)}{_KEY}:\n{lines}"
    if not isinstance(found, yaml.SequenceNode):
        raise ValueError(f"{_KEY} is no list")
    if found.flow_style:
        items = ", ".join(json.dumps(each) for each in examples)
        return _inserted(text, _before_bracket(found), f"{', ' if found.value else ''}{items}")
    line_end = text.find("\n", _end(found))
    position = len(text) if line_end < 0 else line_end + 1
    start = "" if text[:position].endswith("\n") else "\n"
    indent = " " * found.start_mark.column
    return _inserted(text, position, start + "".join(f"{indent}- {_flow(each)}\n" for each in examples))


def _inserted(text: str, position: int, more: str) -> str:
    return text[:position] + more + text[position:]


def _flow(example: Mapping[str, Any]) -> str:
    """One example on one line, as people write them; escaped where PyYAML would not read it back (a NEL, say)."""
    for allow_unicode in (True, False):
        text = yaml.safe_dump(
            dict(example), default_flow_style=True, sort_keys=False, width=_WIDE, allow_unicode=allow_unicode
        ).strip()
        if yaml.safe_load(text) == dict(example):
            break
    return text


def _before_bracket(node: yaml.CollectionNode) -> int:
    """Where the last item of a flow collection ends, or, in an empty one, just before its bracket."""
    if not node.value:
        return int(node.end_mark.index) - 1
    return _end(node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1])


def _end(node: yaml.Node) -> int:
    """Where a node's own text ends; a block's mark is behind the comments and empty lines that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(node, yaml.MappingNode) else last)
    return int(node.end_mark.index)
