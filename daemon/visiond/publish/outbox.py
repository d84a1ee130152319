"""What waits to be sent to one client, and in which order: replies, status, then the cameras in turn. Pure, no I/O.

One slot per camera, the newest wins: a client that reads slowly gets fewer results, never older ones.
"""

from __future__ import annotations

from collections import deque

from visiond.publish.requests import EVERYTHING, Subscribe
from visiond.publish.wire import Detections


class RepliesNotRead(Exception):
    """The client asks and does not read what it is answered."""


class _Camera:
    """One camera as one client sees it; `due_ns` (CLOCK_MONOTONIC) is when `max_hz` lets the next result through."""

    __slots__ = ("due_ns", "missed")

    def __init__(self) -> None:
        self.missed = 0
        self.due_ns = 0


class Outbox:
    """Lines in the order in which they go out. `offer` and `put_…` fill it, `take` empties it."""

    def __init__(self, max_replies: int) -> None:
        self._max_replies = max_replies
        self._replies: deque[bytes] = deque()
        self._status: bytes | None = None
        self._cameras: dict[str, _Camera] = {}
        self._waiting: dict[str, Detections] = {}  # by camera, the one whose turn it is first
        self._subscribe = EVERYTHING
        self._ended = False

    def __bool__(self) -> bool:
        return bool(self._replies or self._status or self._waiting)

    def subscribe(self, subscribe: Subscribe) -> None:
        """Let everything that goes out from now on follow this subscription."""
        self._subscribe = subscribe
        for camera in list(self._cameras):
            if not self._wanted(camera):
                self._waiting.pop(camera, None)
                del self._cameras[camera]
        for state in self._cameras.values():
            state.due_ns = 0

    def put_reply(self, line: bytes) -> None:
        """Queue the answer to a request. Raises RepliesNotRead past the bound."""
        if self._ended:
            return
        if len(self._replies) >= self._max_replies:
            raise RepliesNotRead
        self._replies.append(line)

    def put_status(self, line: bytes) -> None:
        """Send this status next; it replaces one that still waits."""
        if not self._ended:
            self._status = line

    def answer_status(self, line: bytes) -> None:
        """Queue a status as a reply, in its turn among them; one that still waits to be pushed is older and dropped."""
        self.put_reply(line)
        self._status = None

    def offer(self, detections: Detections) -> None:
        """Let a result take its camera's slot; one that waited there is missed, unless `max_hz` thins this one."""
        name = detections.camera
        if self._ended or not self._wanted(name):
            return
        camera = self._cameras.get(name)
        if camera is None:
            camera = self._cameras[name] = _Camera()
        due = self._subscribe.max_hz is None or self._is_due(camera, detections.published_ns)
        if name in self._waiting:
            camera.missed += due
        elif not due:
            return
        self._waiting[name] = detections  # a replaced one keeps its turn

    def take(self) -> bytes | None:
        """Return the next line to send, None when there is none."""
        if self._replies:
            return self._replies.popleft()
        if self._status is not None:
            status, self._status = self._status, None
            return status
        for name, detections in self._waiting.items():
            del self._waiting[name]
            camera = self._cameras[name]
            missed, camera.missed = camera.missed, 0
            return detections.line(missed, self._subscribe)
        return None

    def end_with(self, line: bytes) -> None:
        """Drop status and results, keep the replies, and let this line be the last: nothing more is taken in."""
        self._ended = True
        self._status = None
        self._waiting.clear()
        self._replies.append(line)

    def _wanted(self, camera: str) -> bool:
        return self._subscribe.cameras is None or camera in self._subscribe.cameras

    def _is_due(self, camera: _Camera, now_ns: int) -> bool:
        """Whether the result of `now_ns` has a turn under `max_hz`. Turns lie on a grid, so jitter costs no rate."""
        if now_ns < camera.due_ns:
            return False
        period_ns = round(1e9 / (self._subscribe.max_hz or 1.0))
        late_ns = now_ns - camera.due_ns
        camera.due_ns = (camera.due_ns if late_ns < period_ns else now_ns) + period_ns
        return True
