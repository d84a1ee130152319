"""The line between the parent and a worker: one JSON object per SOCK_SEQPACKET packet, file descriptors beside it."""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Sequence
from typing import Any, Self

MAX_PACKET_BYTES = 1 << 17  # a result of 100 objects takes about 20 kB; the kernel's default buffer holds 208 KiB
MAX_FDS = 4

_ANCILLARY_BYTES = socket.CMSG_SPACE(MAX_FDS * array.array("i").itemsize)

_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


class ChannelClosed(Exception):
    """The other side is gone."""


class Channel:
    """One end. Packets keep their borders, so a message is whole or absent, and a closed end reads as ChannelClosed."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._packet = memoryview(bytearray(MAX_PACKET_BYTES))  # kept: a new one for each packet is faulted in anew

    @classmethod
    def pair(cls) -> tuple[Self, socket.socket]:
        """Return the parent's end, non-blocking, and the worker's socket, to be inherited by the child."""
        parent, child = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        parent.setblocking(False)
        return cls(parent), child

    def fileno(self) -> int:
        """Descriptor to wait on."""
        return self._socket.fileno()

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send one message; raises ChannelClosed, or BlockingIOError when the parent's end is full."""
        packet = _encoder.encode(message).encode()
        try:
            if fds:
                socket.send_fds(self._socket, [packet], list(fds))
            else:
                self._socket.send(packet)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise ChannelClosed from error

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """Return the next message and the descriptors that came with it, which the caller now owns.

        Raises ChannelClosed at the end, BlockingIOError when there is none on a non-blocking end.
        """
        try:
            length, ancillary, flags, _ = self._socket.recvmsg_into([self._packet], _ANCILLARY_BYTES)
        except ConnectionResetError as error:
            raise ChannelClosed from error
        if not length:
            raise ChannelClosed
        fds = _descriptors(ancillary) if ancillary else []
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for fd in fds:
                os.close(fd)
            raise ValueError(f"packet over {MAX_PACKET_BYTES} bytes or {MAX_FDS} descriptors")
        message = json.loads(bytes(self._packet[:length]))
        if not isinstance(message, dict):
            raise ValueError("packet is not a JSON object")
        return message, fds

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


def _descriptors(ancillary: Sequence[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors of SCM_RIGHTS, as in `socket.recv_fds`."""
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)
