"""SyntheticCamera: frames to a schedule, stamped when they are due."""

import time

import numpy as np
import pytest

from visiond.cameras.address import SourceAddress
from visiond.cameras.synthetic import SyntheticCamera
from visiond.errors import CameraError

SHAPES = SourceAddress.parse("synthetic:shapes")


def test_size_and_rate_have_defaults_and_can_be_asked_for() -> None:
    camera = SyntheticCamera(SHAPES, None, None)
    camera.prefetch(None)
    camera.grab()
    frame = camera.retrieve()
    assert frame is not None
    assert frame.shape == (480, 640, 3)
    camera = SyntheticCamera(SHAPES, (96, 64), 100)
    camera.prefetch(None)
    camera.grab()
    frame = camera.retrieve()
    assert frame is not None
    assert frame.shape == (64, 96, 3)


def test_stamps_follow_the_schedule_and_the_picture_moves() -> None:
    camera = SyntheticCamera(SHAPES, (96, 64), 50)
    stamps, pictures = [], []
    for _ in range(6):
        camera.prefetch(None)
        captured_ns = camera.grab()
        assert captured_ns is not None
        assert time.monotonic_ns() - captured_ns < 10_000_000, "the stamp is the moment of the frame"
        stamps.append(captured_ns)
        pictures.append(np.copy(camera.retrieve()))  # type: ignore[arg-type]
    gaps_ms = np.diff(stamps) / 1e6
    assert np.median(gaps_ms) == pytest.approx(20, abs=4)
    assert not np.array_equal(pictures[0], pictures[-1])


def test_fps_0_does_not_wait() -> None:
    camera = SyntheticCamera(SHAPES, (96, 64), 0)
    began_s = time.monotonic()
    for _ in range(20):
        camera.prefetch(None)
        camera.grab()
    assert time.monotonic() - began_s < 20 / 30


def test_a_tiny_picture_is_refused_in_words() -> None:
    with pytest.raises(CameraError, match="at least 32") as refusal:
        SyntheticCamera(SHAPES, (31, 200), None)
    assert refusal.value.state == "refused"


def test_a_still_picture_is_offered_again_and_again() -> None:
    camera = SyntheticCamera(SourceAddress.parse("synthetic:still"), (96, 64), 0)
    first, second = np.empty((64, 96, 3), np.uint8), np.empty((64, 96, 3), np.uint8)
    for destination in (first, second):
        camera.prefetch(destination)
        camera.grab()
        assert camera.retrieve(destination) is destination
    assert np.array_equal(first, second)
    assert first.std() > 5, "a flat picture shows nothing"
