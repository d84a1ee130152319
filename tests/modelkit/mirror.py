"""Mirror: an HTTP server on this machine with files, which can cut, lie, stall, redirect and refuse."""

from __future__ import annotations

import re
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

Answer = Callable[["Request"], None]


class Request:
    """One GET, and the means to answer it well or badly."""

    def __init__(self, handler: BaseHTTPRequestHandler, content: bytes | None, released: threading.Event) -> None:
        self.content = content
        self.path = handler.path
        self.range = handler.headers.get("Range")
        self.released = released  # set when the server ends: what waits for it never blocks the test
        self._handler = handler

    @property
    def start(self) -> int:
        told = re.fullmatch(r"bytes=(\d+)-", self.range or "")
        return int(told[1]) if told else 0

    def head(self, status: int, **headers: object) -> None:
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), str(value))
        self._handler.end_headers()

    def body(self, content: bytes) -> None:
        self._handler.wfile.write(content)


class Mirror:
    """Serves `files`, path to content; `script[path]` holds answers that come first, one for each request."""

    def __init__(self, files: dict[str, bytes], certificate: Path | None = None) -> None:
        """`certificate`: a PEM file with key and certificate, for HTTPS."""
        self.files = files
        self.script: dict[str, deque[Answer]] = defaultdict(deque)
        self.requests: list[tuple[str, str | None]] = []  # path and Range
        self._released = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.rpartition("://")[2].split("/", 1)[-1].lstrip("/")
                request = Request(self, mirror.files.get(name), mirror._released)
                mirror.requests.append((self.path, request.range))
                answers = mirror.script[name]
                (answers.popleft() if answers else honest)(request)

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        scheme = "http"
        if certificate is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{scheme}://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def ranges(self, name: str) -> list[str | None]:
        """The Range of each request for that file."""
        return [told for path, told in self.requests if path.endswith(name)]


class Server(ThreadingHTTPServer):
    """One thread a request; a client that goes away is no error here."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


def honest(request: Request) -> None:
    """The file, or the part that was asked for, or 404 or 416."""
    content, start = request.content, request.start
    if content is None:
        request.head(404, Content_Length=0)
    elif start >= len(content) and start:
        request.head(416, Content_Length=0, Content_Range=f"bytes */{len(content)}")
    elif start:
        end = f"{len(content) - 1}/{len(content)}"
        request.head(206, Content_Length=len(content) - start, Content_Range=f"bytes {start}-{end}")
        request.body(content[start:])
    else:
        request.head(200, Content_Length=len(content))
        request.body(content)


def cut(after: int) -> Answer:
    """Announce all of it, and close after so many bytes of what was asked for."""

    def answer(request: Request) -> None:
        content, start = request.content or b"", request.start
        if start:
            end = f"{len(content) - 1}/{len(content)}"
            request.head(206, Content_Length=len(content) - start, Content_Range=f"bytes {start}-{end}")
        else:
            request.head(200, Content_Length=len(content))
        request.body(content[start : start + after])

    return answer


def stall(after: int) -> Answer:
    """As `cut`, but silent in place of closing, until the server ends."""

    def answer(request: Request) -> None:
        cut(after)(request)
        request._handler.wfile.flush()
        request.released.wait(30)

    return answer


def drip(every_s: float) -> Answer:
    """One byte now and then."""

    def answer(request: Request) -> None:
        content = request.content or b""
        request.head(200, Content_Length=len(content))
        for byte in content:
            request.body(bytes([byte]))
            if request.released.wait(every_s):
                return

    return answer


def slowly(seconds: float) -> Answer:
    """All of it, in two halves."""

    def answer(request: Request) -> None:
        content = request.content or b""
        request.head(200, Content_Length=len(content))
        request.body(content[: len(content) // 2])
        request.released.wait(seconds)
        request.body(content[len(content) // 2 :])

    return answer


def whole(content: bytes) -> Answer:
    """That content, whatever was asked for: another file, or one whose server ignores Range."""

    def answer(request: Request) -> None:
        request.head(200, Content_Length=len(content))
        request.body(content)

    return answer


def without_length(content: bytes) -> Answer:
    """That content, its end marked by the connection's alone."""

    def answer(request: Request) -> None:
        request.head(200)
        request.body(content)

    return answer


def status(code: int) -> Answer:
    """An answer without a file."""
    return lambda request: request.head(code, Content_Length=0)


def redirect(to: str) -> Answer:
    """It lies elsewhere."""
    return lambda request: request.head(302, Location=to, Content_Length=0)


def raw(status_code: int, content: bytes, **headers: object) -> Answer:
    """Just this."""

    def answer(request: Request) -> None:
        request.head(status_code, **headers)
        request.body(content)

    return answer


def silent(request: Request) -> None:
    """No answer at all."""
    request.released.wait(30)


def hang_up(request: Request) -> None:
    """Close without an answer."""
    request._handler.close_connection = True
