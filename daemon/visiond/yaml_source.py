"""Document: a YAML file of this project, read once and strictly; each of its problems has a line and a column.

Used for the configuration and for model.yaml alike:

    document = load(Path("visiond.yaml"))
    document.report("cameras.front.model", "no model has this name")   # what only the caller can know
    config = document.validate(Config)                                 # raises ConfigError with all problems at once
"""

from __future__ import annotations

import codecs
import re
import stat
from collections.abc import Sequence
from io import FileIO
from pathlib import Path
from typing import Any, Final, TypeVar

import pydantic

from visiond.errors import ConfigError, NoInputError
from visiond.wording import Finding, findings, name_key
from visiond.yaml_tree import CONTROL_CHARACTER, KeyPath, Node, Position, Problem, read_tree

MAX_BYTES: Final = 64 << 10
MAX_PROBLEMS_SHOWN: Final = 100

_TAB: Final = re.compile(r"(?:(?!(?:^| )#)[^\t])*\t")  # one that no comment holds: YAML forbids it in an indentation
_UNPRINTABLE: Final = re.compile(
    rf"{CONTROL_CHARACTER.pattern}|[\t\n]"
)  # a problem is one line, whatever was in a value

M = TypeVar("M", bound=pydantic.BaseModel)


class Document:
    """One file's values and places."""

    def __init__(self, path: Path, root: Node, problems: Sequence[Problem] = ()) -> None:
        self.path = path
        self._root = root
        self._problems = list(problems)

    @property
    def folder(self) -> Path:
        """Absolute folder of the file, which relative paths in it start from."""
        return self.path.parent.absolute()

    @property
    def data(self) -> Any:
        """The values as dicts, lists and scalars; None stands for one whose problem was told already."""
        return self._root.plain()

    def problem(self, keypath: str | Sequence[str | int], text: str, at_key: bool = False) -> str:
        """Return `FILE:LINE:COL: KEY: text` for a key ("files.cpu" or ("golden", 0, "image")), placed at its value.

        With `at_key` the place is the key's own; a key that is not in the file is placed at the nearest one around it.
        """
        return self._line(self._locate(_keys(keypath), text, at_key))

    def report(self, keypath: str | Sequence[str | int], text: str, at_key: bool = False) -> None:
        """Note a problem for `validate` to raise together with what it finds itself."""
        self._problems.append(self._locate(_keys(keypath), text, at_key))

    def validate(self, model: type[M]) -> M:
        """Build `model` from the values; its validators find the file's folder in `info.context["folder"]`.

        Raises ConfigError: a line for each problem of the reader, of the caller and of the model, in the file's order.
        """
        value = None
        try:
            value = model.model_validate(self.data, context={"folder": self.folder})
        except pydantic.ValidationError as error:
            self._problems += self._translate(findings(error, model, self._root))
        if self._problems or value is None:
            raise ConfigError(self._lines())
        return value

    def _translate(self, found: Sequence[Finding]) -> list[Problem]:
        """Place what the model found, without what follows from a value that the reader refused."""
        return [
            self._locate(finding.keypath, finding.text, finding.at_key)
            for finding in found
            if all(node.usable for node in self._nodes(finding.keypath[:-1] if finding.at_key else finding.keypath))
        ]

    def _nodes(self, keypath: KeyPath) -> list[Node]:
        """The nodes from the root to the key, as far as they exist."""
        nodes = [self._root]
        for key in keypath:
            child = nodes[-1].children.get(key)
            if child is None:
                break
            nodes.append(child)
        return nodes

    def _locate(self, keypath: KeyPath, text: str, at_key: bool) -> Problem:
        nodes = self._nodes(keypath)
        absent = len(nodes) <= len(keypath)
        return Problem(nodes[-1].key_at if at_key or absent else nodes[-1].at, keypath, text)

    def _line(self, problem: Problem) -> str:
        line = f"{self.path}:{problem.at.line}:{problem.at.column}: {name_key(problem.keypath)}: {problem.text}"
        return _UNPRINTABLE.sub(lambda match: repr(match[0])[1:-1], line)

    def _lines(self) -> str:
        lines = list(dict.fromkeys(self._line(problem) for problem in sorted(self._problems, key=lambda p: p.at)))
        hidden = len(lines) - MAX_PROBLEMS_SHOWN
        if hidden > 0:
            lines[MAX_PROBLEMS_SHOWN:] = [f"{self.path}: {hidden} more problems, mend these first"]
        return "\n".join(lines)


def load(path: Path) -> Document:
    """Read a file. Raises NoInputError when there is nothing to read, ConfigError when it cannot be understood at all.

    Problems that do not keep the rest from being understood (a duplicate key, an anchor) wait for `validate`.
    """
    content = _read(path)
    text, problems = _decode(content)
    root = None
    if not problems:
        root, problems = read_tree(text)
    top = Position(1, 1)
    document = Document(path, root or Node(top, top, kind=dict), problems)
    if root is None:
        raise ConfigError(document._lines())
    if root.kind is str and root.value is None:  # comments alone, or "---"
        root.kind = dict
    if root.kind is not dict:
        document.report((), 'the file must hold keys with values, such as "key: value"')
        raise ConfigError(document._lines())
    return document


def _read(path: Path) -> bytes:
    """Return the content, or one byte more than the limit. Never opens a FIFO or a device, which might block or act."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise NoInputError(f"{path}: is a folder, give the file in it")
        if not stat.S_ISREG(mode):
            raise NoInputError(f"{path}: is not a regular file but a device, pipe or socket, give a regular file")
        with open(path, "rb", buffering=0) as file:
            return _read_up_to(file, MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise NoInputError(f"{path}: no such file, create it or give another path") from error
    except PermissionError as error:
        raise NoInputError(f"{path}: may not be read by this user, change its owner or mode") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise NoInputError(f"{path}: cannot be read ({error}), give another path") from error


def _read_up_to(file: FileIO, nbytes: int) -> bytes:
    chunks = []
    while nbytes > 0 and (chunk := file.read(nbytes)):
        chunks.append(chunk)
        nbytes -= len(chunk)
    return b"".join(chunks)


def _decode(content: bytes) -> tuple[str, list[Problem]]:
    """Return the text, without a byte order mark, and what keeps it from being read as YAML."""
    content = content.removeprefix(codecs.BOM_UTF8)
    if len(content) > MAX_BYTES:
        return "", [_problem_after(content[:MAX_BYTES], f"the file is over {MAX_BYTES >> 10} KiB, shorten it")]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        return "", [_problem_after(content[: error.start], "is not UTF-8 text, save the file as UTF-8")]
    problems = []
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), start=1):
        if control := CONTROL_CHARACTER.search(line):
            problems.append(Problem(Position(number, control.start() + 1), (), "a control character, remove it"))
        if tab := _TAB.match(line):
            problems.append(Problem(Position(number, tab.end()), (), "a tab, use spaces"))
        if line.startswith("%"):
            problems.append(Problem(Position(number, 1), (), "a % directive is not supported, remove the line"))
    return text, problems


def _problem_after(content: bytes, text: str) -> Problem:
    before = content.decode(errors="ignore")
    return Problem(Position(before.count("\n") + 1, len(before) - before.rfind("\n")), (), text)


def _keys(keypath: str | Sequence[str | int]) -> KeyPath:
    if isinstance(keypath, str):
        return tuple(keypath.split(".")) if keypath else ()
    return tuple(keypath)
