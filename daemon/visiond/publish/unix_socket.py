"""The publisher: every result to every client on a Unix socket, and no client in the way of another."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from visiond.publish import wire
from visiond.publish.acceptor import Acceptor
from visiond.publish.answers import Fields, answer
from visiond.publish.client_connection import ClientConnection
from visiond.publish.departures import Departures
from visiond.publish.limits import Limits
from visiond.publish.listening import Listening, adopt, listen
from visiond.publish.outbox import RepliesNotRead
from visiond.publish.request_lines import Flooded
from visiond.publish.requests import ProtocolError

LOG = logging.getLogger(__name__)
_SWEEP_S: Final = 0.5


class UnixSocketServer:
    """Listens at `path`, or on `listening`, a socket that systemd opened.

    `hello` and `status` return the fields of these messages, `type` included. All calls belong to the event loop's
    thread; none of them waits for a client, and only `close` waits at all.
    """

    def __init__(
        self,
        path: Path,
        *,
        group: str | None,
        mode: int,
        max_clients: int,
        hello: Callable[[], Fields],
        status: Callable[[], Fields],
        listening: socket.socket | None = None,
        create_folder: bool = False,
        limits: Limits | None = None,
    ) -> None:
        self._path, self._group, self._mode, self._create_folder = path, group, mode, create_folder
        self._max_clients = max_clients
        self._hello, self._status = hello, status
        self._handed_in = listening
        self._limits = limits or Limits()
        self._clients: dict[int, ClientConnection] = {}
        self._refused = 0
        self._closed_slow = 0
        self._last_status: bytes | None = None
        self._all_gone = asyncio.Event()

    async def start(self) -> None:
        """Claim the path and listen, in the running event loop.

        Raises ConfigError with the remedy where the path cannot be used, AlreadyRunningError where a daemon owns it.
        """
        self._loop = asyncio.get_running_loop()
        self._listening = self._open()
        self._departures = Departures(self._loop, self._on_departure, self._on_hangup)
        self._acceptor = Acceptor(
            self._loop, self._listening.socket, self._limits, self._welcome, self._refuse_for_descriptors
        )
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)

    def publish(self, detections: wire.Detections) -> None:
        """Offer a result to every client."""
        now_s = time.monotonic()
        for client in list(self._clients.values()):
            client.outbox.offer(detections)
            self._send(client, now_s)

    def publish_status(self) -> None:
        """Send the status to every client, whatever it subscribed to: at each heartbeat and on each change."""
        now_s = time.monotonic()
        line = self._last_status = wire.encode_status(self._status())
        for client in list(self._clients.values()):
            client.outbox.put_status(line)
            self._send(client, now_s)

    async def close(self, reason: str) -> None:
        """Say bye to every client, remove the socket and release its lock, within half a second."""
        self._sweeping.cancel()
        self._acceptor.close()
        self._listening.close()
        for client in list(self._clients.values()):
            self._dismiss(client, wire.bye(reason))
        if self._clients:
            self._all_gone.clear()
            try:
                await asyncio.wait_for(self._all_gone.wait(), self._limits.goodbye_s)
            except TimeoutError:
                LOG.info("%d clients did not take their last line", len(self._clients))
        for client in list(self._clients.values()):
            self._drop(client)
        self._departures.close()
        self._listening.release()

    def counters(self) -> dict[str, int]:
        """Return the `clients` of a status message."""
        return {
            "connected": len(self._clients),
            "max": self._max_clients,
            "refused": self._refused,
            "closed_slow": self._closed_slow,
        }

    def _open(self) -> Listening:
        if self._handed_in is not None:
            return adopt(self._handed_in)
        return listen(
            self._path,
            group=self._group,
            mode=self._mode,
            create_folder=self._create_folder,
            backlog=self._limits.backlog,
        )

    # Clients come

    def _welcome(self, sock: socket.socket) -> None:
        if len(self._clients) >= self._max_clients:
            self._refuse(sock, f"busy: {self._max_clients} clients are connected, which is socket.max_clients")
            return
        now_s = time.monotonic()
        client = ClientConnection(sock, self._departures, self._limits, now_s)
        self._clients[client.fd] = client
        self._loop.add_reader(client.fd, self._receive, client)
        client.outbox.put_reply(wire.encode_hello(self._hello()))
        client.outbox.put_status(self._last_status or wire.encode_status(self._status()))
        self._send(client, now_s)

    def _refuse_for_descriptors(self, sock: socket.socket) -> None:
        self._refuse(sock, "busy: the daemon has too few file descriptors left; raise its LimitNOFILE")

    def _refuse(self, sock: socket.socket, reason: str) -> None:
        self._refused += 1
        with sock:
            sock.setblocking(False)
            try:
                sock.send(wire.bye(reason), socket.MSG_NOSIGNAL)
            except OSError:  # it is gone already, which is what we were about to ask for
                pass

    # Clients speak

    def _receive(self, client: ClientConnection) -> None:
        now_s = time.monotonic()
        try:
            lines = client.receive(now_s)
            if lines is None:  # it may have closed only its own direction and still read; if not, _on_hangup follows
                self._loop.remove_reader(client.fd)
                return
            self._answer_all(client, lines)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
        except Flooded:
            self._evict(client, f"more than {self._limits.requests_per_s:g} requests a second", answer=True)
        except RepliesNotRead:
            self._closed_slow += 1
            self._evict(client, "the answers to its requests are not read")
        else:
            if client.leaves_at_s is None:
                self._send(client, now_s)

    def _answer_all(self, client: ClientConnection, lines: Iterable[bytes | ProtocolError]) -> None:
        for line in lines:
            if client.leaves_at_s is not None:
                return
            if isinstance(line, ProtocolError):
                self._reproach(client, line)
                continue
            try:
                answer(line, client.outbox, self._hello, self._status)
            except ProtocolError as error:
                self._reproach(client, error)

    def _reproach(self, client: ClientConnection, error: ProtocolError) -> None:
        client.errors += 1
        client.outbox.put_reply(wire.error(str(error)))
        if client.errors >= self._limits.errors:
            self._evict(client, f"{client.errors} requests that cannot be served")

    # Clients go

    def _send(self, client: ClientConnection, now_s: float) -> None:
        try:
            client.send(now_s)
        except OSError:
            self._drop(client)
        else:
            if client.leaves_at_s is not None and not client.waiting:
                self._drop(client)

    def _on_departure(self, fd: int) -> None:
        client = self._clients.get(fd)
        if client is not None:
            self._send(client, time.monotonic())

    def _on_hangup(self, fd: int) -> None:
        client = self._clients.get(fd)
        if client is not None:
            self._drop(client)

    def _evict(self, client: ClientConnection, reason: str, answer: bool = False) -> None:
        """Send a client away for what it did; `answer`: the reason is also the answer to its last request."""
        LOG.info("closing the client of pid %d: %s", client.pid, reason)
        self._dismiss(client, (wire.error(reason) if answer else b"") + wire.bye(reason))

    def _dismiss(self, client: ClientConnection, last_words: bytes) -> None:
        """Send what is owed and these last lines, then close; the sweep closes a client that does not take them."""
        self._loop.remove_reader(client.fd)
        now_s = time.monotonic()
        client.leave(last_words, now_s)
        self._send(client, now_s)

    def _drop(self, client: ClientConnection) -> None:
        if self._clients.pop(client.fd, None) is None:
            return
        self._loop.remove_reader(client.fd)
        client.close()
        if not self._clients:
            self._all_gone.set()

    def _sweep(self) -> None:
        """Close clients that let something be waited for too long."""
        self._sweeping = self._loop.call_later(_SWEEP_S, self._sweep)
        now_s = time.monotonic()
        for client in list(self._clients.values()):
            if client.leaves_at_s is not None:
                if now_s >= client.leaves_at_s:
                    self._drop(client)
            elif client.stalled(now_s):
                self._closed_slow += 1
                self._evict(client, f"nothing was read for {self._limits.stall_s:g} s")
            elif client.requests.overdue(now_s):
                self._evict(client, f"a request was not finished within {self._limits.line_s:g} s", answer=True)
