"""Why a stream does not open. FFmpeg only says no, so the server is asked again, by hand and without credentials."""

from __future__ import annotations

import re
import socket
import time
from typing import Final
from urllib.parse import SplitResult, urlsplit

from visiond.cameras.address import SourceAddress
from visiond.errors import CameraError

TIMEOUT_S: Final = 3.0
_MAX_ANSWER: Final = 65536
_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_STATUS: Final = re.compile(rb"(HTTP|RTSP)/\d\.\d (\d{3})")
_VIDEO_CODEC: Final = re.compile(rb"^m=video .*?^a=rtpmap:\d+ ([\w.-]+)", re.MULTILINE | re.DOTALL)


def why_not(address: SourceAddress) -> CameraError:
    """Return what to tell about a stream that could not be opened; of the address it names host and port only.

    Its state is absent while the server cannot be reached, refused when it answers and a person must change something.
    """
    url = urlsplit(address.target)
    port = url.port or _PORTS[address.scheme]
    server = f"{url.hostname}:{port}"
    try:
        answer = _ask(url, port)
    except (socket.gaierror, UnicodeError):
        return CameraError(
            f"{url.hostname} is not a known host; check the name, or the network's name server", "absent"
        )
    except ConnectionRefusedError:
        return CameraError(f"{server} refuses connections; is its server on, and the port right?", "absent")
    except TimeoutError:
        return CameraError(f"{server} does not answer; is it on, and reachable from here?", "absent")
    except OSError as error:
        return CameraError(f"{server}: {error.strerror or type(error).__name__}", "absent")
    text, state = _read_answer(answer, url)
    return CameraError(f"{server} {text}", state)


def why_ended_at_once(address: SourceAddress) -> CameraError | None:
    """Return what to tell where a stream ended with its first picture because it is none, but a snapshot; else None."""
    url = urlsplit(address.target)
    if address.scheme.startswith("rtsp"):
        return None
    port = url.port or _PORTS[address.scheme]
    try:
        kind = _content_type(_ask(url, port))
    except (OSError, UnicodeError):
        return None  # it is lost, whatever it was
    if not kind.startswith("image/"):
        return None
    return CameraError(
        f"{url.hostname}:{port} sends one picture ({kind}) and no stream; give the address of its video, which the "
        "camera's manual tells",
        "refused",
    )


def _ask(url: SplitResult, port: int) -> bytes:
    """Send one request and return the beginning of the answer. The URL's user and password stay here."""
    assert url.hostname is not None
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    if url.scheme.startswith("rtsp"):
        request = f"DESCRIBE {url.scheme}://{host}:{port}{path} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n"
    else:
        request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\nAccept: */*\r\n\r\n"
    give_up_s = time.monotonic() + TIMEOUT_S
    with _connect(url, port) as connection:
        connection.sendall(request.encode())
        answer = b""
        while len(answer) < _MAX_ANSWER and not _is_whole(answer):
            connection.settimeout(max(0.001, give_up_s - time.monotonic()))  # a server that dribbles is cut short
            chunk = connection.recv(4096)
            if not chunk:
                break
            answer += chunk
        return answer


def _is_whole(answer: bytes) -> bool:
    """Whether the head is there and, of RTSP, the description behind it; an HTTP video has no end."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"^content-length:\s*(\d{1,9})", head, re.IGNORECASE | re.MULTILINE)
    return bool(end) and (head.startswith(b"HTTP") or length is None or len(body) >= int(length[1]))


def _connect(url: SplitResult, port: int) -> socket.socket:
    connection = socket.create_connection((url.hostname or "", port), TIMEOUT_S)
    if url.scheme in ("http", "rtsp"):
        return connection
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False  # as FFmpeg connects
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, server_hostname=url.hostname)


def _read_answer(answer: bytes, url: SplitResult) -> tuple[str, str]:
    protocol = "RTSP" if url.scheme.startswith("rtsp") else "HTTP"
    match = _STATUS.match(answer)
    if match is None or match[1].decode() != protocol:
        return f"answers, but not in {protocol}; check scheme and port", "refused"
    status = int(match[2])
    if status in (401, 403):
        if url.password is None:
            return f"asks for a user and a password ({status}); write {url.scheme}://USER:PASSWORD@…", "refused"
        return f"does not accept this user and password ({status}), or has no video for them at this path", "refused"
    if status == 404:
        return "has nothing at this path (404); check it in the camera's manual", "refused"
    if 300 <= status < 400:
        return f"sends us elsewhere, and that could not be opened either ({status}); give the final address", "refused"
    if status >= 500:
        return f"has a fault of its own (status {status}); restart it if this stays", "absent"
    if status != 200:
        return f"answers with status {status}; check the path", "refused"
    return _read_success(answer, protocol)


def _read_success(answer: bytes, protocol: str) -> tuple[str, str]:
    if protocol == "HTTP":
        kind = _content_type(answer) or "something without a type"
        if kind.startswith(("video/", "multipart/")):
            return f"sends {kind}, but no picture came out of it; check the camera", "absent"
        return f"sends {kind}, which is no video that can be read here; check the path", "refused"
    match = _VIDEO_CODEC.search(answer)
    if match is None:
        return "offers no video at this path; check it in the camera's manual", "refused"
    codec = match[1].decode().upper()
    if codec in ("H264", "H265", "JPEG"):
        return f"offers {codec} video, but none came; check the camera", "absent"
    return f"offers {codec} video, which cannot be decoded here; set the camera to H.264", "refused"


def _content_type(answer: bytes) -> str:
    match = re.search(rb"^content-type:\s*([\w./+-]+)", answer, re.IGNORECASE | re.MULTILINE)
    return match[1].decode().lower() if match else ""
