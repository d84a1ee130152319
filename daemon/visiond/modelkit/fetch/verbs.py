"""`visiond models list` and `visiond models fetch NAME`."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from visiond.modelkit.catalogue import Entry, load_catalogue
from visiond.modelkit.columns import widths_of
from visiond.modelkit.fetch.order import Order
from visiond.modelkit.fetch.origin import open_origin
from visiond.modelkit.fetch.progress import Progress
from visiond.modelkit.fetch.web import Patience
from visiond.modelkit.inspection_text import size_text

_INDENT: Final = 4


def fetch(
    name: str, given_origin: str | None, parent: Path, replace: bool, catalogue: Path | None, out: TextIO, err: TextIO
) -> int:
    """Fetch one model as a package into `parent`; return 0. Raises a VisiondError, with nothing half-written."""
    known = load_catalogue(catalogue)
    entry = known.entry(name)
    address = known.address(entry)
    order = Order(name, entry, address, parent)
    if not replace and order.is_there():
        print(f"{order.target} is there and whole: nothing to do", file=out)
        return 0
    origin = open_origin(given_origin, address, Patience())
    with Progress(err) as progress:
        progress.line(f"{name}: {_runs_on(entry)}, {_size(entry)}, licence {entry.license}, from {origin.text}")
        try:
            placed = order.carry_out(origin, progress)
        except KeyboardInterrupt:
            progress.line("interrupted; what has come is kept, and the same command goes on there")
            raise
    print(f"{placed} is a whole package; for visiond.yaml:", file=out)
    print(f"models: {{objects: {{package: {json.dumps(str(placed.absolute()))}{_policy(entry)}}}}}", file=out)
    return 0


def list_models(catalogue: Path | None, to_json: bool, out: TextIO) -> int:
    """Print what can be fetched; return 0."""
    known = load_catalogue(catalogue)
    if to_json:
        print(
            json.dumps([_as_json(name, entry, known.address(entry)) for name, entry in known.models.items()]), file=out
        )
        return 0
    rows = [("NAME", "TASK", "FOR", "SIZE", "LICENCE", "")]
    rows += [
        (name, entry.task, _runs_on(entry), _size(entry), entry.license, entry.about)
        for name, entry in known.models.items()
    ]
    widths = widths_of(rows)
    room = shutil.get_terminal_size().columns if out.isatty() else _line_width(widths)
    for row in rows:
        for line in _lines(row, widths, room):
            print(line.rstrip(), file=out)
    return 0


def _lines(row: Sequence[str], widths: Sequence[int], room: int) -> list[str]:
    """One line where all rows fit; else what it is about below, and all but the name below where that is not enough."""
    cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
    beside = next((count for count in (len(cells), len(cells) - 1) if _line_width(widths[:count]) <= room), 1)
    below = [] if beside == len(cells) else [cells[-1]] if beside > 1 else ["  ".join(cells[1:-1]), cells[-1]]
    wrapped = [line for text in below for line in textwrap.wrap(text, max(20, room - _INDENT))]
    return ["  ".join(cells[:beside]), *(f"{' ' * _INDENT}{line}" for line in wrapped)]


def _line_width(widths: Sequence[int]) -> int:
    return sum(widths) + 2 * (len(widths) - 1)


def _runs_on(entry: Entry) -> str:
    return " and ".join({"edgetpu": "Edge TPU", "cpu": "CPU"}[key] for key in reversed(entry.models()))


def _size(entry: Entry) -> str:
    """How large the package is, as far as it is known."""
    sizes = [file.bytes for file in entry.remote()]
    known = sum(size for size in sizes if size is not None)
    if None not in sizes:
        return size_text(known)
    return f"over {size_text(known)}" if known > 1 << 20 else "not known"


def _policy(entry: Entry) -> str:
    """What the configuration has to say for a package that has nothing for the CPU."""
    return ", accelerator: required" if entry.files.cpu is None else ""


def _as_json(name: str, entry: Entry, address: str) -> dict[str, Any]:
    return {
        "name": name,
        "task": entry.task,
        "about": entry.about,
        "license": entry.license,
        "files": [
            {"name": file.name, "address": address + file.path, **file.model_dump(exclude={"path"})}
            for file in entry.remote()
        ],
    }
