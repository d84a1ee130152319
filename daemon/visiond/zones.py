"""Zones: named polygons of a frame, and which of them an object stands in.

What counts is the object's foot, the bottom centre of its box: a person at the far side of a gate covers it with their
body, and is in it only with their feet. Points are (x, y) as fractions of the frame, from the top left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from visiond.detection import Box

Point = tuple[float, float]

MAX_POINTS = 64


def zones_of(box: Box, zones: Mapping[str, Sequence[Point]]) -> tuple[str, ...]:
    """Return the names of the zones that hold the box's foot, in the order of `zones`."""
    foot = ((box.xmin + box.xmax) / 2, box.ymax)
    return tuple(name for name, polygon in zones.items() if contains(polygon, foot))


def contains(polygon: Sequence[Point], point: Point) -> bool:
    """Whether the point is inside the polygon or on its edge, by the even-odd rule."""
    x, y = point
    inside = False
    for start, end in _edges(polygon):
        if _on_segment(start, end, point):
            return True
        # An edge counts for the y from its lower end, included, to its upper, excluded: a corner is not met twice.
        if (start[1] > y) != (end[1] > y):
            crossing_x = start[0] + (y - start[1]) / (end[1] - start[1]) * (end[0] - start[0])
            inside ^= x < crossing_x
    return inside


def polygon_fault(polygon: Sequence[Point]) -> str | None:
    """Say in a sentence what makes these points no polygon, and the remedy; None when they are one."""
    if not 3 <= len(polygon) <= MAX_POINTS:
        return f"has {len(polygon)} points, give 3 to {MAX_POINTS}"
    for number, (x, y) in enumerate(polygon, start=1):
        if not (0 <= x <= 1 and 0 <= y <= 1):
            return f"point {number} lies outside the frame, give fractions from 0 to 1"
    edges = list(_edges(polygon))
    for number, (start, end) in enumerate(edges, start=1):
        if start == end:
            return f"point {number} is given twice, keep it once"
    for one in range(len(edges)):
        for other in range(one + 1, len(edges)):
            if _crosses(edges, one, other):
                return (
                    f"the lines after points {one + 1} and {other + 1} meet or cross, "
                    "give the corners in the order in which they stand around the area"
                )
    return None


def _edges(polygon: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    for number, start in enumerate(polygon):
        yield start, polygon[(number + 1) % len(polygon)]


def _crosses(edges: Sequence[tuple[Point, Point]], one: int, other: int) -> bool:
    """Whether two edges share more than the corner that neighbours have in common."""
    (a, b), (c, d) = edges[one], edges[other]
    if other == one + 1:  # b is c: they overlap when one turns back on the other
        return _on_segment(a, b, d) or _on_segment(c, d, a)
    if one == 0 and other == len(edges) - 1:  # d is a
        return _on_segment(a, b, c) or _on_segment(c, d, b)
    if any((_on_segment(a, b, c), _on_segment(a, b, d), _on_segment(c, d, a), _on_segment(c, d, b))):
        return True
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, c: Point) -> float:
    """Twice the signed area of the triangle: its sign tells on which side of the line a-b the point c lies."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _on_segment(a: Point, b: Point, point: Point) -> bool:
    within = min(a[0], b[0]) <= point[0] <= max(a[0], b[0]) and min(a[1], b[1]) <= point[1] <= max(a[1], b[1])
    return within and abs(_side(a, b, point)) < 1e-12
