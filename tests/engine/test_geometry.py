"""Where a frame lies in the input tensor, in numbers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiond.detection import Box
from visiond.engine.geometry import Geometry, Size, Window, fit

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

MODES = ("stretch", "letterbox", "center_crop", "shorter_side")
sizes = st.tuples(st.integers(16, 2000), st.integers(16, 2000))


def test_stretch_leaves_fractions_as_they_are() -> None:
    assert fit("stretch", (640, 480), (300, 300)).geometry == Geometry()


def test_letterbox_puts_a_wide_frame_between_two_bars() -> None:
    fitted = fit("letterbox", (1280, 720), (640, 640))
    assert fitted.resized == (640, 360)
    assert fitted.placed == Window(0, 140, 640, 360)
    assert fitted.geometry.box(0.25, 140 / 640, 0.75, 500 / 640) == Box(0.25, 0, 0.75, 1)


def test_letterbox_gives_the_odd_pixel_to_the_right_and_the_bottom() -> None:
    assert fit("letterbox", (100, 31), (64, 64)).placed == Window(0, 22, 64, 20)
    assert fit("letterbox", (100, 33), (64, 64)).placed == Window(0, 21, 64, 21)  # 21 above, 22 below


def test_center_crop_takes_the_middle_of_the_frame() -> None:
    fitted = fit("center_crop", (640, 480), (224, 224))
    assert fitted.crop == Window(80, 0, 480, 480)
    assert fitted.geometry.box(0, 0, 1, 1) == Box(80 / 640, 0, 560 / 640, 1)


@pytest.mark.parametrize(
    ("frame", "shorter_side", "resized", "kept"),
    [
        ((640, 480), None, (298, 224), Window(37, 0, 224, 224)),  # int(224 * 640 / 480), round((298 - 224) / 2)
        ((481, 640), 256, (256, 340), Window(16, 58, 224, 224)),  # int(256 * 640 / 481), round((340 - 224) / 2)
        ((500, 375), 256, (341, 256), Window(58, 16, 224, 224)),  # round(58.5) is 58: halves to even
        ((256, 339), 256, (256, 339), Window(16, 58, 224, 224)),  # and so is round(57.5)
        ((256, 256), 256, (256, 256), Window(16, 16, 224, 224)),
    ],
)
def test_shorter_side_is_torchvisions_resize_and_center_crop(
    frame: Size, shorter_side: int | None, resized: Size, kept: Window
) -> None:
    fitted = fit("shorter_side", frame, (224, 224), shorter_side)
    assert (fitted.resized, fitted.kept) == (resized, kept)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="no such resize mode: squash"):
        fit("squash", (640, 480), (300, 300))


@patient
@given(st.sampled_from(MODES), sizes, sizes)
def test_every_window_lies_where_it_can(mode: str, frame: Size, tensor: Size) -> None:
    fitted = fit(mode, frame, tensor)
    for window, whole in ((fitted.crop, frame), (fitted.kept, fitted.resized), (fitted.placed, tensor)):
        assert window.left >= 0
        assert window.top >= 0
        assert window.left + window.width <= whole[0]
        assert window.top + window.height <= whole[1]
        assert min(window.size) > 0
    assert fitted.kept.size == fitted.placed.size


@patient
@given(st.sampled_from(MODES), sizes, sizes, st.floats(0, 1), st.floats(0, 1))
def test_a_point_that_is_followed_through_the_pixels_comes_back(
    mode: str, frame: Size, tensor: Size, x: float, y: float
) -> None:
    fitted = fit(mode, frame, tensor)
    there = []
    for axis, fraction in ((0, x), (1, y)):
        start = (fitted.crop.left, fitted.crop.top)[axis]
        length = fitted.crop.size[axis]
        in_resized = (fraction * frame[axis] - start) * fitted.resized[axis] / length
        moved = (fitted.placed.left - fitted.kept.left, fitted.placed.top - fitted.kept.top)[axis]
        there.append((in_resized + moved) / tensor[axis])
    back = fitted.geometry.box(there[0], there[1], there[0], there[1])
    assert back.xmin == pytest.approx(x, abs=1e-9)
    assert back.ymin == pytest.approx(y, abs=1e-9)


def test_boxes_are_clamped_to_the_frame() -> None:
    assert Geometry(0.5, 1, 0.25, 0).box(0, -1, 2, 0.5) == Box(0, 0, 1, 0.5)
