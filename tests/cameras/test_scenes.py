"""Scenes: drawn from a seed, with the truth about what can be seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiond.cameras.scenes import MovingScene, still_scene
from visiond.cameras.solids import LABELS


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_scene_has_the_size_asked_for_and_boxes_inside_it(seed: int) -> None:
    picture, truth = still_scene(seed, (160, 120))
    assert picture.shape == (120, 160, 3)
    assert picture.dtype == np.uint8
    for each in truth:
        assert each.label in LABELS
        box = each.box
        assert 0 <= box.xmin < box.xmax <= 1
        assert 0 <= box.ymin < box.ymax <= 1


def test_a_seed_gives_one_scene_and_another_seed_another() -> None:
    first, again, other = still_scene(5), still_scene(5), still_scene(6)
    assert np.array_equal(first[0], again[0])
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])


def test_all_classes_come_and_some_scenes_are_empty() -> None:
    seen = [{each.label for each in still_scene(seed, (160, 120))[1]} for seed in range(120)]
    assert set().union(*seen) == set(LABELS)
    assert set() in seen


def test_the_moving_scene_can_be_drawn_at_any_moment_in_any_order() -> None:
    scene = MovingScene((160, 120), seed=2)
    now, later, back = (np.empty((120, 160, 3), np.uint8) for _ in range(3))
    scene.draw(1.0, now)
    scene.draw(9.0, later)
    scene.draw(1.0, back)
    assert np.array_equal(now, back)
    assert not np.array_equal(now, later)


@pytest.mark.parametrize("moment_s", [0.0, 3.3, 1000.0])
def test_what_moves_stays_in_the_picture(moment_s: float) -> None:
    truth = MovingScene((320, 240), seed=3, objects=4).truth(moment_s)
    assert 1 <= len(truth) <= 4
    for each in truth:
        assert each.box.area > 0.001
