"""The table of a conversion: what each variant costs and what it is worth, for a terminal or for a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final, TextIO

from visiond.modelkit.columns import split_columns, widths_of
from visiond.modelkit.convert.measurement import Measured

Row = tuple[str, ...]

_GAP: Final = 2  # between rich's columns without lines


def print_table(rows: Sequence[Measured], out: TextIO) -> None:
    """Print it: with rich on a terminal, in columns of plain text elsewhere."""
    head, body = _head(rows), [_cells(row, rows[0]) for row in rows]
    if out.isatty() and find_spec("rich") is not None:
        _print_rich(head, body, out)
        return
    widths = widths_of((head, *body))
    for row in (head, *body):
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip(), file=out)


def _print_rich(head: Row, body: Sequence[Row], out: TextIO) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(file=out)
    for number, columns in enumerate(split_columns(widths_of((head, *body)), console.width, keys=1, gap=_GAP)):
        if number:
            console.print()
        table = Table(box=None, pad_edge=False, header_style="bold")
        for position in columns:
            table.add_column(head[position], justify="right" if position else "left", no_wrap=True)
        for row in body:
            table.add_row(*(row[position] for position in columns))
        console.print(table)


def _head(rows: Sequence[Measured]) -> Row:
    common = ("VARIANT", "INPUT", "SIZE", "GZIPPED")
    found = rows[0].evaluation
    if found is None:
        return common
    return (*common, found.metric.upper(), "95 % INTERVAL", "AGAINST FLOAT", "AGREES", "P50")


def _cells(row: Measured, first: Measured) -> Row:
    common = (row.variant, row.input, decimal_size(row.bytes), decimal_size(row.gzip_bytes))
    found = row.evaluation
    if found is None:
        return common
    reference = first.evaluation if first.variant == "float32" else None
    points = "" if reference is None or row is first else f"{100 * (found.value - reference.value):+.2f} points"
    agrees = "" if row.agreement is None or row is first else f"{100 * row.agreement:.1f} %"
    interval = f"{100 * found.low:.1f}–{100 * found.high:.1f} %"
    return (*common, f"{100 * found.value:.2f} %", interval, points, agrees, f"{found.invoke_p50_ms:.2f} ms")


def decimal_size(count: int) -> str:
    """Return a size in MB of a million bytes, or kB: what the literature gives for models."""
    return f"{count / 1e6:.2f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"
