"""A Motion JPEG camera on localhost that does what a test tells it: password, cuts, silence, garbage, other answers."""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from cameras.marked_pictures import jpeg_of, marked, now_ms


def live_pictures(size: tuple[int, int] = (320, 240)) -> Iterator[bytes]:
    """Pictures without end, each marked with the moment of its making."""
    while True:
        yield jpeg_of(marked(now_ms(), size))


def numbered_pictures(count: int | None = None, size: tuple[int, int] = (320, 240)) -> Iterator[bytes]:
    """Pictures 0, 1, 2, …; `count` of them, or without end."""
    numbers = itertools.count() if count is None else iter(range(count))
    return (jpeg_of(marked(number, size)) for number in numbers)


class MjpegServer:
    """Each connection plays `pictures()` at `fps` and is closed after the last one.

    `status` and `kind` (the content type) may be those of something else; `answer` replaces the HTTP answer as a whole.
    """

    def __init__(
        self,
        pictures: Callable[[], Iterator[bytes]] = live_pictures,
        fps: float = 30,
        user_password: tuple[str, str] | None = None,
        status: int = 200,
        kind: str = "multipart/x-mixed-replace; boundary=frame",
        answer: bytes | None = None,
    ) -> None:
        self.requests: list[dict[str, str]] = []  # the headers of each
        self.stopped = threading.Event()
        self.silent = threading.Event()  # while it is set, no picture is sent and no connection ends
        self._pictures = pictures
        self._period_s = 1 / fps
        self._expected = None
        if user_password is not None:
            self._expected = "Basic " + base64.b64encode(":".join(user_password).encode()).decode()
        self._status, self._kind, self._answer = status, kind, answer
        played = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                played._serve(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 16

            def handle_error(self, *_: Any) -> None:
                pass  # the camera hung up

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, user_password: str = "", path: str = "/cam.mjpg") -> str:
        at = "@" if user_password else ""
        return f"http://{user_password}{at}127.0.0.1:{self.port}{path}"

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        self.requests.append(dict(request.headers.items()))
        if self._answer is not None:
            request.wfile.write(self._answer)
            return
        if self._expected is not None and request.headers.get("Authorization") != self._expected:
            request.send_response(401)
            request.send_header("WWW-Authenticate", 'Basic realm="camera"')
            request.end_headers()
            return
        request.send_response(self._status)
        request.send_header("Content-Type", self._kind)
        request.end_headers()
        due_s = time.monotonic()
        for picture in self._pictures():
            while self.silent.is_set() and not self.stopped.wait(0.01):
                pass
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
            request.wfile.write(head.encode() + picture + b"\r\n")
            due_s = max(due_s + self._period_s, time.monotonic() - 1)
            if self.stopped.wait(max(0.0, due_s - time.monotonic())):
                return
