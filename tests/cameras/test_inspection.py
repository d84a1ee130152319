import time
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from visiond.cameras import inspection
from visiond.cameras.inspection import FROZEN_S, LEARNING, WORDS, Inspection, quality_of
from visiond.errors import CameraError

Frame = NDArray[np.uint8]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        self.now_s += 1 / 30
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(inspection, "time", clock)
    return clock


def noisy(count: int) -> Iterator[Frame]:
    random = np.random.default_rng(7)
    for _ in range(count):
        yield random.integers(0, 256, (48, 64, 3), np.uint8)


def opened(has_sensor: bool = True) -> Inspection:
    looked = Inspection()
    looked.opened(has_sensor)
    return looked


def until_frozen(looked: Inspection, frame: Frame) -> int:
    """How many of the same picture are left out before."""
    answers: list[bool] = []
    with pytest.raises(CameraError, match="no pixel of its picture has changed") as caught:
        answers.extend(looked.is_new(frame) for _ in range(1000))
    assert caught.value.state == "frozen"
    assert not any(answers)
    return len(answers)


def test_a_picture_that_stays_is_no_new_one_and_then_a_frozen_camera() -> None:
    looked = opened()
    *_, last = [frame for frame in noisy(LEARNING + 1) if looked.is_new(frame)]
    assert until_frozen(looked, last) == pytest.approx(30 * FROZEN_S, abs=2)


def test_a_frozen_picture_is_known_again_when_the_camera_is_opened_anew() -> None:
    looked = opened()
    *_, last = [frame for frame in noisy(LEARNING + 1) if looked.is_new(frame)]
    until_frozen(looked, last)
    looked.opened(True)
    assert until_frozen(looked, last) == 0
    assert looked.is_new(255 - last)


def test_one_picture_given_twice_now_and_then_is_left_out_and_no_fault() -> None:
    looked = opened()
    kept = [looked.is_new(frame) for picture in noisy(LEARNING + 60) for frame in (picture, picture)][
        2 * LEARNING + 2 :
    ]
    assert kept == [True, True] * 59 or kept == [True, False] * 59


@pytest.mark.parametrize("has_sensor", [True, False])
def test_a_source_without_noise_may_stand_still(has_sensor: bool) -> None:
    looked = opened(has_sensor)
    (frame,) = noisy(1)
    assert all(looked.is_new(frame) for _ in range(200))


def test_black_may_stay_the_same_to_the_last_bit() -> None:
    looked = opened()
    assert all(looked.is_new(frame) for frame in noisy(LEARNING + 1))
    assert all(looked.is_new(np.zeros((48, 64, 3), np.uint8)) for _ in range(200))
    assert looked.quality == "dark"


def test_another_size_is_another_picture() -> None:
    looked = opened()
    assert all(looked.is_new(frame) for frame in noisy(LEARNING + 1))
    assert looked.is_new(np.full((480, 640, 3), 77, np.uint8))


def test_the_memory_of_a_frame_may_be_written_to_afterwards() -> None:
    looked = opened()
    memory = np.empty((48, 64, 3), np.uint8)
    for frame in noisy(LEARNING + 20):
        memory[:] = frame  # as the slots of the ring are
        assert looked.is_new(memory)


@pytest.mark.parametrize(
    ("level", "noise", "quality"),
    [
        (0, 12, "dark"),
        (250, 6, "bright"),
        (128, 6, "flat"),
        ((20, 20, 200), 6, "flat"),  # a finger on the lens
        (128, 60, None),
        (20, 90, None),  # a night with lamps
    ],
)
def test_the_quality_of_a_picture(level: int | tuple[int, int, int], noise: int, quality: str | None) -> None:
    random = np.random.default_rng(3)
    picture = np.clip(random.integers(0, noise, (60, 80, 3)) + np.asarray(level), 0, 255).astype(np.uint8)
    assert quality_of(picture) == quality
    assert quality is None or WORDS[quality]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 255))
def test_every_size_and_level_has_a_quality(width: int, height: int, level: int) -> None:
    looked = opened()
    assert looked.is_new(np.full((height, width, 3), level, np.uint8))
    assert looked.quality == ("dark" if level < 24 else "bright" if level > 231 else "flat")


def test_a_look_costs_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """On each frame of a camera with a sensor; of 1080p, a copy of 60 lines of it."""
    monkeypatch.setattr(inspection, "time", time)
    looked = opened()
    frames = [np.random.default_rng(seed).integers(0, 256, (1080, 1920, 3), np.uint8) for seed in range(2)]
    looked.is_new(frames[1])
    began_s = time.thread_time()
    for turn in range(100):
        looked.is_new(frames[turn % 2])
    assert (time.thread_time() - began_s) / 100 < 0.002
