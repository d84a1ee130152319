"""The line between the parent and a worker: one JSON object per SOCK_SEQPACKET packet, file descriptors beside it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import Any, Self

MAX_PACKET_BYTES = 1 << 17  # a result of 100 objects takes about 20 kB; the kernel's default buffer holds 208 KiB
MAX_FDS = 4

_encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))


class ChannelClosed(Exception):
    """The other side is gone."""


class Channel:
    """One end. Packets keep their borders, so a message is whole or absent, and a closed end reads as ChannelClosed."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

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
            packet, fds, flags, _ = socket.recv_fds(self._socket, MAX_PACKET_BYTES, MAX_FDS)
        except ConnectionResetError as error:
            raise ChannelClosed from error
        if not packet:
            raise ChannelClosed
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            for fd in fds:
                os.close(fd)
            raise ValueError(f"packet over {MAX_PACKET_BYTES} bytes or {MAX_FDS} descriptors")
        message = json.loads(packet)
        if not isinstance(message, dict):
            raise ValueError("packet is not a JSON object")
        return message, fds

    def close(self) -> None:
        """Close this end."""
        self._socket.close()
