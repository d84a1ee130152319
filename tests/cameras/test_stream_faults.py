"""Network cameras that fail, rows 11 to 13 of the fault table, through the real worker."""

from __future__ import annotations

import itertools
import re
import time
from collections.abc import Iterable, Iterator

import pytest

from cameras.camera_process import CameraProcess
from cameras.marked_pictures import jpeg_of, marked
from cameras.mjpeg_server import MjpegServer, live_pictures
from cameras.rtsp_camera import RtspCamera, why_missing
from cameras.scripted_server import Answer, ScriptedServer
from visiond.messages import CameraReport

pytestmark = pytest.mark.slow

LOST_S = 1.0
SILENT_S = 2.0
RESUME_S = 3.0
BUSY_MACHINE_S = 1.0  # on top of the bounds, where tests share a machine with others
OPENING_S = 5.0 + 3.0  # FFmpeg's time-out, and that of the question why
PASSWORD = "S3cr3t-w0rd"


@pytest.fixture
def rtsp_server() -> Iterator[RtspCamera]:
    reason = why_missing()
    if reason is not None:
        pytest.skip(reason)
    with RtspCamera() as server:
        yield server


def told_within(camera: CameraProcess, state: str, bound_s: float) -> CameraReport:
    began_s = time.monotonic()
    report = camera.until_state(state)
    assert time.monotonic() - began_s < bound_s + BUSY_MACHINE_S
    return report


def fresh_within(camera: CameraProcess, bound_s: float) -> None:
    """Wait for a frame that was made from now on."""
    began_s, began_ns = time.monotonic(), time.monotonic_ns()
    while camera.take()[0].captured_ns < began_ns:
        pass
    assert time.monotonic() - began_s < bound_s + BUSY_MACHINE_S


def test_fault_11_an_rtsp_server_that_vanishes_is_lost_and_found_again(rtsp_server: RtspCamera) -> None:
    with CameraProcess(rtsp_server.url()) as camera:
        camera.take()
        rtsp_server.kill()
        told_within(camera, "lost", LOST_S)
        absent = told_within(camera, "absent", RESUME_S)
        assert absent.reason is not None
        assert "refuses connections" in absent.reason
        assert absent.retry_in_s is not None
        assert absent.retry_in_s <= 1.8
        with RtspCamera(port=rtsp_server.port):
            fresh_within(camera, RESUME_S)


def test_fault_11_an_http_server_that_resets_the_connection_is_lost_and_found_again() -> None:
    def film(_: bytes) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        for picture in live_pictures():
            yield b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
            yield picture + b"\r\n"
            time.sleep(0.03)

    with ScriptedServer(film) as server, CameraProcess(server.url("http")) as camera:
        camera.take()
        server.reset()
        assert told_within(camera, "lost", LOST_S).reason == "127.0.0.1 ended the stream"
        fresh_within(camera, RESUME_S)


def test_fault_12_an_rtsp_server_that_falls_silent_is_lost_and_found_again(rtsp_server: RtspCamera) -> None:
    with CameraProcess(rtsp_server.url()) as camera:
        camera.take()
        rtsp_server.freeze()  # its connections stay open, and the kernel goes on acknowledging
        report = told_within(camera, "lost", SILENT_S)
        assert report.reason == "no frame from 127.0.0.1 for 2 s; check the network"
        absent = camera.until_state("absent")
        assert absent.reason is not None
        assert "does not answer" in absent.reason
        rtsp_server.go_on()
        fresh_within(camera, RESUME_S)


def test_fault_12_an_http_server_that_falls_silent_is_lost_and_found_again() -> None:
    with MjpegServer(live_pictures) as server, CameraProcess(server.url()) as camera:
        camera.take()
        server.silent.set()
        report = told_within(camera, "lost", SILENT_S)
        assert report.reason == "no frame from 127.0.0.1 for 2 s; check the network"
        server.silent.clear()
        fresh_within(camera, RESUME_S)


def sdp(codec: str) -> bytes:
    text = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cam\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 {codec}/90000\r\n"
    return f"Content-Type: application/sdp\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode()


def rtsp(describe: bytes) -> Answer:
    """Answer DESCRIBE so, which is a status line and what follows; everything else well."""

    def answer(head: bytes) -> list[bytes]:
        sequence = re.search(rb"CSeq: (\d+)", head)
        number = b"CSeq: " + (sequence[1] if sequence else b"1") + b"\r\n"
        if not head.startswith(b"DESCRIBE"):
            return [b"RTSP/1.0 200 OK\r\n" + number + b"Public: DESCRIBE, SETUP, PLAY\r\n\r\n"]
        status, _, rest = describe.partition(b"\r\n")
        return [status + b"\r\n" + number + rest]

    return answer


REFUSALS = {
    "rtsp 401": ("rtsp", rtsp(b'RTSP/1.0 401 No\r\nWWW-Authenticate: Basic realm="c"\r\n\r\n'), "password (401)"),
    "rtsp wrong codec": ("rtsp", rtsp(b"RTSP/1.0 200 OK\r\n" + sdp("AV2")), "offers AV2 video"),
    "rtsp garbage": ("rtsp", lambda _: [b"\0\xff{garbage}\r\n\r\n" * 50], "answers, but not in RTSP"),
    "rtsp redirects to itself for ever": ("rtsp", None, "sends us elsewhere"),
    "http 401": ("http", lambda _: [b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"], "password (401)"),
    "http garbage": ("http", lambda _: [b"\0\xff{garbage}\r\n\r\n" * 50], "answers, but not in HTTP"),
    "http redirects to itself for ever": ("http", None, "sends us elsewhere"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_fault_13_what_only_a_person_can_mend_is_told_without_the_password_and_tried_slowly(case: str) -> None:
    scheme, answer, words = REFUSALS[case]
    location = ""

    def elsewhere(head: bytes) -> Iterable[bytes]:
        redirect = f"302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        return rtsp(b"RTSP/1.0 " + redirect)(head) if scheme == "rtsp" else [b"HTTP/1.1 " + redirect]

    with ScriptedServer(answer or elsewhere) as server:
        location = server.url(scheme)
        with CameraProcess(server.url(scheme)) as camera:
            report = told_within(camera, "refused", OPENING_S)
            assert report.reason is not None
            assert report.reason.startswith(f"127.0.0.1:{server.port} ")
            assert words in report.reason
            assert report.retry_in_s == pytest.approx(30, abs=1)
            told = f"{camera.reports} {camera.output}"
            assert PASSWORD not in told


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png"])
def test_fault_13_a_snapshot_is_no_stream_and_is_refused(kind: str) -> None:
    picture = jpeg_of(marked(5))
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len(picture)}\r\nConnection: close\r\n\r\n"
    with MjpegServer(answer=head.encode() + picture) as server, CameraProcess(server.url()) as camera:
        report = told_within(camera, "refused", OPENING_S)
    assert report.reason is not None
    assert f"sends one picture ({kind}) and no stream; give the address of its video" in report.reason
    assert report.retry_in_s == pytest.approx(30, abs=1)


def test_a_stream_of_one_frame_is_lost_and_no_snapshot() -> None:
    with MjpegServer(lambda: itertools.islice(live_pictures(), 1)) as server, CameraProcess(server.url()) as camera:
        report = camera.until(lambda report: report.state in ("lost", "refused"))
    assert (report.state, report.reason) == ("lost", "127.0.0.1 ended the stream")
