"""A network camera on localhost that does what it is told: play, vanish, fall silent, send garbage, go dark."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

import cv2
import numpy as np

from visiond.cameras.scenes import still_scene

FPS: Final = 10
PICTURES: Final = 16


def pictures(size: tuple[int, int] = (320, 240)) -> list[bytes]:
    """JPEGs with something in them, no two alike."""
    return [_jpeg(still_scene(seed, size)[0]) for seed in range(PICTURES)]


def dark_pictures(size: tuple[int, int] = (320, 240)) -> list[bytes]:
    return [_jpeg(np.full((size[1], size[0], 3), level, np.uint8)) for level in range(PICTURES)]


def _jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


class NetworkCamera:
    """Listens on a fixed port of localhost and plays to whoever asks. A subclass speaks the protocol."""

    def __init__(self, port: int) -> None:
        self.usual = pictures()
        self.playing: Sequence[bytes] = self.usual
        self.silent = threading.Event()  # while set, nothing is sent and no connection ends
        self.garbage = threading.Event()  # while set, each picture is noise
        self.served = 0  # connections that were played to
        self._port = port
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.come_back()

    def come_back(self) -> None:
        """Listen, at first and again after `vanish`."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def vanish(self) -> None:
        """Switched off: every connection ends with a RST, new ones are refused."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        self.reset()

    def reset(self) -> None:
        """End every connection with a RST, as a camera does that has restarted."""
        for connection in list(self._connections):
            with suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    def as_usual(self) -> None:
        """The end of whatever was told."""
        self.playing = self.usual
        self.silent.clear()
        self.garbage.clear()
        if self._listener is None:
            self.come_back()

    def frames(self) -> Iterator[bytes]:
        """Pictures without end, at FPS, as they are told to be at each moment."""
        due_s, number = time.monotonic(), 0
        while True:
            while self.silent.is_set():
                time.sleep(0.01)
            playing = self.playing
            picture = playing[number % len(playing)]
            yield os.urandom(len(picture)) if self.garbage.is_set() else picture
            number += 1
            due_s = max(due_s + 1 / FPS, time.monotonic() - 1)
            time.sleep(max(0.0, due_s - time.monotonic()))

    def play(self, connection: socket.socket) -> None:
        """Answer requests and send pictures until the other side hangs up, which raises OSError."""
        raise NotImplementedError

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # vanished
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._connections.add(connection)
        try:
            with connection:
                self.play(connection)
        except OSError:
            pass  # the daemon has hung up, or this camera has vanished
        finally:
            self._connections.discard(connection)


class HttpCamera(NetworkCamera):
    """Motion JPEG over HTTP."""

    def play(self, connection: socket.socket) -> None:
        head(connection)
        self.served += 1
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        for picture in self.frames():
            part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture)
            connection.sendall(part + picture + b"\r\n")


def head(connection: socket.socket) -> bytes:
    """Everything up to an empty line. Raises ConnectionError where none comes."""
    received = b""
    while b"\r\n\r\n" not in received:
        chunk = connection.recv(4096)
        if not chunk:
            raise ConnectionError("hung up")
        received += chunk
    return received
