"""Turns: each camera has its share, and the accelerator's parameters are not swapped more often than they must be."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.engine.turns import MAX_TURNS, SWAP_SHARE, Seat, Turns, turns_per_round

CAMERAS = {"a": "cats", "b": "cats", "c": "dogs", "d": "dogs"}


class Queue:
    """Cameras, and when each of their frames was last taken: the clock counts turns."""

    def __init__(self, models: dict[str, str], per_round: int = 1) -> None:
        self.turns = Turns()
        self.turns.turns_per_round = per_round
        self.models = models
        self.taken_at = dict.fromkeys(models, 0)
        self.now = 0

    def take(self, waiting: Sequence[str] | None = None) -> str:
        """One turn, while these have a frame: all of them unless given."""
        self.now += 1
        seats = [Seat(name, self.models[name], self.taken_at[name]) for name in waiting or self.models]
        seat = self.turns.choose(seats)
        assert seat is not None
        assert seat in seats
        self.turns.took(seat)
        self.taken_at[seat.camera] = self.now
        return seat.camera


def swaps(taken: str) -> int:
    return sum(CAMERAS[one] != CAMERAS[other] for one, other in itertools.pairwise(taken))


def test_nobody_waits() -> None:
    assert Turns().choose([]) is None


def test_who_waits_longest_is_first() -> None:
    assert Turns().choose([Seat("a", "m", 30), Seat("b", "m", 10), Seat("c", "m", 20)]) == Seat("b", "m", 10)


def test_a_frame_that_was_not_there_costs_nobody_a_turn() -> None:
    turns = Turns()
    first, second = Seat("a", "m", 1), Seat("b", "m", 2)
    assert turns.choose([first, second]) == first
    assert turns.choose([second]) == second  # a's frame was gone: it was not taken
    turns.took(second)
    assert turns.choose([first, Seat("b", "m", 3)]) == first


def test_two_models_change_once_in_a_round() -> None:
    queue = Queue(CAMERAS)
    taken = "".join(queue.take() for _ in range(16))
    assert taken == "abcd" + "cdab" + "abcd" + "cdab"
    assert swaps(taken) == 4


def test_several_turns_in_a_round_share_its_swap() -> None:
    queue = Queue(CAMERAS, per_round=3)
    taken = "".join(queue.take() for _ in range(24))
    assert taken == "ababab" + "cdcdcd" + "cdcdcd" + "ababab"
    assert swaps(taken) == 2


def test_a_turn_is_never_left_out_while_somebody_waits() -> None:
    queue = Queue(CAMERAS)
    assert [queue.take(["a"]) for _ in range(5)] == ["a"] * 5
    assert queue.take(["a", "c"]) == "c", "who had no turn comes next"


def test_a_slow_camera_gets_every_one_of_its_frames() -> None:
    queue = Queue(CAMERAS)
    waiting_since, longest = 0, 0
    for turn in range(1, 200):
        slow_waits = waiting_since > 0 or turn % 10 == 0
        if turn % 10 == 0:
            waiting_since = turn
        if queue.take(["a", "b", "c", *(["d"] if slow_waits else [])]) == "d":
            longest = max(longest, turn - waiting_since)
            waiting_since = 0
    assert longest <= 6


@pytest.mark.parametrize("per_round", [1, 2, MAX_TURNS])
def test_four_cameras_have_a_quarter_each(per_round: int) -> None:
    queue = Queue(CAMERAS, per_round)
    counts = Counter(queue.take() for _ in range(400))
    assert all(abs(count - 100) <= 5 for count in counts.values()), counts


names = st.text("abcdefgh", min_size=1, max_size=2)


@given(
    st.dictionaries(names, st.sampled_from(["m", "n", "o"]), min_size=1, max_size=6),
    st.integers(1, MAX_TURNS),
    st.data(),
)
def test_nobody_waits_for_more_than_two_rounds(models: dict[str, str], per_round: int, data: st.DataObject) -> None:
    queue, waiting = Queue(models, per_round), dict.fromkeys(models, 0)
    for _ in range(40):
        rested = data.draw(st.sets(st.sampled_from(sorted(models)), max_size=len(models) - 1))
        here = [name for name in models if name not in rested or waiting[name]]
        taken = queue.take(here)
        for name in here:
            waiting[name] = 0 if name == taken else waiting[name] + 1
            assert waiting[name] < 2 * len(models) * per_round


@pytest.mark.parametrize(
    ("swap_ms", "invokes_ms", "expected"),
    [(0, 20, 1), (5, 0, 1), (5, 20, 1), (10, 20, 2), (10, 5, 8), (100, 5, MAX_TURNS), (-1, 5, 1)],
)
def test_a_dear_swap_makes_longer_rounds(swap_ms: float, invokes_ms: float, expected: int) -> None:
    assert turns_per_round(swap_ms, invokes_ms) == expected


@given(st.floats(0.001, 1e4), st.floats(0.001, 1e4))
def test_swapping_takes_its_share_at_most_unless_the_others_would_wait_too_long(
    swap_ms: float, invokes_ms: float
) -> None:
    turns = turns_per_round(swap_ms, invokes_ms)
    assert 1 <= turns <= MAX_TURNS
    share = swap_ms / (swap_ms + turns * invokes_ms)
    assert share <= SWAP_SHARE + 1e-9 or turns == MAX_TURNS
