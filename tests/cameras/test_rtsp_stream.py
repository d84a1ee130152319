"""RTSP from GStreamer's server, through the real worker."""

import time
from itertools import pairwise

import pytest

from cameras.camera_process import CameraProcess
from cameras.marked_pictures import age_ms
from cameras.rtsp_camera import PASSWORD, USER, RtspCamera, why_missing
from visiond.cameras.address import SourceAddress
from visiond.cameras.stream import open_stream
from visiond.errors import CameraError

LATE_MS = 400  # measured: 37, of which the server's encoder takes one period of 33; a backlog would be 500 and more


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _server_installed() -> None:
    reason = why_missing()
    if reason is not None:
        pytest.skip(reason)


@pytest.mark.parametrize(
    ("codec", "auth", "form"), [("h264", "none", "h264"), ("h264", "digest", "h264"), ("jpeg", "basic", "MJPG")]
)
def test_frames_arrive_fresh_and_in_order(codec: str, auth: str, form: str) -> None:
    credentials = "" if auth == "none" else f"{USER}:{PASSWORD}"
    with RtspCamera(codec, auth=auth) as server, CameraProcess(server.url(credentials)) as camera:
        taken = [camera.take() for _ in range(20)]
        report = camera.until(lambda report: report.fps is not None)
    ages = [age_ms(pixels, header.captured_ns) for header, pixels in taken]
    assert all(-5 <= age < LATE_MS for age in ages), ages
    stamps = [header.captured_ns for header, _ in taken]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert report.fps is not None
    assert 5 < report.fps < 40
    assert (report.format, report.size) == (form, (640, 480))


def test_a_reader_that_was_away_gets_what_is_new_and_not_what_has_waited() -> None:
    with RtspCamera() as server:
        camera = open_stream(SourceAddress.parse(server.url()), None, None)
        try:
            for _ in range(30):
                camera.grab()  # its clock learns how long a frame is on its way
            time.sleep(1.0)  # this is the fault: a machine that stood still
            captured_ns = camera.grab()
            frame = camera.retrieve()
            assert captured_ns is not None
            assert frame is not None
            assert age_ms(frame, time.monotonic_ns()) < LATE_MS
            assert age_ms(frame, captured_ns) < LATE_MS
        finally:
            camera.close()


def test_fps_thins_and_size_resizes() -> None:
    with RtspCamera() as server, CameraProcess(server.url(), size=(320, 240), fps=10) as camera:
        headers = [camera.take()[0] for _ in range(6)]
    assert {(header.width, header.height) for header in headers} == {(320, 240)}
    assert 0.4 < (headers[-1].captured_ns - headers[0].captured_ns) / 1e9 < 3  # 5 periods of 100 ms


def test_a_server_that_dies_is_lost_at_once_and_its_successor_is_found() -> None:
    with RtspCamera() as server, CameraProcess(server.url()) as camera:
        camera.take()
        server.kill()
        killed_s = time.monotonic()
        camera.until_state("lost")
        assert time.monotonic() - killed_s < 1.5
        report = camera.until_state("absent")
        assert report.reason == f"127.0.0.1:{server.port} refuses connections; is its server on, and the port right?"
        with RtspCamera(port=server.port):
            camera.until_state("streaming")
            header, pixels = camera.take()
            assert age_ms(pixels, header.captured_ns) < LATE_MS


def test_a_server_that_falls_silent_is_lost_within_its_deadline() -> None:
    with RtspCamera() as server, CameraProcess(server.url()) as camera:
        camera.take()
        server.freeze()
        frozen_s = time.monotonic()
        report = camera.until_state("lost")
        waited_s = time.monotonic() - frozen_s
    assert report.reason == "no frame from 127.0.0.1 for 2 s; check the network"
    assert 1.5 < waited_s < 4


@pytest.mark.parametrize(
    ("codec", "auth", "credentials", "path", "words"),
    [
        ("h264", "basic", "user:wrong", "/cam", "does not accept this user and password (401)"),
        ("h264", "digest", "user:wrong", "/cam", "does not accept this user and password (401)"),
        ("h264", "basic", "", "/cam", "asks for a user and a password (401); write rtsp://USER:PASSWORD@"),
        ("h264", "none", "", "/other", "nothing at this path (404)"),
    ],
)
def test_a_stream_that_does_not_open_says_why(codec: str, auth: str, credentials: str, path: str, words: str) -> None:
    with RtspCamera(codec, auth=auth) as server, pytest.raises(CameraError) as caught:
        open_stream(SourceAddress.parse(server.url(credentials, path)), None, None)
    assert words in str(caught.value)
    assert caught.value.state == "refused"
