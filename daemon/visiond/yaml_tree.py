"""A YAML text as a tree of plain values, each with its place in the file. Strict: nothing in it can mean two things.

The parser is PyYAML's pure Python one: the same sentences and places on every machine, and 1 ms for a usual file. Its
resolver and constructor are not used: they follow YAML 1.1 (`no` is false, `12:30` is 750, `010` is 8), and they take
anchors and duplicate keys, whose last one wins in silence. Scalars here follow the YAML 1.2 core schema.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

import yaml
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

from visiond.yaml_scalars import Scalar, reads_as_text, resolve_scalar
from visiond.yaml_syntax import syntax_problem

MAX_DEPTH: Final = 20
MAX_NODES: Final = 10_000

KeyPath = tuple[str | int, ...]
Event = Any  # PyYAML's stubs leave out the attributes

# Not even in quotes, where \x1b would reach a terminal and \ud800 no UTF-8 output.
CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """Line and column, both from 1; the column counts characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, under which key, and what to do about it."""

    at: Position
    keypath: KeyPath
    text: str


@dataclass(slots=True)
class Node:
    """One value. `written` is a scalar as it stands in the file; `usable` is false where a problem was told already."""

    at: Position
    key_at: Position
    value: Scalar = None
    written: str = ""
    children: dict[str | int, Node] = field(default_factory=dict)
    kind: type = str  # str: a scalar; list; dict
    usable: bool = True

    def plain(self) -> Any:
        """Return the value as dicts, lists and scalars."""
        if self.kind is dict:
            return {key: child.plain() for key, child in self.children.items()}
        if self.kind is list:
            return [child.plain() for child in self.children.values()]
        return self.value


def read_tree(text: str) -> tuple[Node | None, list[Problem]]:
    """Read one document, without control characters but tab, CR and LF. An empty text is an empty mapping at 1:1.

    The node is None where a problem made reading on impossible; then the last problem says which.
    """
    builder = _Builder(text)
    try:
        return builder.document(), builder.problems
    except _HaltError:
        return None, builder.problems


class _HaltError(Exception):
    """Nothing after this place can be understood."""


class _Events(Reader, Scanner, Parser):
    """PyYAML's reader, scanner and parser without its composer: a stream of events, read as they are asked for."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)


class _Builder:
    def __init__(self, text: str) -> None:
        self.problems: list[Problem] = []
        self._path: list[str | int] = []
        self._depth = 0
        self._nodes = 0
        self._events: Any = _Events(text)

    def document(self) -> Node:
        self._next()  # start of the stream
        start = self._next()
        if isinstance(start, yaml.StreamEndEvent):
            return Node(Position(1, 1), Position(1, 1), kind=dict)
        root = self._node(None)
        self._next()  # end of the document
        if not isinstance(after := self._next(), yaml.StreamEndEvent):
            self._halt(after, "a second document begins here, keep one: remove this --- and what follows it")
        return root

    def _next(self) -> Event:
        event = self._peek()
        self._events.get_event()
        return event

    def _peek(self) -> Event:
        try:
            return self._events.peek_event()
        except yaml.MarkedYAMLError as error:
            mark, text = syntax_problem(error)
        except (ValueError, OverflowError):  # chr() in the scanner: "\\Uffffffff"
            mark, text = self._events.get_mark(), "a number here is out of YAML's range, correct it"
        self._add(_position(mark), text)
        raise _HaltError

    def _node(self, key_at: Position | None) -> Node:
        event = self._next()
        at = _position(event.start_mark)
        node = Node(at, key_at or at)
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._halt(event, f"more than {MAX_NODES} values, shorten the file")
        if isinstance(event, yaml.AliasEvent):
            node.usable = self._report(event, "an alias (*) is not supported, write the value out")
            return node
        if event.anchor is not None:
            self._report(event, "an anchor (&) is not supported, remove it")
        if event.tag is not None:
            self._report(event, "a tag (!) is not supported, remove it, or put text that begins with ! in quotes")
            node.usable = not isinstance(event, yaml.ScalarEvent)
        if isinstance(event, yaml.ScalarEvent):
            self._fill_scalar(node, event)
        else:
            self._fill_collection(node, event)
        return node

    def _fill_scalar(self, node: Node, event: yaml.ScalarEvent) -> None:
        node.value = node.written = event.value
        if CONTROL_CHARACTER.search(event.value):
            node.usable = self._report(event, "holds a control character, remove it")
        elif event.style is None:
            try:
                node.value = resolve_scalar(event.value)
            except ValueError as error:
                node.usable = self._report(event, str(error))

    def _fill_collection(self, node: Node, event: Event) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._halt(event, f"nested more than {MAX_DEPTH} deep, make it flatter")
        if isinstance(event, yaml.SequenceStartEvent):
            node.kind = list
            while not isinstance(self._peek(), yaml.SequenceEndEvent):
                self._add_child(node, len(node.children), None)
        else:
            node.kind = dict
            while not isinstance(self._peek(), yaml.MappingEndEvent):
                self._add_entry(node)
        self._next()
        self._depth -= 1

    def _add_entry(self, mapping: Node) -> None:
        """Read a key and its value. The value is read even where the key is refused: its problems count too."""
        event = self._peek()
        if not isinstance(event, yaml.ScalarEvent):
            if not isinstance(event, yaml.AliasEvent):  # which is told as such
                self._report(event, "a key must be plain text")
            self._node(None)
            self._node(None)
            return
        key, at = event.value, _position(event.start_mark)
        scratch = Node(at, at)
        self._path.append(key)
        usable = self._check_key(event)
        if usable and key in mapping.children:
            line = mapping.children[key].key_at.line
            usable = self._report(event, f"is given a second time (first on line {line}), keep one of them")
        self._path.pop()
        self._next()
        self._add_child(mapping if usable else scratch, key, at)

    def _check_key(self, event: yaml.ScalarEvent) -> bool:
        if event.anchor is not None or event.tag is not None:
            return self._report(event, "an anchor (&) or tag (!) is not supported, remove it")
        if event.style is not None:
            return not CONTROL_CHARACTER.search(event.value) or self._report(
                event, "holds a control character, remove it"
            )
        if event.value == "<<":
            return self._report(event, "a merge key (<<) is not supported, write the keys out")
        return reads_as_text(event.value) or self._report(event, "a key must be text, put it in quotes")

    def _add_child(self, parent: Node, key: str | int, key_at: Position | None) -> None:
        self._path.append(key)
        parent.children[key] = self._node(key_at)
        self._path.pop()

    def _report(self, event: Event, text: str) -> bool:
        """Note a problem; returns False, for `usable`."""
        self._add(_position(event.start_mark), text)
        return False

    def _halt(self, event: Event, text: str) -> NoReturn:
        self._add(_position(event.start_mark), text)
        raise _HaltError

    def _add(self, at: Position, text: str) -> None:
        self.problems.append(Problem(at, tuple(self._path), text))


def _position(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)
