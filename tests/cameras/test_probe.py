"""What a server answers, read as a reason. The answers are scripted; nothing of FFmpeg is needed."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiond.cameras import probe
from visiond.cameras.address import SourceAddress
from visiond.errors import CameraError


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port that gives each connection to `answer`, after it has read a request."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                connection.recv(4096)
                try:
                    answer(connection)
                except OSError:
                    return  # the prober has had enough

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def ask(scheme: str, answer: bytes) -> CameraError:
    with server(lambda connection: connection.sendall(answer)) as port:
        return probe.why_not(SourceAddress.parse(f"{scheme}://user:S3cr3t@127.0.0.1:{port}/cam?x=1"))


def rtsp_ok(description: str) -> bytes:
    return (
        f"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: {len(description)}\r\n\r\n"
        + description
    ).encode()


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        (b"RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n\r\n", "refused", "does not accept this user and password (401)"),
        (b"RTSP/1.0 404 Not Found\r\nCSeq: 1\r\n\r\n", "refused", "nothing at this path (404)"),
        (b"RTSP/1.0 454 Session Not Found\r\n\r\n", "refused", "status 454"),
        (b"RTSP/1.0 503 Service Unavailable\r\n\r\n", "absent", "503"),
        (b"HTTP/1.0 400 Bad Request\r\n\r\n", "refused", "not in RTSP"),
        (rtsp_ok("v=0\r\nm=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"), "refused", "offers no video"),
        (rtsp_ok("v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 AV2/90000\r\n"), "refused", "offers AV2 video"),
        (rtsp_ok("v=0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"), "absent", "offers H264 video, but none"),
    ],
)
def test_an_rtsp_answer_becomes_a_reason(answer: bytes, state: str, words: str) -> None:
    error = ask("rtsp", answer)
    assert words in str(error)
    assert error.state == state


@settings(max_examples=60, deadline=None)
@given(
    scheme=st.sampled_from(["rtsp", "http"]),
    answer=st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: b"RTSP/1.0 200 OK\r\n" + tail),
)
def test_no_answer_breaks_the_prober_and_none_shows_the_password(scheme: str, answer: bytes) -> None:
    error = ask(scheme, answer)
    assert error.state in ("absent", "refused")
    assert "S3cr3t" not in str(error)


def test_a_server_that_dribbles_is_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.3)
    enough = threading.Event()

    def dribble(connection: socket.socket) -> None:
        while not enough.wait(0.02):
            connection.sendall(b"R")

    with server(dribble) as port:
        started_s = time.monotonic()
        error = probe.why_not(SourceAddress.parse(f"rtsp://127.0.0.1:{port}/cam"))
        assert time.monotonic() - started_s < 2
        enough.set()
    assert error.state == "absent"
    assert "does not answer" in str(error)


def test_tls_that_is_none_is_said_so() -> None:
    with server(lambda connection: connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")) as port:
        error = probe.why_not(SourceAddress.parse(f"https://user:S3cr3t@127.0.0.1:{port}/"))
    assert error.state == "absent"
    assert f"127.0.0.1:{port}" in str(error)
    assert "S3cr3t" not in str(error)
