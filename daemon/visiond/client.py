"""What a robot imports to read visiond's socket. One file, standard library only: copy it wherever it is needed.

    from visiond.client import connect

    for message in connect("/run/visiond/visiond.sock", labels=["person"], min_score=0.6):
        if message["type"] == "detections":
            print(message["camera"], message["objects"])

`connect` ends when the daemon does; `stay_connected` comes back to it, and says so while it is away. The messages are
plain dicts, as docs/protocol.md shows them; the types below are for editors and mypy.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Final, Literal, NotRequired, Self, TypedDict, cast

PROTOCOL: Final = 1
DEFAULT_PATH: Final = "/run/visiond/visiond.sock"
SILENCE_S: Final = 5.0
"""The daemon speaks every second (`heartbeat_ms` in hello). Silence this long means that it hangs."""
MAX_LINE_BYTES: Final = 64 * 1024
MAX_RETRY_S: Final = 5.0
_FIRST_RETRY_S: Final = 0.25
_SUBSCRIBED: Final = "subscribed"


class HelloCamera(TypedDict):
    """A camera in hello: `size` is width and height in pixels, None until a frame came; `model` a key of `models`."""

    size: list[int] | None
    model: str
    state: str


class HelloModel(TypedDict):
    """A model in hello: `labels` by class id, None where a label or the whole list is not known."""

    task: str
    sha256: str
    labels: list[str | None] | None


class Hello(TypedDict):
    """The first message of each connection. `monotonic_ns` and `wall_ns` are one moment on both of its clocks."""

    type: Literal["hello"]
    protocol: list[int]
    version: str
    instance: str
    boot_id: str
    monotonic_ns: int
    wall_ns: int
    wall_synced: bool
    heartbeat_ms: int
    cameras: dict[str, HelloCamera]
    models: dict[str, HelloModel]


class PosePoint(TypedDict):
    """A keypoint: `x` and `y` as fractions of the frame, origin at the top left; `score` is 0 to 1."""

    name: str | None
    x: float
    y: float
    score: float


class DetectedObject(TypedDict):
    """`box` is xmin, ymin, xmax, ymax as fractions of the frame, origin at the top left; `score` is 0 to 1.

    A pose has `keypoints`, in the model's order.
    """

    label: str | None
    class_id: int
    score: float
    box: list[float]
    track_id: int | None
    zones: list[str]
    keypoints: NotRequired[list[PosePoint]]


class DetectedClass(TypedDict):
    """One class of a classifier's ranking; `score` is 0 to 1."""

    label: str | None
    class_id: int
    score: float


class RunLengths(TypedDict):
    """A mask as COCO has it: `size` is height and width of a grid over the whole frame; see `mask_rows`."""

    size: list[int]
    counts: list[int]


class DetectedSegment(TypedDict):
    """All of the frame that belongs to one class; `area` is its fraction of the frame, `box` encloses it.

    `mask` is there when it was asked for; None where it would not fit into a message.
    """

    label: str | None
    class_id: int
    area: float
    box: list[float]
    mask: NotRequired[RunLengths | None]


class Detections(TypedDict):
    """What was seen in one frame; an empty list means that nothing was. Times are CLOCK_MONOTONIC of the device."""

    type: Literal["detections"]
    camera: str
    seq: int
    frame: int
    epoch: int
    captured_ns: int
    published_ns: int
    age_ms: float
    engine: str
    degraded: bool
    missed: int
    stages_ms: dict[str, float]
    omitted: NotRequired[int]
    objects: NotRequired[list[DetectedObject]]
    classes: NotRequired[list[DetectedClass]]
    segments: NotRequired[list[DetectedSegment]]


class Status(TypedDict):
    """How the daemon does: `state` is ok, degraded or blind. The parts are described in docs/protocol.md."""

    type: Literal["status"]
    state: Literal["ok", "degraded", "blind"]
    reason: str | None
    monotonic_ns: int
    wall_ns: int
    wall_synced: bool
    uptime_s: float
    cameras: dict[str, dict[str, Any]]
    engines: dict[str, dict[str, Any]]
    edgetpus: list[dict[str, Any]]
    board: dict[str, Any] | None
    reload: dict[str, Any] | None
    clients: dict[str, int]


class Pong(TypedDict):
    """The answer to a ping."""

    type: Literal["pong"]
    id: NotRequired[str | int]


class Error(TypedDict):
    """A request was refused."""

    type: Literal["error"]
    reason: str


class Bye(TypedDict):
    """The daemon closes this connection."""

    type: Literal["bye"]
    reason: str


class Away(TypedDict):
    """Made by `stay_connected`, not by the daemon: there is no connection, so nothing is known of what can be seen."""

    type: Literal["away"]
    reason: str
    retry_in_s: float


Message = Hello | Detections | Status | Pong | Error | Bye


class Refused(Exception):
    """The daemon does not know what was asked for: a camera or a label that it does not have, a number out of range."""


class Connection:
    """A connection to the daemon, to be iterated over. Iteration ends with the daemon's bye or the end of the stream.

    Raises OSError when there is no daemon or the connection breaks, TimeoutError (an OSError too) when the daemon is
    silent for `silence_s`, ValueError when what it says is not the protocol.
    """

    def __init__(self, path: str | PathLike[str] = DEFAULT_PATH, silence_s: float = SILENCE_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._received = bytearray()
        self._subscribing = False
        self._socket.settimeout(silence_s)
        try:
            self._socket.connect(fspath(path))
        except OSError:
            self._socket.close()
            raise

    def __iter__(self) -> Iterator[Message]:
        while (line := self._read_line()) is not None:
            message = _message(line)
            if self._subscribing and not self._passes(message):
                continue
            if message["type"] == "hello" and message["protocol"][0] != PROTOCOL:
                raise ValueError(f"the daemon speaks protocol {message['protocol']}, this client {PROTOCOL}: update it")
            yield message
            if message["type"] == "bye":
                return

    def subscribe(
        self,
        *,
        cameras: Sequence[str] | None = None,
        labels: Sequence[str] | None = None,
        min_score: float | None = None,
        max_hz: float | None = None,
        masks: bool | None = None,
    ) -> None:
        """Ask for less than everything; it replaces what was asked for before. A refusal comes as an error message.

        `masks`: let segments come with their masks.
        """
        asked = {"cameras": cameras, "labels": labels, "min_score": min_score, "max_hz": max_hz, "masks": masks}
        self._request({"type": "subscribe", **{key: value for key, value in asked.items() if value is not None}})

    def ask_status(self) -> None:
        """Ask for a status message now; one comes every second anyway."""
        self._request({"type": "status"})

    def ping(self, request_id: str | int | None = None) -> None:
        """Ask for a pong: when it comes, every request before it has been carried out."""
        self._request({"type": "ping"} if request_id is None else {"type": "ping", "id": request_id})

    def fileno(self) -> int:
        """Descriptor, for those who wait on several things."""
        return self._socket.fileno()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _passes(self, message: Message) -> bool:
        """Hold results back until the pong that follows the first subscription: before it they are unfiltered."""
        if message["type"] == "error":
            raise Refused(message["reason"])
        if message["type"] == "pong" and message.get("id") == _SUBSCRIBED:
            self._subscribing = False
            return False
        return message["type"] != "detections"

    def _request(self, fields: Mapping[str, object]) -> None:
        try:
            self._socket.sendall(json.dumps(fields).encode() + b"\n")
        except ConnectionError:  # it has hung up; why, is still there to be read
            pass

    def _read_line(self) -> bytes | None:
        """Return the next line; None at the end, where a line without its newline is worth nothing."""
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > MAX_LINE_BYTES:
                raise ValueError(f"a line of more than {MAX_LINE_BYTES} bytes; this is not visiond's socket")
            data = self._socket.recv(MAX_LINE_BYTES)
            if not data:
                return None
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line


def connect(
    path: str | PathLike[str] = DEFAULT_PATH,
    *,
    cameras: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    min_score: float | None = None,
    max_hz: float | None = None,
    masks: bool | None = None,
    silence_s: float = SILENCE_S,
) -> Connection:
    """Connect, and subscribe where something is asked for; iterate over what comes back.

    A robot that asks for persons must not take everything for a person: no result comes before the subscription holds,
    and one that the daemon refuses raises Refused. Other errors as in Connection.
    """
    connection = Connection(path, silence_s)
    if (cameras, labels, min_score, max_hz, masks) != (None, None, None, None, None):
        connection._subscribing = True
        connection.subscribe(cameras=cameras, labels=labels, min_score=min_score, max_hz=max_hz, masks=masks)
        connection.ping(_SUBSCRIBED)
    return connection


def stay_connected(
    path: str | PathLike[str] = DEFAULT_PATH,
    *,
    cameras: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    min_score: float | None = None,
    max_hz: float | None = None,
    masks: bool | None = None,
    silence_s: float = SILENCE_S,
) -> Iterator[Message | Away]:
    """Yield messages for ever, over as many connections as it takes; a hello starts each.

    While there is none, an `away` message says why and when the next try is (0.25 s later, then up to 5 s): a robot
    that sees it knows that it sees nothing. Raises Refused, as `connect` does: trying again would not help.
    """
    retry_s = _FIRST_RETRY_S
    while True:
        reason = "the daemon closed the connection"
        try:
            connection = connect(
                path,
                cameras=cameras,
                labels=labels,
                min_score=min_score,
                max_hz=max_hz,
                masks=masks,
                silence_s=silence_s,
            )
            with connection:
                for message in connection:
                    yield message
                    if message["type"] == "bye":
                        reason = message["reason"]
                    else:
                        retry_s = _FIRST_RETRY_S
        except TimeoutError:
            reason = f"the daemon said nothing for {silence_s:g} s"
        except OSError as error:
            reason = f"{fspath(path)}: {error.strerror or error}"
        except ValueError as error:
            reason = str(error)
        yield {"type": "away", "reason": reason, "retry_in_s": retry_s}
        time.sleep(retry_s)
        retry_s = min(2 * retry_s, MAX_RETRY_S)


def mask_rows(mask: RunLengths) -> list[bytes]:
    """Unpack a mask: a row of bytes for each row of its grid, 1 where a cell is inside and 0 where it is not."""
    height, width = mask["size"]
    columns = b"".join(bytes([number % 2]) * count for number, count in enumerate(mask["counts"]))
    if len(columns) != height * width:
        raise ValueError(f"a mask of {len(columns)} cells, where {height} x {width} are {height * width}")
    return [columns[row::height] for row in range(height)]


def _message(line: bytes) -> Message:
    value = json.loads(line)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        raise ValueError(f"not a message of visiond: {line[:80]!r}")
    return cast(Message, value)
