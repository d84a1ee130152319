"""Zones: where an object stands, and which polygons are none."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiond.detection import Box
from visiond.zones import MAX_POINTS, contains, polygon_fault, zones_of

SQUARE = ((0.2, 0.2), (0.8, 0.2), (0.8, 0.8), (0.2, 0.8))
# A U, open at the top: its notch is outside.
U = ((0.1, 0.1), (0.3, 0.1), (0.3, 0.7), (0.7, 0.7), (0.7, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9))


@pytest.mark.parametrize(
    ("polygon", "point", "inside"),
    [
        (SQUARE, (0.5, 0.5), True),
        (SQUARE, (0.1, 0.5), False),
        (SQUARE, (0.9, 0.5), False),
        (SQUARE, (0.5, 0.1), False),
        (SQUARE, (0.1, 0.2), False),  # in line with an edge
        (SQUARE, (0.2, 0.5), True),  # on each edge
        (SQUARE, (0.8, 0.5), True),
        (SQUARE, (0.5, 0.2), True),
        (SQUARE, (0.5, 0.8), True),
        *((SQUARE, corner, True) for corner in SQUARE),
        (U, (0.2, 0.5), True),
        (U, (0.5, 0.5), False),
        (U, (0.8, 0.5), True),
        (U, (0.5, 0.8), True),
        (U, (0.5, 0.7), True),
        (U, (0.0, 0.1), False),
        (((0, 0), (1, 1), (0, 1)), (0.5, 0.5), True),  # on a slope
        (((0, 0), (1, 1), (0, 1)), (0.5, 0.49), False),
    ],
)
def test_a_point_is_inside_or_on_the_edge_or_out(
    polygon: tuple[tuple[float, float], ...], point: tuple[float, float], inside: bool
) -> None:
    assert contains(polygon, point) is inside
    assert contains(tuple(reversed(polygon)), point) is inside
    assert contains(polygon[3:] + polygon[:3], point) is inside


def test_the_foot_of_an_object_counts_and_not_its_head() -> None:
    zones = {
        "upper": ((0, 0), (1, 0), (1, 0.5), (0, 0.5)),
        "lower": ((0, 0.5), (1, 0.5), (1, 1), (0, 1)),
        "all": SQUARE,
    }
    assert zones_of(Box(0.4, 0.1, 0.6, 0.75), zones) == ("lower", "all")
    assert zones_of(Box(0.4, 0.1, 0.6, 0.4), zones) == ("upper", "all")
    assert zones_of(Box(0.4, 0.1, 0.6, 0.5), zones) == ("upper", "lower", "all")  # on the line between: in both
    assert zones_of(Box(0.4, 0.1, 0.6, 1.0), zones) == ("lower",)  # cut off by the frame's border
    assert zones_of(Box(0.0, 0.0, 0.1, 0.3), {}) == ()


@pytest.mark.parametrize(
    ("polygon", "fault"),
    [
        (SQUARE, None),
        (U, None),
        (((0, 0), (1, 0), (1, 1)), None),
        ((), "has 0 points, give 3 to 64"),
        (((0, 0), (1, 1)), "has 2 points, give 3 to 64"),
        (tuple((0, n / 100) for n in range(MAX_POINTS + 1)), "has 65 points, give 3 to 64"),
        (((0, 0), (1.1, 0), (1, 1)), "point 2 lies outside the frame, give fractions from 0 to 1"),
        (((0, 0), (1, 0), (1, -0.1)), "point 3 lies outside the frame, give fractions from 0 to 1"),
        (((0, 0), (1, 0), (1, 0), (1, 1)), "point 2 is given twice, keep it once"),
        (((0, 0), (1, 0), (1, 1), (0, 0)), "point 4 is given twice, keep it once"),
        (((0, 0), (1, 1), (1, 0), (0, 1)), "the lines after points 1 and 3 meet or cross"),  # a bow tie
        (((0, 0), (0.5, 0.5), (1, 1)), "the lines after points 1 and 3 meet or cross"),  # no area
        (((0, 0), (1, 0), (0.5, 0)), "the lines after points 1 and 2 meet or cross"),  # there and back
        (((0, 0), (1, 0), (0.5, 0.5), (0.5, 0), (0, 1)), "the lines after points 1 and 3 meet or cross"),  # touches
    ],
)
def test_what_is_no_polygon_is_told_with_the_remedy(
    polygon: tuple[tuple[float, float], ...], fault: str | None
) -> None:
    found = polygon_fault(polygon)
    assert found == fault if fault is None else found is not None and found.startswith(fault)


fractions = st.floats(0, 1)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(fractions, fractions), st.tuples(fractions, fractions), st.tuples(fractions, fractions))
def test_a_rectangle_agrees_with_comparing_its_sides(
    one: tuple[float, float], other: tuple[float, float], point: tuple[float, float]
) -> None:
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    rectangle = ((left, top), (right, top), (right, bottom), (left, bottom))
    near_an_edge = min(abs(point[0] - left), abs(point[0] - right), abs(point[1] - top), abs(point[1] - bottom)) < 1e-6
    if not near_an_edge:
        assert contains(rectangle, point) == (left < point[0] < right and top < point[1] < bottom)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(fractions, fractions), max_size=12))
def test_any_points_are_a_polygon_or_a_sentence(points: list[tuple[float, float]]) -> None:
    fault = polygon_fault(points)
    assert fault is None or ", give " in fault or ", keep " in fault
    if fault is None:
        assert all(contains(points, corner) for corner in points)
