"""What each request of a client does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from visiond.publish import wire
from visiond.publish.outbox import Outbox
from visiond.publish.requests import Ping, Subscribe, parse_request

Fields = Mapping[str, Any]


def answer(line: bytes, outbox: Outbox, hello: Callable[[], Fields], status: Callable[[], Fields]) -> None:
    """Carry out one request. Raises ProtocolError, whose text is the reply, and RepliesNotRead."""
    request = parse_request(line)
    if isinstance(request, Ping):
        outbox.put_reply(wire.pong(request.request_id))
    elif isinstance(request, Subscribe):
        fields = hello()
        request.check(fields["cameras"], _known_labels(fields["models"]))
        outbox.subscribe(request)
    else:
        outbox.answer_status(wire.encode_status(status()))


def _known_labels(models: Mapping[str, Fields]) -> set[str] | None:
    """Return every model's labels; None where a model does not tell them, as then nothing can be said of a name."""
    lists = [model["labels"] for model in models.values()]
    if any(labels is None for labels in lists):
        return None
    return {label for labels in lists for label in labels if label is not None}
