"""The control socket: one request that changes something, from root or the daemon's own user, and its answer.

It lies beside the clients' socket, under its name with `.control` behind. One JSON object each way, then it is closed.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from visiond.errors import ConfigError, UnavailableError, VisiondError

log = logging.getLogger(__name__)

MAX_REQUEST_BYTES: Final = 4096
REQUEST_S: Final = 5.0  # from the connection to the whole request
ANSWER_S: Final = 60.0  # that a caller waits: big model files are read and checked
_UCRED: Final = struct.Struct("3i")  # pid, uid, gid; unix(7)

Answer = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def control_path(socket_path: Path) -> Path:
    """Where the control socket of the daemon on this socket lies."""
    return socket_path.with_name(f"{socket_path.name}.control")


class ControlServer:
    """Listens as long as the daemon runs; a caller that stalls is closed and delays nobody."""

    def __init__(self, path: Path, answer: Answer) -> None:
        """`answer` gets each request of somebody who may ask; VisiondError becomes the reason of a refusal."""
        self._path = path
        self._answer = answer
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; call it when the lock on the clients' socket is held: a file that is left over is nobody's.

        Where it cannot, on a full /run, that is logged: a daemon that sees is worth more than one that can be asked.
        """
        before = os.umask(0o177)
        try:
            with suppress(FileNotFoundError):
                self._path.unlink()
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            log.warning("no control socket at %s (%s): `visiond reload` cannot ask, SIGHUP can", self._path, error)
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and remove the file."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError):
                self._path.unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_S):
                line = await reader.readline()
            writer.write(json.dumps(await self._reply(line, writer)).encode() + b"\n")
            async with asyncio.timeout(REQUEST_S):
                await writer.drain()
        except (TimeoutError, ConnectionError, ValueError) as error:  # ValueError: the line is too long
            log.info("control: a caller was closed: %s", error or "it said nothing in time")
        finally:
            writer.close()

    async def _reply(self, line: bytes, writer: asyncio.StreamWriter) -> dict[str, Any]:
        sock: socket.socket = writer.get_extra_info("socket")
        _, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
        if uid not in (0, os.geteuid()):
            return {"type": "error", "reason": "forbidden: only root and the daemon's own user may change something"}
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise TypeError("not an object")
        except (ValueError, TypeError, RecursionError) as error:
            return {"type": "error", "reason": f"not a request: {error}"}
        try:
            return await self._answer(request)
        except VisiondError as error:
            return {"type": "error", "reason": str(error)}


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send one request to a running daemon and return its answer. Raises UnavailableError in words."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(ANSWER_S)
            sock.connect(str(path))
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as answer:
                reply = json.loads(answer.readline() or b"null")
    except PermissionError as error:
        raise UnavailableError(f"{path}: only root and the daemon's own user may ask; try it with sudo") from error
    except (OSError, ValueError) as error:
        raise UnavailableError(
            f"no daemon answers on {path} ({error}); is it running? systemctl status visiond"
        ) from error
    if not isinstance(reply, dict):
        raise UnavailableError(f"the daemon on {path} closed without an answer; see its log")
    return reply


def reload(socket_path: Path, out: Any) -> int:
    """`visiond reload`: print what was applied, what was started anew and what was refused; return the exit code."""
    reply = ask(control_path(socket_path), {"type": "reload"})
    if reply["type"] == "error":
        raise UnavailableError(str(reply["reason"]))
    for field, word in (("applied", "applied"), ("restarted", "restarted"), ("refused", "refused")):
        for text in reply[field]:
            print(f"{word}: {text}", file=out)
    if not any(reply[field] for field in ("applied", "restarted", "refused")):
        print("nothing has changed", file=out)
    out.flush()
    return ConfigError.exit_code if reply["refused"] and not (reply["applied"] or reply["restarted"]) else 0
