"""Columns of a table that is wider than the terminal: shown in several tables, and nothing is cut off or broken."""

from __future__ import annotations

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def widths_of(rows: Rows) -> list[int]:
    """Return the width of each column, in characters; the head is one of the rows."""
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def split_columns(widths: Sequence[int], width: int, keys: int, gap: int) -> list[list[int]]:
    """Return the columns' numbers, table by table, each at most `width` wide where that can be.

    Each table begins with the first `keys` columns, which name the row. `gap` is what a column has around it.
    """
    names = list(range(keys))
    tables: list[list[int]] = [[]]
    left = room = width - sum(widths[number] + gap for number in names)
    for number in range(keys, len(widths)):
        needed = widths[number] + gap
        if tables[-1] and needed > left:
            tables.append([])
            left = room
        tables[-1].append(number)
        left -= needed
    return [names + table for table in tables]
