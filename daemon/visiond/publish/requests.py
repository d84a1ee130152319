"""What a client may ask: one line of bytes in, one frozen request out, or ProtocolError in words. No I/O."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Final, NoReturn

MAX_LINE_BYTES: Final = 4096  # without the newline
_MAX_NAMES: Final = 256
_MAX_ID_CHARACTERS: Final = 128
_MAX_ID: Final = 2**53  # what every JSON reader keeps exactly
_MAX_HZ: Final = (0.001, 1000.0)


class ProtocolError(Exception):
    """A request that cannot be served; the text is the reply's `reason`."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """What a client wants; None means no restriction. A later one replaces the whole of an earlier one.

    `masks`: whether segments come with their masks.
    """

    cameras: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    min_score: float | None = None
    max_hz: float | None = None
    masks: bool = False

    def wants(self, label: str | None, score: float | None) -> bool:
        """Whether an object or class passes, or a segment, which has no score."""
        if self.labels is not None and label not in self.labels:
            return False
        return self.min_score is None or score is None or score >= self.min_score

    def check(self, cameras: Collection[str], labels: Collection[str] | None) -> None:
        """Raise ProtocolError for a camera or label that is not here; `labels` None: not all are known."""
        for camera in sorted((self.cameras or frozenset()).difference(cameras)):
            raise ProtocolError(f"subscribe: there is no camera {_quoted(camera)}; there is {_listed(cameras)}")
        if labels is not None:
            for label in sorted((self.labels or frozenset()).difference(labels)):
                raise ProtocolError(
                    f"subscribe: no model here knows the label {_quoted(label)}; hello lists the labels"
                )


EVERYTHING: Final = Subscribe()


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Ask for a status message now."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask for a pong, which comes after the answers to all earlier requests; it carries `request_id` back."""

    request_id: str | int | None = None


Request = Subscribe | StatusRequest | Ping


def parse_request(line: bytes) -> Request:
    """Read one request (without its newline or with it). Raises ProtocolError for anything that is not exactly one."""
    fields = _json_object(line)
    kind = fields.pop("type", None)
    known = ", ".join(_READERS)
    if not isinstance(kind, str):
        raise ProtocolError(f'a request has a "type", one of {known}')
    if kind not in _READERS:
        raise ProtocolError(f"no such request: {_quoted(kind)}; the types are {known}")
    request = _READERS[kind](fields)
    for key in fields:
        raise ProtocolError(f"{kind}: unknown key {_quoted(key)}; the keys are {_KEYS[kind]}")
    return request


def _json_object(line: bytes) -> dict[str, Any]:
    if len(line.rstrip(b"\r\n")) > MAX_LINE_BYTES:
        raise ProtocolError(f"a request of more than {MAX_LINE_BYTES} bytes")
    try:
        value = json.loads(line.decode(), object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise ProtocolError("a request must be UTF-8") from None
    except json.JSONDecodeError as error:
        raise ProtocolError(
            f"a request must be one JSON object on one line: {error.msg}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ProtocolError("a request must be one JSON object, not nested as deep as this") from None
    except ValueError:  # int() refuses more than 4,300 digits
        raise ProtocolError("a request must not hold numbers of thousands of digits") from None
    if not isinstance(value, dict):
        raise ProtocolError('a request must be a JSON object such as {"type":"status"}')
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ProtocolError(f"the key {_quoted(twice)} stands twice in the request")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ProtocolError(f"{name} is not a JSON number")


def _subscribe(fields: dict[str, Any]) -> Subscribe:
    labels = _names(fields, "labels")
    if labels is not None and not labels:
        raise ProtocolError("subscribe: labels is empty, so no object could pass; leave it out for every label")
    return Subscribe(
        cameras=_names(fields, "cameras"),
        labels=labels,
        min_score=_number(fields, "min_score", 0.0, 1.0),
        max_hz=_number(fields, "max_hz", *_MAX_HZ),
        masks=_flag(fields, "masks"),
    )


def _status(_fields: dict[str, Any]) -> StatusRequest:
    return StatusRequest()


def _ping(fields: dict[str, Any]) -> Ping:
    request_id = fields.pop("id", None)
    if request_id is None or (isinstance(request_id, str) and len(request_id) <= _MAX_ID_CHARACTERS):
        return Ping(request_id)
    if isinstance(request_id, int) and not isinstance(request_id, bool) and abs(request_id) <= _MAX_ID:
        return Ping(request_id)
    raise ProtocolError(
        f"ping: id must be a whole number up to 2^53 or a text of up to {_MAX_ID_CHARACTERS} characters"
    )


_READERS: Final[dict[str, Callable[[dict[str, Any]], Request]]] = {
    "subscribe": _subscribe,
    "status": _status,
    "ping": _ping,
}
_KEYS: Final = {
    "subscribe": "type, cameras, labels, min_score, max_hz, masks",
    "status": "type",
    "ping": "type, id",
}


def _names(fields: dict[str, Any], key: str) -> frozenset[str] | None:
    value = fields.pop(key, None)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > _MAX_NAMES or not all(isinstance(name, str) for name in value):
        raise ProtocolError(f'subscribe: {key} must be a list of up to {_MAX_NAMES} names, such as ["front"]')
    return frozenset(value)


def _number(fields: dict[str, Any], key: str, low: float, high: float) -> float | None:
    value = fields.pop(key, None)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ProtocolError(f"subscribe: {key} must be a number from {low:g} to {high:g}")
    return float(value)


def _flag(fields: dict[str, Any], key: str) -> bool:
    value = fields.pop(key, None)
    if value is not None and not isinstance(value, bool):
        raise ProtocolError(f"subscribe: {key} must be true or false")
    return bool(value)


def _quoted(value: str) -> str:
    """Return what the client sent, short enough and plain enough to stand in a reply and in a log."""
    text = json.dumps(value)
    return text if len(text) <= 64 else text[:60] + "…"


def _listed(names: Collection[str]) -> str:
    """Return the names as a sentence's part, the first 20 of them."""
    shown = sorted(names)[:20]
    return (", ".join(shown) + (", …" if len(names) > len(shown) else "")) or "none"
