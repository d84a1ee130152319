import os
from itertools import pairwise
from pathlib import Path

import cv2
import pytest

from cameras.marked_pictures import mark_of, marked
from visiond.cameras.files import FALLBACK_FPS
from visiond.cameras.source import Camera, open_camera
from visiond.errors import CameraError


def make_video(path: Path, count: int, fps: float = 50, size: tuple[int, int] = (320, 240)) -> Path:
    """A Motion JPEG video whose frames are numbered from 0."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    assert writer.isOpened()
    for number in range(count):
        writer.write(marked(number, size))
    writer.release()
    return path


def grab(camera: Camera) -> int | None:
    camera.prefetch(None)
    return camera.grab()


def play(source: str, size: tuple[int, int] | None = None, fps: float | None = 0, limit: int = 1000) -> list[int]:
    camera = open_camera(source, size, fps)
    marks = []
    while len(marks) < limit and grab(camera) is not None:
        frame = camera.retrieve()
        assert frame is not None
        marks.append(mark_of(frame))
    camera.close()
    return marks


def test_every_frame_of_a_video_is_played_once_in_order(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.avi", 40)
    assert play(f"file:{video}") == list(range(40))


def test_loop_begins_again(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.avi", 3)
    assert play(f"file:{video}?loop=1", limit=8) == [0, 1, 2, 0, 1, 2, 0, 1]


@pytest.mark.parametrize(("fps", "period_ms"), [(None, 20), (100, 10), (25, 40)])
def test_a_video_plays_at_its_own_rate_unless_one_is_asked(tmp_path: Path, fps: float | None, period_ms: int) -> None:
    camera = open_camera(f"file:{make_video(tmp_path / 'clip.avi', 15, fps=50)}", None, fps)
    stamps = [grab(camera) or 0 for _ in range(15)]
    camera.close()
    average_ms = (stamps[-1] - stamps[0]) / 14 / 1e6
    assert 0.9 * period_ms < average_ms < 1.8 * period_ms  # a busy machine may be late, never early
    assert all(later > earlier for earlier, later in pairwise(stamps))


def test_a_size_that_is_asked_is_what_comes(tmp_path: Path) -> None:
    camera = open_camera(f"file:{make_video(tmp_path / 'clip.avi', 2)}", (100, 60), 0)
    grab(camera)
    frame = camera.retrieve()
    assert frame is not None
    assert frame.shape == (60, 100, 3)
    assert camera.format == "MJPG"
    camera.close()


def test_a_file_of_no_rate_plays_at_the_fallback(tmp_path: Path) -> None:
    picture = tmp_path / "still.jpg"
    cv2.imwrite(str(picture), marked(9))
    assert play(f"file:{picture}") == [9]
    assert FALLBACK_FPS > 0


def fifo(folder: Path) -> Path:
    path = folder / "fifo.avi"
    os.mkfifo(path)
    return path


def header_only(folder: Path) -> Path:
    return make_video(folder / "empty.avi", 0)


def cut_short(folder: Path) -> Path:
    path = make_video(folder / "cut.avi", 5)
    path.write_bytes(path.read_bytes()[:300])
    return path


def text_file(folder: Path) -> Path:
    path = folder / "notes.mp4"
    path.write_text("not a video " * 500)
    return path


@pytest.mark.parametrize(
    ("make", "state", "words"),
    [
        (lambda folder: folder / "missing.mp4", "absent", "No such file"),
        (lambda folder: folder, "refused", "not a file"),
        (fifo, "refused", "not a file"),  # reading it might wait for ever
        (header_only, "refused", "no frame that can be decoded"),
        (cut_short, "refused", "video"),
        (text_file, "refused", "not a video"),
    ],
)
@pytest.mark.parametrize("loop", ["", "?loop=1"])
def test_what_is_no_video_is_an_error_in_words(tmp_path: Path, make: object, state: str, words: str, loop: str) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    with pytest.raises(CameraError) as error:
        open_camera(f"file:{path}{loop}", None, 0)
    assert error.value.state == state
    assert words in str(error.value)
    assert str(path) in str(error.value)


def test_a_video_cut_in_the_middle_gives_the_frames_before_the_cut(tmp_path: Path) -> None:
    video = make_video(tmp_path / "cut.avi", 30)
    content = video.read_bytes()
    video.write_bytes(content[: len(content) // 2])
    marks = play(f"file:{video}")
    assert 10 <= len(marks) <= 16
    assert marks[:10] == list(range(10))
