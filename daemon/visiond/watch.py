"""`visiond watch`: what the daemon sees, as a live table on a terminal, as lines elsewhere, as JSON for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final, TextIO, cast

from visiond.client import Connection, DetectedClass, DetectedObject, DetectedSegment, Detections, Hello, Status
from visiond.daemon_connection import daemon_connection, gone
from visiond.errors import OutputClosed, UnavailableError, UsageError

NOTHING: Final = "nothing"  # seen


def watch(
    socket_path: Path, camera: str | None, count: int | None, as_json: bool, out: TextIO, masks: bool = False
) -> int:
    """Show detections until Ctrl-C, or until `count` of them; return 0.

    `as_json`: one detections message a line and nothing else on `out`; `masks`: segments come with them. Changes of the
    daemon's state go to stderr where there is no table. Raises UnavailableError when there is no daemon, and in line
    mode when it goes away; the table waits for it to return. Raises UsageError for a camera that the daemon does not
    have.
    """
    if count is not None and count < 1:
        raise UsageError(f"--count {count}: give 1 or more")
    if masks and not as_json:
        raise UsageError("--masks: masks are for programs, give --json too")
    try:
        if not as_json and out.isatty() and find_spec("rich") is not None:
            from visiond.watch_table import show_table

            with daemon_connection(socket_path) as connection:
                _check_hello(
                    connection, camera
                )  # a wrong path or camera is told now; later it is a daemon that is away
            show_table(socket_path, camera, count, out)
        else:
            _print_lines(socket_path, camera, count, _json_line if as_json else plain_line, out, masks)
    except KeyboardInterrupt:
        pass
    return 0


def summary(message: Detections) -> str:
    """Return what the message lists in a few words, each label once with its best score: "person x3 0.91, dog 0.62".

    A segment has its part of the picture in place of a score: "bird 17 %". Of a pose, the number of its keypoints that
    are more likely there than not stands behind the score: "person 0.62 (14 of 17)".
    """
    if "segments" in message:
        parts = [f"{_name(item)} {100 * item['area']:.0f} %" for item in message["segments"]]
        return ", ".join(parts) or NOTHING
    items: Sequence[DetectedObject] | Sequence[DetectedClass] = message.get("objects") or message.get("classes") or []
    best: dict[str, list[DetectedObject | DetectedClass]] = {}
    for item in sorted(items, key=lambda item: -item["score"]):
        best.setdefault(_name(item), []).append(item)
    parts = [
        f"{label}{f' x{len(each)}' if len(each) > 1 else ''} {each[0]['score']:.2f}{_seen(each[0])}"
        for label, each in best.items()
    ]
    return ", ".join(parts) or NOTHING


def _name(item: DetectedObject | DetectedClass | DetectedSegment) -> str:
    return item["label"] or f"class {item['class_id']}"


def _seen(item: DetectedObject | DetectedClass) -> str:
    """Return how much of a pose is there; nothing for what is none."""
    keypoints = cast(DetectedObject, item).get("keypoints")
    if keypoints is None:
        return ""
    return f" ({sum(point['score'] >= 0.5 for point in keypoints)} of {len(keypoints)})"


def plain_line(message: Detections) -> str:
    """Return a detections message as one line for a person."""
    late = f" (missed {message['missed']})" if message["missed"] else ""
    engine = message["engine"] + (" degraded" if message["degraded"] else "")
    return (
        f"{time.strftime('%H:%M:%S')} {message['camera']} #{message['seq']}{late} "
        f"{message['age_ms']:.1f} ms {engine}: {summary(message)}"
    )


def check_camera(hello: Hello, camera: str | None) -> None:
    """Raise UsageError where the daemon has no such camera."""
    if camera is not None and camera not in hello["cameras"]:
        known = ", ".join(sorted(hello["cameras"])) or "none"
        raise UsageError(f"--camera {camera}: the daemon has no such camera; there is {known}")


def _json_line(message: Detections) -> str:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _check_hello(connection: Connection, camera: str | None) -> None:
    """Read hello, which must come first. Raises UsageError where the daemon has no such camera."""
    for message in connection:
        if message["type"] == "hello":
            check_camera(message, camera)
            return
        if message["type"] == "bye":
            raise UnavailableError(f"the daemon sends us away: {message['reason']}")


def _print_lines(
    socket_path: Path,
    camera: str | None,
    count: int | None,
    line: Callable[[Detections], str],
    out: TextIO,
    masks: bool,
) -> None:
    left = count
    state: tuple[str, str | None] = ("ok", None)
    reason = None
    with daemon_connection(socket_path, camera, masks) as connection:
        _check_hello(connection, camera)
        for message in connection:
            if message["type"] == "detections":
                _emit(line(message), out)
                left = None if left is None else left - 1
                if left == 0:
                    return
            elif message["type"] == "status":
                state = _tell_change(message, state)
            elif message["type"] == "bye":
                reason = message["reason"]
    raise UnavailableError(gone(socket_path, reason))


def _emit(line: str, out: TextIO) -> None:
    """Print a line; what goes wrong with the output is no OSError, which would be taken for the connection's."""
    try:
        print(line, file=out, flush=True)
    except BrokenPipeError:
        raise OutputClosed from None
    except OSError as error:
        raise UnavailableError(f"the output cannot be written: {error.strerror}") from None


def _tell_change(status: Status, told: tuple[str, str | None]) -> tuple[str, str | None]:
    """Tell a change of state on stderr: without it, a daemon that has gone blind would only be silent."""
    now = status["state"], status["reason"]
    if now != told:
        print(f"visiond is {now[0]}" + (f": {now[1]}" if now[1] else ""), file=sys.stderr, flush=True)
    return now
