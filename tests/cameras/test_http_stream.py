"""Motion JPEG over HTTP, from a real server, through the real worker."""

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from cameras.camera_process import CameraProcess
from cameras.marked_pictures import age_ms, jpeg_of, mark_of, marked, now_ms
from cameras.mjpeg_server import MjpegServer, live_pictures, numbered_pictures
from visiond.cameras.address import SourceAddress
from visiond.cameras.stream import open_stream
from visiond.errors import CameraError

LATE_MS = 400  # measured: 2; so that a busy machine does not fail the test, and still far below a backlog


def test_frames_arrive_fresh_and_in_order() -> None:
    with MjpegServer(fps=50) as server, CameraProcess(server.url()) as camera:
        taken = [camera.take() for _ in range(20)]
        report = camera.until(lambda report: report.fps is not None)
    ages = [age_ms(pixels, header.captured_ns) for header, pixels in taken]
    assert all(0 <= age < LATE_MS for age in ages), ages
    assert [header.frame for header, _ in taken] == sorted({header.frame for header, _ in taken})
    assert (report.format, report.size) == ("MJPG", (320, 240))
    assert report.skipped == {}


def test_a_reader_that_was_away_gets_what_is_new_and_not_what_has_waited() -> None:
    """The camera alone, without the worker's ring: nobody reads it for a second, sockets on the way fill up."""
    with MjpegServer(fps=50) as server:
        camera = open_stream(SourceAddress.parse(server.url()), None, None)
        try:
            camera.grab()
            threading.Event().wait(1.0)  # this is the fault: a decoder or a machine that stood still
            captured_ns = camera.grab()
            now_ns = time.monotonic_ns()
            frame = camera.retrieve()
            assert captured_ns is not None
            assert frame is not None
            assert now_ns - captured_ns < LATE_MS * 1_000_000
            assert age_ms(frame, now_ns) < LATE_MS
        finally:
            camera.close()


def test_fps_thins_a_faster_stream() -> None:
    with MjpegServer(fps=60) as server, CameraProcess(server.url(), fps=10) as camera:
        stamps = [camera.take()[0].captured_ns for _ in range(8)]
    assert 0.6 < (stamps[-1] - stamps[0]) / 1e9 < 3  # 7 periods of 100 ms


def test_size_is_what_comes_though_the_stream_has_another() -> None:
    with MjpegServer(numbered_pictures) as server, CameraProcess(server.url(), size=(160, 120)) as camera:
        header, pixels = camera.take()
    assert (header.width, header.height) == (160, 120)
    assert mark_of(pixels) < 200


def test_a_stream_that_changes_its_size_goes_on_in_the_new_one() -> None:
    def growing() -> Iterator[bytes]:
        yield from itertools.islice(live_pictures((160, 120)), 15)
        yield from live_pictures((640, 480))

    with MjpegServer(growing, fps=30) as server, CameraProcess(server.url()) as camera:
        assert camera.take()[0].width == 160
        report = camera.until(lambda report: report.size == (640, 480))
        header, pixels = camera.take()
    assert report.state == "streaming"
    assert (header.width, header.height) == (640, 480)
    assert age_ms(pixels, header.captured_ns) < LATE_MS


def test_a_server_that_hangs_up_is_a_lost_camera_that_comes_back() -> None:
    def ten() -> Iterator[bytes]:
        return itertools.islice(live_pictures(), 10)

    with MjpegServer(ten, fps=50) as server, CameraProcess(server.url()) as camera:
        last = camera.take()[0].frame
        report = camera.until_state("lost")
        assert report.reason == "127.0.0.1 ended the stream"
        assert report.retry_in_s is not None
        assert report.retry_in_s <= 2.4
        camera.until_state("streaming")
        header, pixels = camera.take()
        assert header.frame > last
        assert age_ms(pixels, header.captured_ns) < LATE_MS


def test_a_server_that_falls_silent_is_a_lost_camera_within_its_deadline() -> None:
    silent_ms: list[int] = []

    def stalls() -> Iterator[bytes]:
        yield from itertools.islice(live_pictures(), 10)
        silent_ms.append(now_ms())
        threading.Event().wait(10)  # this is the fault

    with MjpegServer(stalls, fps=50) as server, CameraProcess(server.url()) as camera:
        report = camera.until_state("lost")
        waited_ms = now_ms() - silent_ms[0] & 0xFFFF
    assert report.reason == "no frame from 127.0.0.1 for 2 s; check the network"
    assert 1500 < waited_ms < 4000


def test_broken_pictures_among_good_ones_are_skipped_and_counted() -> None:
    def some_broken() -> Iterator[bytes]:
        for number in itertools.count():
            whole = jpeg_of(marked(number))
            yield {3: whole[: len(whole) // 2], 5: b"garbage" * 500, 7: b"", 9: whole[:-2]}.get(number % 12, whole)

    with MjpegServer(some_broken, fps=100) as server, CameraProcess(server.url()) as camera:
        marks = [mark_of(camera.take()[1]) for _ in range(40)]
        report = camera.until(lambda report: bool(report.skipped))
    assert not {mark % 12 for mark in marks} & {3, 5, 7, 9}
    assert report.state == "streaming"
    assert report.skipped is not None
    assert set(report.skipped) == {"corrupt"}


def test_user_and_password_are_given_when_they_are_asked_for() -> None:
    protected = MjpegServer(user_password=("user", "pass@word/1"))
    with protected as server, CameraProcess(server.url("user:pass%40word%2F1")) as camera:
        camera.take()


def refusal(server: MjpegServer, credentials: str = "") -> CameraError:
    with pytest.raises(CameraError) as caught:
        open_stream(SourceAddress.parse(server.url(credentials)), None, None)
    return caught.value


@pytest.mark.parametrize(
    ("server", "credentials", "state", "words"),
    [
        ({"user_password": ("user", "right")}, "user:wrong", "refused", "does not accept this user and password (401)"),
        ({"user_password": ("user", "right")}, "", "refused", "asks for a user and a password (401)"),
        ({"status": 404}, "", "refused", "nothing at this path (404)"),
        ({"status": 503}, "", "absent", "fault of its own (status 503)"),
        ({"status": 418}, "", "refused", "status 418"),
        ({"kind": "text/html", "pictures": lambda: iter([b"<html>"])}, "", "refused", "sends text/html"),
        ({"answer": b"SSH-2.0-OpenSSH_9.2\r\n"}, "", "refused", "not in HTTP"),
        ({"answer": b""}, "", "refused", "not in HTTP"),
        ({"answer": b"HTTP/1.1 302 Found\r\nLocation: /cam.mjpg\r\n\r\n"}, "", "refused", "(302)"),
        ({"pictures": lambda: iter([])}, "", "absent", "no picture came"),
    ],
)
def test_a_stream_that_does_not_open_says_why(server: dict, credentials: str, state: str, words: str) -> None:  # type: ignore[type-arg]
    with MjpegServer(**server) as camera:
        error = refusal(camera, credentials)
        assert words in str(error)
        assert error.state == state
        assert f"127.0.0.1:{camera.port}" in str(error)
        assert "wrong" not in str(error)
        # Asking why sends no password: only FFmpeg, which was refused, had one.
        assert "Authorization" not in camera.requests[-1]


def test_a_server_that_is_not_there_says_so() -> None:
    with MjpegServer() as gone:
        url = gone.url()
    with pytest.raises(CameraError, match="refuses connections; is its server on") as caught:
        open_stream(SourceAddress.parse(url), None, None)
    assert caught.value.state == "absent"


def test_a_host_without_an_address_says_so() -> None:
    with pytest.raises(CameraError, match=r"camera\.invalid is not a known host") as caught:
        open_stream(SourceAddress.parse("http://camera.invalid/cam"), None, None)
    assert caught.value.state == "absent"
