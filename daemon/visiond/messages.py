"""What the parent and its workers say to each other over a Channel: one frozen class per message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, get_args

from visiond.detection import Result

NO_RUNTIME: Final = "no_runtime"  # none is installed, works, and may be used
NO_LIBRARY: Final = "no_library"  # libedgetpu is not there, or cannot be loaded
STICK_BUSY: Final = "busy"  # another process has the stick


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

    `state`: opening, streaming, absent, lost, frozen, busy, refused, ended. `reason`: what is wrong and what to do.
    `retry_in_s` dates the next try. `fps` is measured over the last second. `skipped` counts, by reason, what never
    became a frame (an unreadable picture, a corrupt buffer), since the worker started. While it streams: `quality` is
    dark, bright or flat where there is little to see, and `remark` says what had better be changed.
    """

    state: str
    reason: str | None = None
    retry_in_s: float | None = None
    size: tuple[int, int] | None = None
    format: str | None = None
    fps: float | None = None
    skipped: dict[str, int] | None = None
    quality: str | None = None
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class RingOffer:
    """Camera worker → parent → engine worker: a new ring, with descriptors (memory, doorbell, taken).

    The camera rings the doorbell (an eventfd, never read) for each frame; a reader answers on `taken` when it has taken
    one. A later offer for the same camera replaces this ring. The parent fills in the rest: the model that sees the
    frames, the number under which the engine reads, and how old a frame may be.
    """

    camera: str
    model: str = ""
    reader: int = 0
    max_age_ms: float | None = None


@dataclass(frozen=True, slots=True)
class DropRing:
    """Parent → engine worker: take no more frames of this camera; answered by RingDropped."""

    camera: str


@dataclass(frozen=True, slots=True)
class RingDropped:
    """Engine worker → parent: each frame that it took of this camera is answered, and no other will be taken."""

    camera: str


@dataclass(frozen=True, slots=True)
class LoadModel:
    """One model for an engine worker. `package` is the folder; `file` the key in its `files`: cpu, edgetpu or onnx.

    `runtime` is the configuration's: auto, litert, tflite-runtime, pycoral, onnx.
    """

    name: str
    package: str
    file: str
    threads: int
    min_score: float
    max_objects: int
    runtime: str = "auto"


@dataclass(frozen=True, slots=True)
class StickOrder:
    """Which Edge TPU a worker drives, and how: the stick at `port` in sysfs, by which it is locked.

    The library has a number of its own for it, which only the worker can ask for.
    """

    device: str
    port: str
    library: str
    performance: str | None
    usb: dict[str, bool | int]
    sysfs: str


@dataclass(frozen=True, slots=True)
class StartEngine:
    """Parent → engine worker, once, first: the models of one interpreter each, on the CPU or all on one `stick`.

    `avoid` names runtimes that have crashed together with the stick's library.
    """

    models: tuple[LoadModel, ...]
    stick: StickOrder | None = None
    avoid: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineStage:
    """Engine worker → parent, while it starts: what it is about to do, in words, should it be the last that it does.

    Before a delegate is loaded: `runtime`, as the configuration names it, and `versions` of both in words.
    """

    stage: str
    runtime: str | None = None
    versions: str | None = None


@dataclass(frozen=True, slots=True)
class GoldenReport:
    """How a model does on its golden examples: `failures` holds a sentence with the numbers for each that failed."""

    passed: int
    failed: int
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelReady:
    """One model runs. `engine`: what really computes it, cpu or edgetpu; `runtime`: name and version; `why`: chosen."""

    name: str
    engine: str
    runtime: str
    why: str | None
    library: str | None
    input_size: tuple[int, int]
    invoke_ms: float
    golden: GoldenReport
    remark: str | None = None


@dataclass(frozen=True, slots=True)
class EngineReady:
    """Engine worker → parent: all of its models run."""

    models: tuple[ModelReady, ...]


@dataclass(frozen=True, slots=True)
class FrameDropped:
    """Engine worker → parent: a taken frame gave no result. `reason`: expired, invalid_output, invoke_error."""

    camera: str
    frame: int
    reason: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Worker → parent: last words before it exits. `permanent`: trying again cannot help until a person mends it.

    `kind` is given where the parent must know the cause: NO_RUNTIME, NO_LIBRARY, STICK_BUSY.
    """

    text: str
    permanent: bool = False
    kind: str | None = None


Message = (
    OpenCamera
    | CameraReport
    | RingOffer
    | DropRing
    | RingDropped
    | StartEngine
    | EngineStage
    | EngineReady
    | FrameDropped
    | Fault
    | Result
)

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in get_args(Message)}


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
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{kind.__name__}: {error}") from error


def _rebuild(kind: type[Any], values: dict[str, Any]) -> Message:
    if kind is Result:
        return Result.from_json(values)
    if kind is StartEngine:
        stick = values["stick"]
        return StartEngine(
            tuple(LoadModel(**model) for model in values["models"]),
            None if stick is None else StickOrder(**stick),
            tuple(values["avoid"]),
        )
    if kind is EngineReady:
        return EngineReady(tuple(_model_ready(**model) for model in values["models"]))
    if values.get("size") is not None:
        values["size"] = tuple(values["size"])
    message: Message = kind(**values)
    return message


def _model_ready(golden: Mapping[str, Any], input_size: Sequence[int], **values: Any) -> ModelReady:
    report = GoldenReport(golden["passed"], golden["failed"], tuple(golden["failures"]))
    width, height = input_size
    return ModelReady(golden=report, input_size=(width, height), **values)
