"""A client that shares no code with the daemon: a socket, lines, and the published schema for every message."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any, Self

import jsonschema

SCHEMA = json.loads(
    (Path(__file__).parent.parent / "daemon" / "visiond" / "publish" / "protocol.schema.json").read_text()
)
MESSAGES = ("hello", "detections", "status", "pong", "error", "bye")
PATIENCE_S = 20.0


def _validator(reference: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{reference}", "$defs": SCHEMA["$defs"]})


_VALIDATORS = {name: _validator(name) for name in MESSAGES}
_REQUEST = _validator("request")


def check_message(line: bytes) -> dict[str, Any]:
    """The message in this line, which must be exactly as the schema says."""
    assert len(line) <= 65536
    assert line.endswith(b"\n")
    message = json.loads(line, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    _VALIDATORS[message["type"]].validate(message)
    assert isinstance(message, dict)
    return message


def is_request(value: object) -> bool:
    """Whether the schema takes this for a request."""
    return _REQUEST.is_valid(value)


class RawClient:
    """Connects, and reads one checked message at a time."""

    def __init__(self, path: Path, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect(os.fspath(path))
        except OSError:
            self.socket.close()
            raise
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send(self, *requests: dict[str, Any]) -> None:
        self.send_raw(b"".join(json.dumps(request).encode() + b"\n" for request in requests))

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def message(self) -> dict[str, Any]:
        """The next message; EOFError at the end of the stream."""
        while b"\n" not in self._rest:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError(f"the stream ended, with {self._rest[:100]!r} left over")
            self._rest += data
        line, self._rest = self._rest.split(b"\n", 1)
        return check_message(line + b"\n")

    def next(self, kind: str) -> dict[str, Any]:
        """The next message of this type; statuses before it are passed over, as they come whenever they like."""
        while True:
            message = self.message()
            if message["type"] == kind:
                return message
            assert message["type"] in ("status", "hello"), message

    def welcomed(self) -> Self:
        """Read the hello and the status that greet every client."""
        assert self.message()["type"] == "hello"
        assert self.message()["type"] == "status"
        return self

    def in_step(self) -> list[dict[str, Any]]:
        """Everything up to here: what came before the pong of a ping that is sent now."""
        self.send({"type": "ping", "id": "in step"})
        messages = []
        while (message := self.message()) != {"type": "pong", "id": "in step"}:
            messages.append(message)
        return messages

    def to_the_end(self) -> list[dict[str, Any]]:
        """Every message that is left, until the daemon closes."""
        messages = []
        while True:
            try:
                messages.append(self.message())
            except (EOFError, ConnectionResetError):
                return messages
