"""Plots as inline SVG: no library, no script, and the page's own colours, light or dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Final

_ROW: Final = 24
_LABEL: Final = 250
_PLOT: Final = 400
_VALUE: Final = 250


def bars(rows: Sequence[tuple[str, float, str]], marked: str | None = None) -> str:
    """Return horizontal bars of (label, length ≥ 0, text at its end) on a scale by the square root.

    The root, as differences run from a tenth to a hundred: small ones must be seen next to large ones.
    """
    most = max((math.sqrt(length) for _, length, _ in rows), default=0.0) or 1.0
    parts = []
    for number, (label, length, text) in enumerate(rows):
        top = number * _ROW
        width = max(1.0, math.sqrt(length) / most * _PLOT)
        kind = "bar marked" if label == marked else "bar"
        parts.append(
            f'<text x="{_LABEL - 8}" y="{top + 16}" text-anchor="end">{escape(label)}</text>'
            f'<rect class="{kind}" x="{_LABEL}" y="{top + 4}" width="{width:.1f}" height="{_ROW - 8}" rx="2"/>'
            f'<text class="value" x="{_LABEL + width + 6:.1f}" y="{top + 16}">{escape(text)}</text>'
        )
    return _svg(parts, len(rows))


def intervals(rows: Sequence[tuple[str, float, float, float]], marked: str | None = None) -> str:
    """Return points with their intervals: (label, value, low, high), 0 to 1; the axis spans what they need."""
    if not rows:
        return ""
    low, high = min(row[2] for row in rows), max(row[3] for row in rows)
    margin = max(0.01, (high - low) * 0.08)
    low, high = max(0.0, low - margin), min(1.0, high + margin)

    def x(value: float) -> float:
        return _LABEL + (value - low) / (high - low) * _PLOT

    parts = []
    for tick in _ticks(low, high):
        parts.append(
            f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{len(rows) * _ROW}"/>'
            f'<text class="value" x="{x(tick):.1f}" y="{len(rows) * _ROW + 16}" text-anchor="middle">{tick:.0%}</text>'
        )
    for number, (label, value, least, most) in enumerate(rows):
        y = number * _ROW + _ROW / 2
        kind = "point marked" if label == marked else "point"
        parts.append(
            f'<text x="{_LABEL - 8}" y="{y + 4}" text-anchor="end">{escape(label)}</text>'
            f'<line class="interval" x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle class="{kind}" cx="{x(value):.1f}" cy="{y}" r="5"/>'
            f'<text class="value" x="{_LABEL + _PLOT + 10}" y="{y + 4}">{value:.1%}</text>'
        )
    return _svg(parts, len(rows) + 1)


def histogram(counts: Sequence[int], beyond: str) -> str:
    """Return columns of the shares of 0, 1, 2 … quanta, on a logarithmic scale; the last is `beyond`."""
    total, height, width = sum(counts) or 1, 90, 34
    floor = -6.0  # a millionth is the least that shows
    parts = []
    for number, count in enumerate(counts):
        share = count / total
        tall = 0.0 if not count else max(2.0, (math.log10(share) - floor) / -floor * height)
        name = beyond if number == len(counts) - 1 else str(number)
        title = f"{name} quanta: {share:.3%}"
        parts.append(
            f'<rect class="bar" x="{number * width + 4}" y="{height - tall:.1f}" width="{width - 8}" '
            f'height="{tall:.1f}"><title>{escape(title)}</title></rect>'
            f'<text class="value" x="{number * width + width / 2}" y="{height + 14}" text-anchor="middle">'
            f"{escape(name)}</text>"
        )
    size = f'viewBox="0 0 {len(counts) * width} {height + 20}" width="{len(counts) * width}" height="{height + 20}"'
    return f'<svg {size} role="img">{"".join(parts)}</svg>'


def _svg(parts: Sequence[str], rows: int) -> str:
    width, height = _LABEL + _PLOT + _VALUE, rows * _ROW
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">{"".join(parts)}</svg>'


def _ticks(low: float, high: float) -> list[float]:
    """Return round numbers between, at most six."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        if (high - low) / step <= 6:
            break
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]
