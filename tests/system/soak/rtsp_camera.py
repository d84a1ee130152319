"""An RTSP camera without GStreamer: Motion JPEG in RTP (RFC 2435), in the RTSP connection itself (RFC 2326)."""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from system.soak.network_camera import NetworkCamera, head

_PAYLOAD_BYTES: Final = 1400
_JPEG_PAYLOAD: Final = 26  # RTP/AVP's number for it
_CLOCK_HZ: Final = 90_000
_TYPE_420: Final = 1  # as OpenCV samples colour
_TABLES_FOLLOW: Final = 255  # Q: the quantization tables are in the first packet
_SDP: Final = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=soak\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 26\r\na=control:track\r\n"
)


@dataclass(frozen=True, slots=True)
class _Jpeg:
    """The parts of a baseline JPEG that RTP carries; its Huffman tables are the standard's own."""

    size: tuple[int, int]
    tables: bytes
    scan: bytes


def parse(picture: bytes) -> _Jpeg:
    """Take a JPEG apart. Raises ValueError for what is none."""
    size, tables, at = (0, 0), b"", 2
    while picture[at : at + 1] == b"\xff":
        marker, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4], "big")
        body = picture[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDB:
            tables += b"".join(body[start + 1 : start + 65] for start in range(0, len(body), 65))
        elif marker == 0xC0:
            height, width = struct.unpack(">HH", body[1:5])
            size = (width, height)
        elif marker == 0xDA:
            return _Jpeg(size, tables, picture[at:-2])
    raise ValueError("not a JPEG")


class RtspCamera(NetworkCamera):
    """Speaks as much RTSP as a player needs that asks for TCP."""

    def play(self, connection: socket.socket) -> None:
        while (request := head(connection).decode("latin-1")).split(" ", 1)[0] != "PLAY":
            self._answer(connection, request)
        self._answer(connection, request)
        self.served += 1
        sequence = 0
        last = parse(self.usual[0])
        for picture in self.frames():
            try:
                last = parse(picture)
            except ValueError:  # garbage: noise in the frame of the last picture
                last = _Jpeg(last.size, last.tables, picture)
            for packet in _packets(last, sequence, time.monotonic()):
                connection.sendall(packet)
                sequence += 1
            if select.select([connection], [], [], 0)[0]:
                self._answer(connection, head(connection).decode("latin-1"))  # a sign of life, or TEARDOWN

    @staticmethod
    def _answer(connection: socket.socket, request: str) -> None:
        verb = request.split(" ", 1)[0]
        number = re.search(r"^CSeq:\s*(\d+)", request, re.IGNORECASE | re.MULTILINE)
        lines = ["RTSP/1.0 200 OK", f"CSeq: {number[1] if number else 0}", "Session: soak"]
        body = ""
        if verb == "OPTIONS":
            lines.append("Public: OPTIONS, DESCRIBE, SETUP, PLAY, GET_PARAMETER, TEARDOWN")
        elif verb == "DESCRIBE":
            body = _SDP
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        elif verb == "SETUP":
            lines.append("Transport: RTP/AVP/TCP;unicast;interleaved=0-1")
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        if verb == "TEARDOWN":
            raise ConnectionError("torn down")


def _packets(jpeg: _Jpeg, sequence: int, at_s: float) -> Iterator[bytes]:
    """RTP packets of one picture, each behind the four bytes that mark it in the RTSP connection."""
    timestamp = int(at_s * _CLOCK_HZ) & 0xFFFFFFFF
    for offset in range(0, len(jpeg.scan), _PAYLOAD_BYTES):
        part = jpeg.scan[offset : offset + _PAYLOAD_BYTES]
        is_last = offset + len(part) == len(jpeg.scan)
        number = (sequence + offset // _PAYLOAD_BYTES) & 0xFFFF
        rtp = struct.pack(">BBHII", 0x80, _JPEG_PAYLOAD | is_last << 7, number, timestamp, 1)
        rtp += struct.pack(">IBBBB", offset, _TYPE_420, _TABLES_FOLLOW, jpeg.size[0] // 8, jpeg.size[1] // 8)
        if offset == 0:
            rtp += struct.pack(">BBH", 0, 0, len(jpeg.tables)) + jpeg.tables
        yield struct.pack(">BBH", ord("$"), 0, len(rtp) + len(part)) + rtp + part
