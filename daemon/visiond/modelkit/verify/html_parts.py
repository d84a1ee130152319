"""Tables and figures of the HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Return a table; `left`: so many columns hold words, the others numbers."""
    names = "".join(f"<th>{escape(each)}</th>" for each in head)
    lines = "".join(
        f"<tr>{''.join(f'<td{_align(n, cell, left)}>{escape(cell)}</td>' for n, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>"


def _align(column: int, cell: str, left: int) -> str:
    is_number = column >= left and cell[:1] in "-+0123456789" and not cell.endswith(")") and " of " not in cell
    return " class=number" if is_number else ""


def figure(address: str, text: str) -> str:
    """Return a picture by its data address, with words below."""
    return f'<figure><img src="{address}" alt="{escape(text)}"><figcaption>{escape(text)}</figcaption></figure>'


def numbers(values: Any) -> str:
    """Return a list of numbers as in model.yaml."""
    return escape("[" + ", ".join(f"{value:g}" for value in values) + "]")
