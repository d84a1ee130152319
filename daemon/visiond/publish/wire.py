"""What goes out on the socket: values to bytes, one JSON object per line, no I/O. Requests come in through requests.py.

Protocol 1.0 as in docs/protocol.md; protocol.schema.json describes every message.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from visiond.detection import Mask, Result
from visiond.publish.items import Item, check_finite, items_of, name, that_fit, with_masks
from visiond.publish.requests import EVERYTHING, Subscribe

PROTOCOL: Final = (1, 0)
MAX_LINE_BYTES: Final = 64 * 1024  # with the newline
_ROOM_FOR_COUNTS: Final = 64  # bytes that `missed`, `omitted` and the punctuation of a detections message may take
_SHORT_TEXT: Final = 160  # characters a text of `status` keeps when the whole would not fit

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class MessageTooLong(ValueError):
    """A message that would pass 64 KiB; it is not sent, for a part of one would be worse."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the message as one line. Raises ValueError for NaN and infinity, MessageTooLong past 64 KiB."""
    line = _encode(message) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise MessageTooLong(f"a {message.get('type')} message of {len(line)} bytes; {MAX_LINE_BYTES} are allowed")
    return line


def _encode(value: object) -> bytes:
    # A file name that is no UTF-8 reaches a `reason` as lone surrogates: a question mark is better than no message.
    return _encoder.encode(value).encode("utf-8", "replace")


def hello(
    *,
    version: str,
    instance: str,
    boot_id: str,
    monotonic_ns: int,
    wall_ns: int,
    wall_synced: bool,
    heartbeat_ms: int,
    cameras: Mapping[str, Mapping[str, Any]],
    models: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the first message of a connection, its fields in the protocol's order.

    `cameras[name]` holds size ([w, h] or None), model and state; `models[name]` task, sha256 and labels.
    """
    return {
        "type": "hello",
        "protocol": list(PROTOCOL),
        "version": version,
        "instance": instance,
        "boot_id": boot_id,
        "monotonic_ns": monotonic_ns,
        "wall_ns": wall_ns,
        "wall_synced": wall_synced,
        "heartbeat_ms": heartbeat_ms,
        "cameras": cameras,
        "models": models,
    }


def encode_hello(message: Mapping[str, Any]) -> bytes:
    """Return the line of a hello. Where it would pass 64 KiB, labels become null, the longest list first."""
    models = {name: dict(model) for name, model in message["models"].items()}
    by_length = sorted(models.values(), key=lambda model: len(_encode(model["labels"])))
    while True:
        try:
            return encode({**message, "models": models})
        except MessageTooLong:
            if not by_length:
                raise
            by_length.pop()["labels"] = None


def encode_status(message: Mapping[str, Any]) -> bytes:
    """Return the line of a status. Where it would pass 64 KiB, its texts are cut, which an ellipsis shows."""
    try:
        return encode(message)
    except MessageTooLong:
        shortened: dict[str, Any] = _shortened(message)
        return encode(shortened)


def _shortened(value: Any) -> Any:
    """Return the value with every text cut to 160 characters and every list of texts to its first three."""
    if isinstance(value, Mapping):
        return {key: _shortened(item) for key, item in value.items()}
    if isinstance(value, str) and len(value) > _SHORT_TEXT:
        return value[: _SHORT_TEXT - 1] + "…"
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], str):
        return [_shortened(item) for item in value[:3]]
    return value


def bye(reason: str) -> bytes:
    """Return the last line of a connection."""
    return encode({"type": "bye", "reason": reason})


def error(reason: str) -> bytes:
    """Return the answer to a request that cannot be served."""
    return encode({"type": "error", "reason": reason})


def pong(request_id: str | int | None) -> bytes:
    """Return the answer to a ping, with the ping's own id if it had one."""
    return encode({"type": "pong"} if request_id is None else {"type": "pong", "id": request_id})


@dataclass(frozen=True)
class Detections:
    """One result, encoded once for all clients; `line` puts in what differs from client to client."""

    camera: str
    seq: int
    published_ns: int
    _before_missed: bytes
    _after_missed: bytes
    _items: tuple[Item, ...]
    _masks: tuple[Mask, ...]  # of the items, where they are segments
    _joined: bytes  # the items
    _whole: bytes  # the line for a client that wants everything and missed nothing

    def line(self, missed: int = 0, subscribe: Subscribe = EVERYTHING) -> bytes:
        """Return the line for one client: `missed` is how many results it did not get since its last message."""
        items = self._items_with_masks if subscribe.masks and self._masks else self._items
        joined = self._joined
        if items is not self._items or subscribe.labels is not None or subscribe.min_score is not None:
            joined = b",".join(item.encoded for item in items if subscribe.wants(item.label, item.score))
        elif not missed:
            return self._whole
        return _detections_line(self._before_missed, missed, self._after_missed, joined)

    @cached_property
    def _items_with_masks(self) -> tuple[Item, ...]:
        """Made when the first client wants them."""
        return with_masks(self._items, self._masks, _room(self._before_missed, self._after_missed))


def _detections_line(before_missed: bytes, missed: int, after_missed: bytes, joined: bytes) -> bytes:
    return b"%b%d%b%b]}\n" % (before_missed, missed, after_missed, joined)


def _room(before_missed: bytes, after_missed: bytes) -> int:
    """Return how many bytes of a line are left for the items."""
    return MAX_LINE_BYTES - len(before_missed) - len(after_missed) - _ROOM_FOR_COUNTS


def detections(result: Result, *, seq: int, epoch: int, published_ns: int, degraded: bool) -> Detections:
    """Encode one result. Raises ValueError for NaN or infinity in it.

    Scores keep 4 decimals, corners, points and areas 5, milliseconds 2. Where the line would pass 64 KiB the objects of
    the lowest scores, or the smallest segments, are left out, and `omitted` says how many.
    """
    before_missed = (
        f'{{"type":"detections","camera":{name(result.camera)},"seq":{seq},"frame":{result.frame},"epoch":{epoch},'
        f'"captured_ns":{result.captured_ns},"published_ns":{published_ns},'
        f'"age_ms":{_ms((published_ns - result.captured_ns) / 1e6)},"engine":{name(result.engine)},'
        f'"degraded":{"true" if degraded else "false"},"missed":'
    ).encode()
    spent = result.stages_ms
    stages = (
        f'"stages_ms":{{"wait":{_ms(spent.wait)},"preprocess":{_ms(spent.preprocess)},"invoke":{_ms(spent.invoke)},'
        f'"decode":{_ms(spent.decode)}}}'
    ).encode()
    key, items = items_of(result)
    kept = that_fit(items, _room(before_missed, stages))
    if len(kept) < len(items):
        stages += b',"omitted":%d' % (len(items) - len(kept))
    after_missed = b',%b,"%b":[' % (stages, key)
    masks = tuple(result.segments[index].mask for index in kept) if result.segments is not None else ()
    items = tuple(items[index] for index in kept)
    joined = b",".join(item.encoded for item in items)
    whole = _detections_line(before_missed, 0, after_missed, joined)
    return Detections(result.camera, seq, published_ns, before_missed, after_missed, items, masks, joined, whole)


def _ms(milliseconds: float) -> str:
    check_finite(milliseconds)
    return f"{round(milliseconds, 2)}"
