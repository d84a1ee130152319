"""How far a bench is: a bar on a terminal where rich is; else a line at the beginning, and none while it measures."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self, TextIO


class Progress:
    """Steps of about the same length, told one after the other; `err` is where people look, not where results go."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._bars: Any = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._err.isatty() and find_spec("rich") is not None:
            from rich.console import Console
            from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            console = Console(file=self._err)
            # Drawn once a second: a bar that moves all the time takes its share of the cores that are measured.
            self._bars = Bars(
                TextColumn("{task.description}"),
                BarColumn(20),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                refresh_per_second=1,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, text: str, total: float) -> None:
        """Begin with something that takes `total` steps, or seconds."""
        if self._bars is None:
            print(text, file=self._err, flush=True)
        else:
            self._bar = self._bars.add_task(text, total=total)

    def step(self, text: str) -> None:
        """Say what comes next; the step before has ended."""
        if self._bars is not None:
            done = self._bars.tasks[self._bar].fields.get("begun", 0)
            self._bars.update(self._bar, description=text, completed=done, begun=done + 1)

    def reach(self, done: float) -> None:
        """Say how far it is, in what `begin` was told."""
        if self._bars is not None:
            self._bars.update(self._bar, completed=done)

    def end(self) -> None:
        """What was begun is over."""
        if self._bars is not None:
            self._bars.remove_task(self._bar)
