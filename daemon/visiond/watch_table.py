"""The live table of `visiond watch`; the only file that needs rich."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from visiond.client import Away, Detections, Hello, Message, Status, stay_connected
from visiond.watch import NOTHING, check_camera, summary

_REFRESHES_PER_S: Final = 8
_OLD_MS: Final = 1000.0  # as old as results are when the daemon calls itself blind
_REASON_CHARS: Final = 230  # three lines of 80 columns: the rows below must stay in sight
_STATE_STYLES: Final = {"ok": "bold green", "degraded": "bold yellow", "blind": "bold red"}


class View:
    """What the screen shows, made of the last message of each kind; `render` may be called at any time."""

    def __init__(self, camera: str | None) -> None:
        self._camera = camera
        self._hello: Hello | None = None
        self._status: Status | None = None
        self._away: Away | None = None
        self._latest: dict[str, tuple[Detections, float]] = {}  # with when it came, in seconds

    def take(self, message: Message | Away) -> None:
        """Let a message change the picture. Raises UsageError where the daemon does not have the camera."""
        if message["type"] == "hello":
            check_camera(message, self._camera)
            self._hello, self._status, self._away, self._latest = message, None, None, {}
        elif message["type"] == "status":
            self._status = message
        elif message["type"] == "detections":
            self._latest[message["camera"]] = message, time.monotonic()
        elif message["type"] == "away":
            self._away = message

    def render(self) -> Group:
        """Return the state's line and a row per camera. The last line is short: the terminal writes its ^C there."""
        return Group(self._state_line(), self._table(), Text("Ctrl-C ends", style="dim"))

    def _state_line(self) -> Text:
        if self._away is not None:
            return Text.assemble(("no daemon", "bold red"), f": {self._away['reason']}; waiting for it to return")
        if self._status is None:
            return Text("connected")
        state, reason = self._status["state"], self._status["reason"]
        reason = reason if reason is None or len(reason) <= _REASON_CHARS else f"{reason[: _REASON_CHARS - 1]}…"
        return Text.assemble((state, _STATE_STYLES[state]), f": {reason}" if reason else "")

    def _table(self) -> Table:
        table = Table(box=None, expand=True, pad_edge=False, header_style="bold")
        table.add_column("camera", no_wrap=True, max_width=16)
        table.add_column("state", no_wrap=True)
        table.add_column("fps", justify="right", no_wrap=True)
        table.add_column("age", justify="right", no_wrap=True, min_width=7)
        table.add_column("engine", no_wrap=True)
        table.add_column("objects", no_wrap=True, overflow="ellipsis", ratio=1)
        names = self._hello["cameras"] if self._hello is not None else {}
        for name in names:
            if self._camera in (None, name):
                table.add_row(*self._row(name))
        return table

    def _row(self, name: str) -> list[Text]:
        status = self._status if self._away is None else None
        camera = status["cameras"].get(name) if status is not None else None
        state = camera["state"] if camera is not None else "unknown"
        fps = camera["fps"] if camera is not None else None
        row = [
            Text(name),
            Text(state, style="green" if state == "streaming" else "yellow"),
            Text("-" if fps is None else f"{fps:.1f}"),
        ]
        if name not in self._latest:
            return [*row, Text("-"), Text("-"), Text("no result yet", style="dim")]
        latest, came_s = self._latest[name]
        age_ms = latest["age_ms"] + 1000 * (
            time.monotonic() - came_s
        )  # our clock: the daemon's may be another device's
        is_old = age_ms > _OLD_MS or self._away is not None
        age = Text(
            f"{latest['age_ms']:.1f} ms" if not is_old else f"{age_ms / 1000:.0f} s", style="red" if is_old else ""
        )
        engine = Text(latest["engine"], style="yellow" if latest["degraded"] else "")
        seen = summary(latest)
        return [*row, age, engine, Text(seen, style="dim" if is_old or seen == NOTHING else "")]


def show_table(socket_path: Path, camera: str | None, count: int | None, out: TextIO) -> None:
    """Show the table until `count` detections came. While there is no daemon it says so, and waits for it."""
    view = View(camera)
    left = count
    messages = stay_connected(socket_path, cameras=None if camera is None else [camera])
    with Live(get_renderable=view.render, console=Console(file=out), refresh_per_second=_REFRESHES_PER_S):
        for message in messages:
            view.take(message)
            if message["type"] == "detections" and left is not None:
                left -= 1
                if left == 0:
                    return
