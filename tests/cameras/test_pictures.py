import io
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from cameras.marked_pictures import jpeg_of, mark_of, marked
from visiond.cameras.environment import MAX_PIXELS
from visiond.cameras.pictures import FORMATS, PictureError, read_picture
from visiond.cameras.source import Camera, open_camera
from visiond.errors import CameraError

ENCODINGS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "webp": "WEBP", "ppm": "PPM"}


def encoded(kind: str, size: tuple[int, int] = (64, 48)) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, ENCODINGS[kind])
    return out.getvalue()


def frames_of(camera: Camera, limit: int = 1000) -> Iterator[NDArray[np.uint8]]:
    for _ in range(limit):
        camera.prefetch(None)
        if camera.grab() is None:
            return
        frame = camera.retrieve()
        assert frame is not None
        yield frame


def test_pictures_come_in_the_order_of_their_names_and_end(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        cv2.imwrite(str(tmp_path / f"{number}.png"), marked(number))
    (tmp_path / "README.txt").write_text("no picture, and no concern of the camera's")
    camera = open_camera(f"images:{tmp_path}", None, 0)
    assert [mark_of(frame) for frame in frames_of(camera)] == [1, 2, 3]
    assert camera.skipped == {}
    camera.close()


def test_loop_begins_again_and_sees_what_was_added(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), marked(1))
    camera = open_camera(f"images:{tmp_path}?loop=1", None, 0)
    assert [mark_of(frame) for frame in frames_of(camera, 3)] == [1, 1, 1]
    cv2.imwrite(str(tmp_path / "2.png"), marked(2))
    assert 2 in [mark_of(frame) for frame in frames_of(camera, 4)]
    camera.close()


def test_pictures_have_their_own_size_unless_one_is_asked(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), marked(1, (320, 240)))
    cv2.imwrite(str(tmp_path / "2.png"), marked(2, (160, 100)))
    own = open_camera(f"images:{tmp_path}", None, 0)
    assert [frame.shape for frame in frames_of(own)] == [(240, 320, 3), (100, 160, 3)]
    asked = open_camera(f"images:{tmp_path}", (200, 150), 0)
    frames = list(frames_of(asked))
    assert [frame.shape for frame in frames] == [(150, 200, 3)] * 2
    assert [mark_of(frame) for frame in frames] == [1, 2]


@pytest.mark.assets
def test_real_pictures_are_what_opencv_reads(assets: Path) -> None:
    for path in sorted((assets / "images").iterdir()):
        pixels, _ = read_picture(path)
        np.testing.assert_array_equal(pixels, cv2.imread(str(path)), err_msg=path.name)


@pytest.mark.parametrize("kind", ENCODINGS)
def test_every_truncated_picture_is_skipped_and_counted(tmp_path: Path, kind: str) -> None:
    whole = encoded(kind)
    good = tmp_path / f"good.{kind}"
    good.write_bytes(whole)
    expected, _ = read_picture(good)
    cut = tmp_path / f"cut.{kind}"
    for length in {*range(0, len(whole), max(1, len(whole) // 60)), len(whole) - 2}:
        cut.write_bytes(whole[:length])
        with suppress(PictureError):
            pixels, _ = read_picture(cut)  # then nothing that belongs to the picture was cut off
            np.testing.assert_array_equal(pixels, expected, err_msg=f"{kind} cut at {length} of {len(whole)}")


def test_broken_pictures_are_counted_by_reason(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_of(marked(1))[:-400])
    (tmp_path / "b.png").write_bytes(b"no picture at all")
    (tmp_path / "c.png").write_bytes(b"")
    (tmp_path / "d.bmp").write_bytes(bomb())
    cv2.imwrite(str(tmp_path / "e.png"), marked(7))
    camera = open_camera(f"images:{tmp_path}", None, 0)
    assert [mark_of(frame) for frame in frames_of(camera)] == [7]
    assert camera.skipped == {"truncated": 1, "unreadable": 2, "too_large": 1}


def bomb() -> bytes:
    """A BMP of 54 bytes that claims 60,000 × 60,000 pixels."""
    head = bytearray(encoded("bmp")[:54])
    head[18:22] = head[22:26] = (60_000).to_bytes(4, "little")
    return bytes(head)


def test_a_picture_bomb_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    side = int(MAX_PIXELS**0.5) + 1
    Image.new("1", (side, side)).save(path)
    assert path.stat().st_size < 100_000
    with pytest.raises(PictureError, match="too_large"):
        read_picture(path)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=st.sampled_from(sorted(ENCODINGS)), flips=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 255))))
def test_flipped_bytes_give_a_picture_or_a_reason(tmp_path: Path, kind: str, flips: list[tuple[int, int]]) -> None:
    content = bytearray(encoded(kind, (32, 24)))
    for position, mask in flips:
        content[position % len(content)] ^= mask
    path = tmp_path / f"flipped.{kind}"
    path.write_bytes(content)
    with suppress(PictureError):
        pixels, form = read_picture(path)
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        assert form.upper() in FORMATS


def test_16_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    ramp = np.arange(0, 65536, 256, np.uint16).reshape(16, 16)
    assert cv2.imwrite(str(path), ramp)
    pixels, _ = read_picture(path)
    np.testing.assert_array_equal(pixels, np.repeat((ramp >> 8)[..., None], 3, axis=2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_kind_of_pixel_becomes_blue_green_red(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    Image.new("RGB", (8, 6), (255, 255, 255)).convert(mode).save(path)
    pixels, _ = read_picture(path)
    assert pixels.shape == (6, 8, 3)
    assert pixels.min() > 250


def test_a_photo_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # hold the camera upright: turn by 90 degrees clockwise
    Image.new("RGB", (40, 20)).save(path, exif=exif)
    assert read_picture(path)[0].shape == (40, 20, 3)


@pytest.mark.parametrize(
    ("make", "state", "words"),
    [
        (lambda _: None, "absent", "No such file"),
        (lambda folder: folder.write_text(""), "absent", "Not a directory"),
        (lambda folder: folder.mkdir(), "refused", "no picture in the folder"),
        (
            lambda folder: (folder.mkdir(), (folder / "a.png").write_text("x"), (folder / "b.jpg").write_text("")),
            "refused",
            "no picture in it can be read (2 unreadable)",
        ),
        (lambda folder: (folder.mkdir(), os.mkfifo(folder / "a.png")), "refused", "no picture in the folder"),
    ],
)
def test_a_folder_that_gives_nothing_is_an_error_in_words(tmp_path: Path, make: object, state: str, words: str) -> None:
    folder = tmp_path / "pictures"
    make(folder)  # type: ignore[operator]
    with pytest.raises(CameraError) as error:
        open_camera(f"images:{folder}", None, 0)
    assert error.value.state == state
    assert words in str(error.value)
    assert str(folder) in str(error.value)
