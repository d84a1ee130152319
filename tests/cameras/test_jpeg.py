import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cameras.marked_pictures import jpeg_of, mark_of, marked
from visiond.cameras import jpeg

WHOLE = jpeg_of(marked(0b1010_0110_0011_0101, (160, 64)))


def decode(packet: bytes) -> jpeg.Pixels | None:
    return jpeg.decode(np.frombuffer(packet, np.uint8))


def test_a_whole_picture_is_a_frame() -> None:
    frame = decode(WHOLE)
    assert frame is not None
    assert frame.shape == (64, 160, 3)
    assert mark_of(frame) == 0b1010_0110_0011_0101


def test_fault_05_a_picture_that_is_cut_short_anywhere_gives_none() -> None:
    assert [length for length in range(len(WHOLE)) if decode(WHOLE[:length]) is not None] == []


@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"\x80"])
def test_fault_05_a_picture_whose_end_never_came_gives_none(filler: bytes) -> None:
    """The buffer keeps its length; what was not transferred is filled."""
    for length in range(0, len(WHOLE), 7):
        assert decode(WHOLE[:length].ljust(len(WHOLE) + 100, filler)) is None


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=20))
def test_fault_05_flipped_bits_give_a_frame_or_none_and_never_an_error(flips: list[tuple[int, int]]) -> None:
    packet = bytearray(WHOLE)
    for place, bits in flips:
        packet[place] ^= bits
    frame = decode(bytes(packet))
    assert frame is None or (frame.ndim == 3 and frame.dtype == np.uint8 and frame.shape[2] == 3)


@given(st.binary(max_size=400))
def test_fault_05_garbage_gives_none(packet: bytes) -> None:
    assert decode(packet) is None
    assert decode(b"\xff\xd8" + packet + b"\xff\xd9") is None


def test_line_ends_and_zeros_behind_the_end_belong_to_no_fault() -> None:
    for padding in (b"\r\n", bytes(40)):
        frame = decode(WHOLE + padding)
        assert frame is not None
        np.testing.assert_array_equal(frame, cv2.imdecode(np.frombuffer(WHOLE, np.uint8), cv2.IMREAD_COLOR))
