"""Suppression by OpenCV against the plain one: class by class, wherever the boxes lie."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plain_decoders import suppressed
from visiond.engine.decode.decoder import DecodeSettings, InvalidOutput
from visiond.engine.decode.suppression import CANDIDATES, best_rows, corners_of, surviving
from visiond.modelkit.labels import Labels

SETTINGS = DecodeSettings(Labels(()), 0.3, 100, (64, 32), 0.4503)


@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from([0.3, 1.0, 20.0]))
def test_what_survives_is_what_the_plain_one_keeps(seed: int, spread: float) -> None:
    """With `spread` 20 most boxes lie far outside the picture, at negative places too: classes must stay apart."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(-spread, spread, (40, 2))
    corners = np.concatenate([low, low + rng.uniform(0.1, 0.9, (40, 2)) * spread], axis=1).astype(np.float32)
    scores = np.sort(rng.random(40))[::-1].astype(np.float32)
    classes = rng.integers(0, 3, 40)
    rows = surviving(corners, classes, scores, SETTINGS)
    candidates = [(int(classes[row]), float(scores[row]), tuple(corners[row].tolist())) for row in range(40)]
    assert [candidates[row] for row in rows] == suppressed(candidates, 0.4503)


def test_classes_stay_apart_where_coordinates_are_negative() -> None:
    """OpenCV moves class 1 by the greatest coordinate and 1, 6 here, which would put the one box onto the other."""
    corners = np.array([[-6, -6, -1, -1], [0, 0, 5, 5], [0, 0, 5, 5]], np.float32)
    assert surviving(corners, np.array([1, 0, 1]), np.array([0.9, 0.8, 0.7], np.float32), SETTINGS) == [0, 1, 2]


def test_nothing_survives_of_nothing() -> None:
    assert surviving(np.empty((0, 4), np.float32), np.empty(0, int), np.empty(0, np.float32), SETTINGS) == []


def test_fault_31_a_corner_that_is_no_number_is_an_invalid_output() -> None:
    corners = np.array([[0, 0, np.inf, 1]], np.float32)
    with pytest.raises(InvalidOutput, match="1 of 4 box corners"):
        surviving(corners, np.array([0]), np.array([0.9], np.float32), SETTINGS)


@given(seed=st.integers(0, 2**32 - 1), count=st.sampled_from([0, 5, CANDIDATES + 7]))
def test_the_best_rows_come_first_and_are_not_too_many(seed: int, count: int) -> None:
    scores = np.random.default_rng(seed).random(count).astype(np.float32)
    rows = best_rows(scores, 0.0)
    assert scores[rows].tolist() == sorted(scores.tolist(), reverse=True)[:CANDIDATES]


def test_a_box_around_its_centre_has_its_corners() -> None:
    assert corners_of(np.array([[0.5, 0.4, 0.2, 0.6]], np.float32))[0].tolist() == pytest.approx([0.4, 0.1, 0.6, 0.7])
