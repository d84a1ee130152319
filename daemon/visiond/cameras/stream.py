"""`rtsp://`, `rtsps://`, `http://`, `https://`: a network camera, through OpenCV's FFmpeg. The newest frame, always."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Final
from urllib.parse import urlsplit

import cv2

from visiond.cameras import fourcc, jpeg
from visiond.cameras.address import SourceAddress
from visiond.cameras.probe import why_ended_at_once, why_not
from visiond.cameras.sizing import resized
from visiond.cameras.source import Camera, Pixels
from visiond.cameras.stamps import MAX_BACKLOG, StreamClock, newest
from visiond.errors import CameraError

OPEN_TIMEOUT_MS: Final = 5000
READ_TIMEOUT_MS: Final = 2000
CATCH_UP_NS: Final = 100_000_000  # long enough for a scheduler's hiccup not to matter
FIRST_FRAME_S: Final = 12.0  # a stream is joined between key frames, which may be 10 s apart


def open_stream(address: SourceAddress, size: tuple[int, int] | None, fps: float | None) -> Camera:
    """Connect. Frames come in the stream's own size unless `size` is given; one below 0.5 fps needs `fps` to say so.

    Raises CameraError with what the server answered, as far as it can be told; never with the password.
    """
    read_timeout_ms = max(READ_TIMEOUT_MS, round(3000 / fps) if fps else 0)
    parameters = {
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: OPEN_TIMEOUT_MS,
        cv2.CAP_PROP_READ_TIMEOUT_MSEC: read_timeout_ms,
        cv2.CAP_PROP_N_THREADS: 1,  # each further thread of the decoder delays by a frame
    }
    capture = cv2.VideoCapture(address.target, cv2.CAP_FFMPEG, [part for pair in parameters.items() for part in pair])
    if not capture.isOpened():
        raise why_not(address)
    connection = _Connection(address, capture, read_timeout_ms)
    if connection.format == "MJPG":
        return PictureStream(connection, size)
    return VideoStream(connection, size)


class _Connection:
    """A capture whose every failed read becomes a CameraError in words."""

    def __init__(self, address: SourceAddress, capture: cv2.VideoCapture, read_timeout_ms: int) -> None:
        self.capture = capture
        self.format = fourcc.text(capture.get(cv2.CAP_PROP_FOURCC))
        self._address = address
        self._host = urlsplit(address.target).hostname or ""
        self._frames = 0
        self._read_timeout_s = read_timeout_ms / 1000

    def grab(self) -> int:
        """Wait for the next frame and return when it arrived."""
        asked_s = time.monotonic()
        grabbed = self.capture.grab()
        if (
            time.monotonic() - asked_s > 0.9 * self._read_timeout_s
        ):  # FFmpeg then hands out a last frame that it had kept
            raise CameraError(f"no frame from {self._host} for {self._read_timeout_s:g} s; check the network", "lost")
        if not grabbed:
            ended = CameraError(f"{self._host} ended the stream", "lost")
            raise why_ended_at_once(self._address) or ended if self._frames <= 1 else ended
        self._frames += 1
        return time.monotonic_ns()

    def presented_ns(self) -> int:
        """Presentation time of the grabbed frame, on the stream's own clock."""
        return round(self.capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)

    def catch_up(self, timed: bool) -> int:
        """Discard what was read while the stream was opened, and return when the first frame after it arrived.

        Those frames come much faster than they were captured, which is seen where they are `timed`; the others are not
        decoded, and all come within a moment.
        """
        start_ns, start_presented_ns = self._grab_first(), self.presented_ns()
        arrived_ns = start_ns
        for _ in range(MAX_BACKLOG):
            arrived_ns, presented_ns = self.grab(), self.presented_ns()
            span_ns = arrived_ns - start_ns
            if span_ns < CATCH_UP_NS:
                continue
            if not timed or presented_ns - start_presented_ns < 1.5 * span_ns:
                break
            start_ns, start_presented_ns = arrived_ns, presented_ns
        return arrived_ns

    def _grab_first(self) -> int:
        """Like `grab`, with the patience that a distant key frame takes."""
        give_up_s = time.monotonic() + FIRST_FRAME_S
        while True:
            asked_s = time.monotonic()
            try:
                return self.grab()
            except CameraError:
                now_s = time.monotonic()
                if now_s > give_up_s or now_s - asked_s < 0.9 * self._read_timeout_s:
                    raise


class VideoStream:
    """H.264 and the like: every frame must be decoded, and its presentation time tells how long it was on its way."""

    def __init__(self, connection: _Connection, size: tuple[int, int] | None) -> None:
        self.format = connection.format
        self.skipped: Counter[str] = Counter()
        self.has_sensor = False
        self.name_remark: str | None = None
        self._connection = connection
        self._capture = connection.capture
        self._size = size
        self._clock = StreamClock()
        self._last_ns: int | None = None

    def grab(self) -> int:
        """Wait for the newest frame; `captured_ns` is when it arrived, less what it waited longer than others."""
        if self._last_ns is None:
            arrived_ns = self._connection.catch_up(timed=True)
            self._last_ns = self._clock.captured_ns(arrived_ns, self._connection.presented_ns())
        else:
            self._last_ns = newest(self._grab_next, self._last_ns)
        return self._last_ns

    def prefetch(self, destination: Pixels | None) -> None:
        """Nothing is known of a frame before it comes."""

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Return the grabbed frame in the size that was asked."""
        ok, frame = self._capture.retrieve(destination if self._size is None else None)
        if not ok:
            self.skipped["corrupt"] += 1
            return None
        return resized(frame, self._size, destination)  # type: ignore[arg-type]

    def close(self) -> None:
        """Disconnect."""
        self._capture.release()

    def _grab_next(self) -> int:
        return self._clock.captured_ns(self._connection.grab(), self._connection.presented_ns())


class PictureStream:
    """Motion JPEG: FFmpeg hands over the bytes of each picture, and only those are decoded that are retrieved.

    A thread takes them off the wire. A decoder that is slower than the camera would otherwise fall behind by all that
    the sockets on the way can hold.
    """

    def __init__(self, connection: _Connection, size: tuple[int, int] | None) -> None:
        self.format = connection.format
        self.skipped: Counter[str] = Counter()
        self.has_sensor = False
        self.name_remark: str | None = None
        self._connection = connection
        self._size = size
        self._changed = threading.Condition()
        self._newest: tuple[int, Pixels | None] | None = None
        self._error: CameraError | None = None
        self._closed = False
        self._packet: Pixels | None = None
        connection.capture.set(cv2.CAP_PROP_FORMAT, -1)  # packets as they come, not decoded
        self._thread = threading.Thread(target=self._read, name="stream", daemon=True)
        self._thread.start()

    def grab(self) -> int:
        """Wait for the newest picture; `captured_ns` is when it arrived."""
        with self._changed:
            self._changed.wait_for(lambda: self._newest is not None or self._error is not None)
            if self._newest is None:
                assert self._error is not None
                raise self._error
            captured_ns, self._packet = self._newest
            self._newest = None
        return captured_ns

    def prefetch(self, destination: Pixels | None) -> None:
        """Nothing is known of a frame before it comes."""

    def retrieve(self, destination: Pixels | None = None) -> Pixels | None:
        """Decode the grabbed picture."""
        frame = None if self._packet is None else jpeg.decode(self._packet)
        if frame is None:
            self.skipped["corrupt"] += 1
            return None
        return resized(frame, self._size, destination)

    def close(self) -> None:
        """Disconnect, once the read that is under way has ended or timed out."""
        self._closed = True
        self._thread.join()
        self._connection.capture.release()

    def _read(self) -> None:
        behind = True
        while not self._closed:
            try:
                arrived_ns = self._connection.catch_up(timed=False) if behind else self._connection.grab()
                behind = False
            except CameraError as error:
                with self._changed:
                    self._error = error
                    self._changed.notify()
                return
            ok, packet = self._connection.capture.retrieve()
            with self._changed:
                self._newest = arrived_ns, packet if ok else None  # type: ignore[assignment]
                self._changed.notify()
