import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from visiond.cameras.player import Player
from visiond.cameras.source import Pixels
from visiond.errors import CameraError

PATIENCE_S = 5.0


class Decoder:
    """Frames numbered from 0, each of which takes a while to decode; `decoded[n]` is set when frame n is ready."""

    def __init__(self, count: int, takes_s: float = 0.0) -> None:
        self.decoded = [threading.Event() for _ in range(count)]
        self._takes_s = takes_s

    def frames(self) -> Iterator[Pixels]:
        for number, event in enumerate(self.decoded):
            time.sleep(self._takes_s)
            event.set()
            yield np.full((4, 4, 3), number, np.uint8)


def next_stamp(player: Player) -> int | None:
    player.prefetch(None)
    return player.grab()


def play(player: Player) -> list[tuple[int, int]]:
    """Stamps and numbers of all frames."""
    played = []
    while (captured_ns := next_stamp(player)) is not None:
        frame = player.retrieve()
        assert frame is not None
        played.append((captured_ns, int(frame[0, 0, 0])))
    return played


def test_all_frames_come_in_order_and_then_the_end() -> None:
    player = Player(Decoder(20).frames(), 0, lambda: "test", {})
    assert [number for _, number in play(player)] == list(range(20))
    player.close()


def test_the_next_frame_is_decoded_while_this_one_is_worked_on() -> None:
    decoder = Decoder(3, takes_s=0.01)
    player = Player(decoder.frames(), 0, lambda: "test", {})
    next_stamp(player)
    assert decoder.decoded[1].wait(PATIENCE_S)  # nobody has asked for it yet
    assert not decoder.decoded[2].wait(0.05)  # one ahead, no more
    player.close()


def test_an_error_in_the_first_frame_is_raised_when_it_is_opened() -> None:
    def broken() -> Iterator[Pixels]:
        raise CameraError("nothing to play", "refused")
        yield

    with pytest.raises(CameraError, match="nothing to play"):
        Player(broken(), 0, lambda: "test", {})


def test_an_error_later_is_raised_where_the_frame_would_have_come() -> None:
    def breaks() -> Iterator[Pixels]:
        yield np.zeros((4, 4, 3), np.uint8)
        raise CameraError("torn out", "lost")

    player = Player(breaks(), 0, lambda: "test", {})
    assert next_stamp(player) is not None
    with pytest.raises(CameraError, match="torn out"):
        next_stamp(player)
    player.close()


def test_a_frame_is_where_it_is_wanted_before_it_is_due() -> None:
    player = Player(Decoder(2).frames(), 0, lambda: "test", {})
    wanted, too_small = np.empty((4, 4, 3), np.uint8), np.empty((2, 2, 3), np.uint8)
    player.prefetch(wanted)
    assert (wanted == 0).all()
    player.grab()
    assert player.retrieve(wanted) is wanted
    player.prefetch(too_small)
    player.grab()
    frame = player.retrieve(too_small)
    assert frame is not None
    assert (frame == 1).all()
    assert frame.shape == (4, 4, 3)
    player.close()
