"""A well-behaved client: reads everything, counts every seq and epoch, and remembers the last status."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from system.soak.bounds import STALE_MS
from system.soak.device import SOCKET

Status = dict[str, Any]
_RETRY_S: Final = 0.05
_LISTEN_S: Final = 0.5


class Witness:
    """A connection in a thread of its own, made again whenever it breaks; `faults` holds what must not be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()  # messages by type, missed, unexplained, lost
        self.faults: list[str] = []
        self.seq: dict[str, int] = {}  # by camera, of this connection
        self.instance: str | None = None
        self._born: tuple[str, float] | None = None  # the instance that speaks, and when its first result came
        self._last_end = ""
        self._epoch: dict[str, int] = {}
        self._captured_ns: dict[str, int] = {}
        self._status: tuple[float, Status] | None = None
        self._changed = threading.Condition()
        self._heard_s: dict[str, float] = {}  # when each camera's last result came
        self._silence_s: dict[str, float] = {}  # the longest since `listen_anew`
        self._passers: set[str] = set()  # cameras that may begin again
        self._ending = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ending = True
        self._thread.join()

    def until(self, wanted: Callable[[Status], object], patience_s: float, after_s: float = 0.0) -> Status | None:
        """The first status since `after_s` (CLOCK_MONOTONIC) that is wanted; None where none comes in time."""
        give_up_s = time.monotonic() + patience_s
        with self._changed:
            while True:
                if self._status is not None and self._status[0] >= after_s and wanted(self._status[1]):
                    return self._status[1]
                if (left_s := give_up_s - time.monotonic()) <= 0:
                    return None
                self._changed.wait(left_s)

    def status(self) -> Status:
        """The last one, an empty one before the first."""
        with self._changed:
            return {} if self._status is None else self._status[1]

    def listen_anew(self) -> None:
        """Measure silences from here on."""
        with self._changed:
            now_s = time.monotonic()
            self._silence_s = dict.fromkeys(self._heard_s, 0.0)
            self._heard_s = dict.fromkeys(self._heard_s, now_s)

    def silences_s(self) -> dict[str, float]:
        """By camera, the longest time without a result since `listen_anew`, the one that lasts included."""
        with self._changed:
            now_s = time.monotonic()
            return {name: max(self._silence_s.get(name, 0.0), now_s - at_s) for name, at_s in self._heard_s.items()}

    def let_pass(self, camera: str) -> None:
        """This camera comes and goes with reloads: its seq begins again, and its silence is none."""
        self._passers.add(camera)

    def until_reborn(self, instance: str | None, patience_s: float) -> float | None:
        """When the first result came of another daemon than `instance`; None where none comes in time."""
        give_up_s = time.monotonic() + patience_s
        with self._changed:
            while self._born is None or self._born[0] == instance:
                if (left_s := give_up_s - time.monotonic()) <= 0:
                    return None
                self._changed.wait(left_s)
            return self._born[1]

    # the connection

    def _run(self) -> None:
        while not self._ending:
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                    connection.connect(str(SOCKET))
                    connection.settimeout(_LISTEN_S)
                    self._last_end = self._listen(connection)
            except OSError as error:
                self._last_end = str(error)
            time.sleep(_RETRY_S)

    def _listen(self, connection: socket.socket) -> str:
        """Read until the connection ends; return how it did."""
        rest, how = b"", "the stream ended without a bye"
        self.seq.clear()
        while not self._ending:
            try:
                chunk = connection.recv(65536)
            except TimeoutError:
                continue
            if not chunk:
                return how
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line, parse_constant=self._not_json)
                if message["type"] == "bye":
                    how = f"bye: {message['reason']}"
                self._take(message)
        return how

    def _take(self, message: dict[str, Any]) -> None:
        with self._changed:
            kind = message["type"]
            self.counts[kind] += 1
            if kind == "hello":
                self._welcome(message)
            elif kind == "status":
                self._status = (time.monotonic(), message)
            elif kind == "detections":
                self._result(message)
            elif kind != "bye":
                self.faults.append(f"an unasked {kind}: {message}")
            self._changed.notify_all()

    def _welcome(self, hello: dict[str, Any]) -> None:
        """The same daemon as before has let this client go, without cause."""
        if hello["instance"] == self.instance:
            self.counts["lost"] += 1
            self.faults.append(f"disconnected while the daemon lived: {self._last_end}")
        self.instance = hello["instance"]
        self._epoch.clear()
        self._captured_ns.clear()

    def _result(self, message: dict[str, Any]) -> None:
        camera, seq, now_s = message["camera"], message["seq"], time.monotonic()
        if self.instance is not None and (self._born is None or self._born[0] != self.instance):
            self._born = (self.instance, now_s)
        self.counts["missed"] += message["missed"]
        last = self.seq.get(camera)
        if camera not in self._passers:
            if last is not None and seq != last + 1 + message["missed"]:
                self.counts["unexplained"] += 1
                self.faults.append(f"{camera}: seq {last} → {seq} with missed {message['missed']}")
            if message["epoch"] < self._epoch.get(camera, 0):
                self.faults.append(f"{camera}: epoch {self._epoch[camera]} → {message['epoch']}")
            if message["captured_ns"] <= self._captured_ns.get(camera, 0):
                self.faults.append(f"{camera}: seq {seq} is of an older frame than the one before")
            if message["age_ms"] > STALE_MS:
                self.faults.append(f"{camera}: seq {seq} was {message['age_ms']:.0f} ms old when it was published")
            silence_s = now_s - self._heard_s.get(camera, now_s)
            self._silence_s[camera] = max(self._silence_s.get(camera, 0.0), silence_s)
            self._heard_s[camera] = now_s
        self.seq[camera] = seq
        self._epoch[camera] = message["epoch"]
        self._captured_ns[camera] = message["captured_ns"]

    def _not_json(self, name: str) -> None:
        self.faults.append(f"{name} in a message")
