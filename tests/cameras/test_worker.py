"""The real camera worker, a process of its own, on a real channel."""

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from cameras.camera_process import SOURCE_ROOT, CameraProcess
from cameras.marked_pictures import jpeg_of, mark_of, marked
from cameras.mjpeg_server import MjpegServer
from visiond.frames import FrameHeader


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty numbered pictures."""
    path = tmp_path / "pictures"
    path.mkdir()
    for number in range(20):
        cv2.imwrite(str(path / f"{number:02}.png"), marked(number))
    return path


def test_with_fps_0_the_engine_sets_the_pace_and_nothing_is_lost(folder: Path) -> None:
    (folder / "05a.jpg").write_bytes(jpeg_of(marked(5))[:-300])
    with CameraProcess(f"images:{folder}", fps=0) as camera:
        taken = []
        for _ in range(20):
            header, pixels = camera.take()
            taken.append((header.frame, mark_of(pixels)))
        assert taken == [(number + 1, number) for number in range(20)]
        report = camera.until_state("ended")
        counters, waiting = camera.totals()
    assert report.reason is not None
    assert "loop=1" in report.reason
    assert report.skipped == {"truncated": 1}
    assert report.size == (320, 240)
    assert report.format == "png"
    assert (counters.captured, counters.superseded, counters.taken, waiting) == (20, 0, 20, 0)


def test_a_slow_reader_gets_the_newest_frame_and_every_other_is_counted(folder: Path) -> None:
    with CameraProcess(f"images:{folder}?loop=1", fps=100) as camera:
        frames: list[FrameHeader] = []
        for _ in range(5):
            camera.wait_captured(20 * (len(frames) + 1))
            asked_ns = time.monotonic_ns()
            header, pixels = camera.take()
            assert mark_of(pixels) == (header.frame - 1) % 20
            assert asked_ns - header.captured_ns < 500_000_000
            frames.append(header)
            counters, waiting = camera.totals()
            assert counters.captured == counters.superseded + counters.taken + waiting
            assert waiting in (0, 1)
    assert counters.taken == 5
    assert counters.superseded > 50
    assert all(later.frame - earlier.frame >= 10 for earlier, later in pairwise(frames))


def test_stamps_are_the_moments_of_playing(folder: Path) -> None:
    with CameraProcess(f"images:{folder}?loop=1", fps=20) as camera:
        stamps = [camera.take()[0].captured_ns for _ in range(10)]
        report = camera.until(lambda report: report.fps is not None)
    periods_ms = [(later - earlier) / 1e6 for earlier, later in pairwise(stamps)]
    assert min(periods_ms) > 0
    assert 0.43 < (stamps[-1] - stamps[0]) / 1e9 < 2  # 9 periods of 50 ms; a busy machine may be late, never early
    assert report.fps is not None
    assert 5 < report.fps < 22


@pytest.mark.parametrize(
    ("rotate", "turn"),
    [(0, None), (90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180), (270, cv2.ROTATE_90_COUNTERCLOCKWISE)],
)
def test_rotate_turns_clockwise(tmp_path: Path, rotate: int, turn: int | None) -> None:
    picture = np.random.default_rng(3).integers(0, 256, (30, 50, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    cv2.imwrite(str(tmp_path / "b.png"), picture[:20])
    with CameraProcess(f"images:{tmp_path}", fps=0, rotate=rotate) as camera:
        taken = [camera.take()[1] for _ in range(2)]
        report = camera.until_state("ended")
    expected = [image if turn is None else cv2.rotate(image, turn) for image in (picture, picture[:20])]
    for pixels, image in zip(taken, expected, strict=True):
        np.testing.assert_array_equal(pixels, image)
    assert report.size == (expected[1].shape[1], expected[1].shape[0])


def test_frames_that_grow_get_a_larger_ring_and_none_is_lost(tmp_path: Path) -> None:
    sizes = [(64, 48), (64, 48), (32, 24), (200, 100), (100, 200), (320, 240), (16, 16)]
    for number, size in enumerate(sizes):
        cv2.imwrite(str(tmp_path / f"{number}.png"), marked(number, size))
    with CameraProcess(f"images:{tmp_path}", fps=0) as camera:
        taken = [camera.take() for _ in sizes]
        counters, waiting = camera.totals()
    assert [(header.width, header.height) for header, _ in taken] == sizes
    assert [mark_of(pixels) for _, pixels in taken] == list(range(len(sizes)))
    assert camera.rings == 3  # 64×48, 200×100 (100×200 fits), 320×240
    assert [header.frame for header, _ in taken] == list(range(1, len(sizes) + 1))
    assert (counters.captured, counters.superseded, counters.taken, waiting) == (len(sizes), 0, len(sizes), 0)


def test_a_size_that_is_asked_is_what_comes(folder: Path) -> None:
    with CameraProcess(f"images:{folder}", size=(100, 60), fps=0) as camera:
        header, pixels = camera.take()
    assert (header.width, header.height) == (100, 60)
    assert mark_of(pixels) == 0


def test_a_video_is_played_to_its_end(tmp_path: Path) -> None:
    video = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for number in range(12):
        writer.write(marked(number))
    writer.release()
    with CameraProcess(f"file:{video}", fps=0) as camera:
        assert [mark_of(camera.take()[1]) for _ in range(12)] == list(range(12))
        assert camera.until_state("ended").format == "MJPG"


def test_the_synthetic_camera_plays_like_the_others() -> None:
    with CameraProcess("synthetic:shapes", size=(320, 240), fps=50) as camera:
        headers = [camera.take()[0] for _ in range(5)]
        report = camera.until_state("streaming")
        assert camera.output == ""
    assert {(header.width, header.height) for header in headers} == {(320, 240)}
    assert report.size == (320, 240)


def test_a_camera_that_is_absent_is_tried_again_until_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with CameraProcess(f"images:{folder}", fps=0) as camera:
        first = camera.until_state("absent")
        assert first.reason is not None
        assert str(folder) in first.reason
        assert first.retry_in_s is not None
        assert 0 < first.retry_in_s <= 0.6
        folder.mkdir()
        cv2.imwrite(str(folder / "1.png"), marked(1))
        appeared_s = time.monotonic()
        camera.take()
        assert time.monotonic() - appeared_s < 3
        camera.until(lambda report: report.state in ("streaming", "ended") and report.reason != first.reason)


def test_what_only_a_person_can_mend_is_tried_again_slowly(tmp_path: Path) -> None:
    with CameraProcess(f"images:{tmp_path}", fps=0) as camera:
        report = camera.until_state("refused")
    assert report.retry_in_s == pytest.approx(30, abs=1)
    assert report.reason is not None
    assert "no picture in the folder" in report.reason


def test_reports_come_about_once_a_second(folder: Path) -> None:
    with CameraProcess(f"images:{folder}?loop=1", fps=50) as camera:
        camera.until_state("streaming")
        count = len(camera.reports)
        started_s = time.monotonic()
        while len(camera.reports) < count + 2:
            camera.until(lambda _: True)
        assert 1 <= time.monotonic() - started_s < 5


def test_the_worker_ends_when_its_parent_hangs_up(folder: Path) -> None:
    with CameraProcess(f"images:{folder}?loop=1", fps=50) as camera:
        camera.take()
        camera.hang_up()
        assert camera.process.wait(2) == 0
        assert camera.output == ""


def test_the_worker_ends_even_while_a_read_of_the_camera_hangs() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with CameraProcess(f"http://127.0.0.1:{silent.getsockname()[1]}/cam") as camera:
            connection, _ = silent.accept()
            assert connection.recv(4096).startswith(b"GET")  # FFmpeg now waits for an answer
            camera.hang_up()
            assert camera.process.wait(2) == 0
        connection.close()


def test_the_worker_does_not_outlive_a_parent_that_is_killed(folder: Path) -> None:
    script = (
        "import sys, time; sys.path[:0] = sys.argv[1:3]\n"
        "from cameras.camera_process import CameraProcess\n"
        "camera = CameraProcess(sys.argv[3], fps=50); camera.take()\n"
        "print(camera.process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(SOURCE_ROOT), str(Path(__file__).parents[1]), f"images:{folder}?loop=1"],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    worker = os.pidfd_open(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert select.select([worker], [], [], 5)[0], "the worker still runs"
    os.close(worker)


def test_ctrl_c_is_left_to_the_parent(folder: Path) -> None:
    with CameraProcess(f"images:{folder}?loop=1", fps=50) as camera:
        camera.take()
        camera.process.send_signal(signal.SIGINT)
        before = camera.take()[0].frame
        assert camera.take()[0].frame > before


def test_a_stream_that_is_all_garbage_is_given_up_and_tried_again() -> None:
    def broken() -> Iterator[bytes]:
        yield jpeg_of(marked(1))
        while True:
            yield jpeg_of(marked(2))[:1000]

    with MjpegServer(broken, fps=100) as server, CameraProcess(server.url()) as camera:
        report = camera.until_state("lost")
    assert report.reason is not None
    assert "30 frames in a row were broken" in report.reason
    assert report.skipped is not None
    assert report.skipped["corrupt"] >= 30
