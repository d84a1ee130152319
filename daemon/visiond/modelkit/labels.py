"""Labels: the names of a model's classes, and the two ways in which files write them."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

log = logging.getLogger(__name__)

MAX_LABEL_CHARS: Final = 128
MAX_LABEL_BYTES: Final = 1 << 20
MAX_LABELS: Final = 1 << 16
PLACEHOLDER: Final = "???"  # TensorFlow's mark for an id that no class has

_NUMBERED = re.compile(r"\s*(\d{1,5})(\s*:\s*|\s+)(\S.*)")


class Labels:
    """Names by class id. An id without a name is None; one beyond the end too, with one warning for all of them."""

    def __init__(self, names: Sequence[str | None] = (), origin: str = "the label file") -> None:
        """`origin` is what the warning calls the file."""
        self.names = tuple(names)
        self._origin = origin
        self._warned = False

    def __len__(self) -> int:
        return len(self.names)

    def name(self, class_id: int) -> str | None:
        """Return the class's name, or None."""
        if 0 <= class_id < len(self.names):
            return self.names[class_id]
        if self.names and not self._warned:
            self._warned = True
            log.warning(
                "class %d has no label: %s names %d classes; its label is null; check labels.path and labels.offset",
                class_id,
                self._origin,
                len(self.names),
            )
        return None


def parse_labels(content: bytes, offset: int, origin: str = "the label file") -> Labels:
    """Read a label file: class id + `offset` = line, counted from 0.

    A byte-order mark and CRLF are taken off. An empty line and "???" keep their place and name nothing. Files that
    number their lines (`0  person`, as Coral's do, gaps allowed) are taken by those numbers instead of the lines', when
    the numbering cannot be part of the names: see `_numbers`. Equal names are allowed. Raises ValueError in words.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"line {number} is not UTF-8; save the file as UTF-8") from error
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    if len(lines) > MAX_LABELS:
        raise ValueError(f"it has {len(lines)} lines; {MAX_LABELS} are allowed")
    for number, line in enumerate(lines, start=1):
        _check_characters(line, number)
    slots = _numbers(lines)
    if slots is None:
        slots = {index: line.strip() for index, line in enumerate(lines)}
    names: list[str | None] = [slots.get(class_id + offset) or None for class_id in range(max(slots) - offset + 1)]
    for class_id, name in enumerate(names):
        if name is not None and len(name) > MAX_LABEL_CHARS:
            raise ValueError(f"the label of class {class_id} has {len(name)} characters; {MAX_LABEL_CHARS} are allowed")
    names = [None if name == PLACEHOLDER else name for name in names]
    if not any(names):
        raise ValueError("it names no class; put one label on each line")
    return Labels(names, origin)


def _numbers(lines: list[str]) -> dict[int, str] | None:
    """Return the labels by the numbers that the lines carry, or None when they are not numbered beyond doubt.

    Beyond doubt: every line that is not empty has a number, they rise, and either each is set off by a colon, a tab or
    two spaces, or they count the lines from 0. "1 litre", "2 litre" are names.
    """
    labels: dict[int, str] = {}
    set_off = counting = True
    last = -1
    for position, line in enumerate(line for line in lines if line.strip()):
        match = _NUMBERED.fullmatch(line.rstrip())
        if match is None or int(match[1]) <= last:
            return None
        last = int(match[1])
        labels[last] = match[3]
        set_off = set_off and match[2] != " "
        counting = counting and last == position
    return labels if labels and (set_off or counting) else None


def _check_characters(line: str, number: int) -> None:
    if any(unicodedata.category(character) == "Cc" and character != "\t" for character in line):
        raise ValueError(f"line {number} holds a control character; remove it")
