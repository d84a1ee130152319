"""How far a verification is: bars on a terminal where rich is, else a line for each variant."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self, TextIO


class Progress:
    """One bar for each variant; `err` is where people look, not where results go."""

    def __init__(self, err: TextIO) -> None:
        self._err = err
        self._bars: Any = None
        self._bar: Any = None
        self._name = ""

    def __enter__(self) -> Self:
        if self._err.isatty() and find_spec("rich") is not None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn(), TimeRemainingColumn()
            self._bars = Bars(*columns, console=Console(file=self._err), transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str, doing: str = "running") -> None:
        """Begin with another variant, or with what comes before them."""
        self._name = name
        if self._bars is None:
            print(f"{doing} {name}", file=self._err, flush=True)
        else:
            if self._bar is not None:
                self._bars.remove_task(self._bar)
            self._bar = self._bars.add_task(name, total=None)

    def stage(self, what: str, done: int, of: int) -> None:
        """Say what it is at."""
        if self._bars is not None:
            self._bars.update(self._bar, description=f"{self._name}: {what}", completed=done, total=of or None)
