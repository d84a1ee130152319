"""What the parent and its workers say to each other over a Channel: one frozen class per message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from visiond.detection import Result


@dataclass(frozen=True, slots=True)
class OpenCamera:
    """Parent → camera worker, once, first. It travels here and not in argv, where `ps` would show a password.

    `size` is (width, height); `fps` 0 means as fast as the engine takes them (files, pictures); None: the source's own.
    """

    name: str
    source: str
    size: tuple[int, int] | None
    fps: float | None
    rotate: int


@dataclass(frozen=True, slots=True)
class CameraReport:
    """Camera worker → parent, on each change and once a second.

    `state`: opening, streaming, absent, lost, busy, refused, ended. `reason`: what is wrong and what to do, in words.
    `retry_in_s` dates the next try. `fps` is measured over the last second. `skipped` counts, by reason, what never
    became a frame (an unreadable picture, a corrupt buffer), since the worker started.
    """

    state: str
    reason: str | None = None
    retry_in_s: float | None = None
    size: tuple[int, int] | None = None
    format: str | None = None
    fps: float | None = None
    skipped: dict[str, int] | None = None


@dataclass(frozen=True, slots=True)
class RingOffer:
    """Camera worker → parent → engine worker: a new ring, with descriptors (memory, doorbell, taken).

    The camera rings the doorbell (an eventfd) for each frame; the reader answers on `taken` when it has taken one.
    A later offer for the same camera replaces this ring. `max_age_ms` is filled in by the parent.
    """

    camera: str
    max_age_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DropRing:
    """Parent → engine worker: this camera's ring is gone."""

    camera: str


@dataclass(frozen=True, slots=True)
class LoadModel:
    """Parent → engine worker, once, first. `package` is the folder; `file` the key in its `files`: cpu or edgetpu."""

    name: str
    package: str
    file: str
    threads: int
    min_score: float
    max_objects: int


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """How a model does on its golden examples: `failures` holds a sentence with the numbers for each that failed."""

    passed: int
    failed: int
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineReady:
    """Engine worker → parent: the model runs. `engine`: cpu or edgetpu; `runtime`: its name and version."""

    engine: str
    runtime: str
    input_size: tuple[int, int]
    invoke_ms: float
    golden: GoldenReport


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """Engine worker → parent: a taken frame gave no result. `reason`: expired, invalid_output, invoke_error."""

    camera: str
    frame: int
    reason: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Worker → parent: last words before it exits. `permanent`: trying again cannot help until a person mends it."""

    text: str
    permanent: bool = False


Message = OpenCamera | CameraReport | RingOffer | DropRing | LoadModel | EngineReady | FrameDropped | Fault | Result

_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (OpenCamera, CameraReport, RingOffer, DropRing, LoadModel, EngineReady, FrameDropped, Fault, Result)
}


def to_json(message: Message) -> dict[str, Any]:
    """Return the message as JSON fields, its class name under "message"."""
    fields = message.to_json() if isinstance(message, Result) else asdict(message)
    return {"message": type(message).__name__, **fields}


def from_json(fields: Mapping[str, Any]) -> Message:
    """Rebuild a message; raises ValueError for anything that is not one."""
    values = dict(fields)
    kind = _KINDS.get(values.pop("message", ""))
    if kind is None:
        raise ValueError(f"no such message: {str(fields)[:80]}")
    try:
        return _rebuild(kind, values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _rebuild(kind: type[Any], values: dict[str, Any]) -> Message:
    if kind is Result:
        return Result.from_json(values)
    if values.get("golden") is not None:
        golden = values["golden"]
        values["golden"] = GoldenReport(golden["passed"], golden["failed"], tuple(golden["failures"]))
    for pair in ("size", "input_size"):
        if values.get(pair) is not None:
            values[pair] = tuple(values[pair])
    message: Message = kind(**values)
    return message
