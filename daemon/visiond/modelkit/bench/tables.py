"""Tables: columns of text; drawn by rich on a terminal where it is installed, and plain otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final, Literal, TextIO

from visiond.modelkit.columns import split_columns, widths_of

_GAP: Final = 2  # around rich's columns
_EDGES: Final = 2


@dataclass(frozen=True, slots=True)
class Table:
    """`heads` ending in a space are of columns of words, the others of numbers, which stand to the right."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def print_table(table: Table, out: TextIO) -> None:
    """Print it with its title."""
    if out.isatty() and find_spec("rich") is not None:
        _print_rich(table, out)
        return
    print(f"\n{table.title}", file=out)
    for line in plain_lines(table):
        print(line, file=out)


def plain_lines(table: Table) -> list[str]:
    """Return its lines, without the title, for whatever reads a pipe."""
    rows: list[Sequence[str]] = [[head.strip() for head in table.heads], *table.rows]
    widths = widths_of(rows)
    cells = [
        [
            cell.ljust(width) if head.endswith(" ") else cell.rjust(width)
            for cell, width, head in zip(row, widths, table.heads, strict=True)
        ]
        for row in rows
    ]
    return [f"  {'  '.join(row)}".rstrip() for row in cells]


def _print_rich(table: Table, out: TextIO) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table as Drawn

    console = Console(file=out, highlight=False)
    heads = [head.strip() for head in table.heads]
    title: str | None = table.title
    for columns in split_columns(widths_of((heads, *table.rows)), console.width - _EDGES, _keys(table), _GAP):
        drawn = Drawn(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, collapse_padding=True)
        for n in columns:
            justify: Literal["left", "right"] = "left" if table.heads[n].endswith(" ") else "right"
            drawn.add_column(heads[n], justify=justify, overflow="fold")
        for row in table.rows:
            drawn.add_row(*(row[n].replace("[", "\\[") for n in columns))
        console.print(drawn)
        title = None


def _keys(table: Table) -> int:
    """How many columns name the row: up to the threads, or the first."""
    return table.heads.index("THR") + 1 if "THR" in table.heads else 1
