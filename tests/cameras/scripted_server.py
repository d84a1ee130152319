"""ScriptedServer: a port that answers each request as a test's function says, garbage and silence included."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Self

Answer = Callable[[bytes], Iterable[bytes]]  # one request's head → what is sent, piece by piece


class ScriptedServer:
    """Serves RTSP and HTTP alike: a request is what comes before an empty line."""

    def __init__(self, answer: Answer) -> None:
        self.requests: list[bytes] = []
        self._answer = answer
        self._connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.reset()

    def url(self, scheme: str, user_password: str = "user:S3cr3t-w0rd") -> str:
        return f"{scheme}://{user_password}@127.0.0.1:{self.port}/cam"

    def reset(self) -> None:
        """End every connection with a RST, as a machine does that was restarted meanwhile; new ones are served."""
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        try:
            while chunk := connection.recv(4096):
                received += chunk
                while b"\r\n\r\n" in received:
                    head, _, received = received.partition(b"\r\n\r\n")
                    self.requests.append(head)
                    for piece in self._answer(head):
                        connection.sendall(piece)
        except OSError:
            return  # the client, or the test, has hung up
