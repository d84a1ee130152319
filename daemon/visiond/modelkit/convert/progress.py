"""How far a conversion is: a bar on a terminal where rich is, else a line for each step."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self, TextIO


class Progress:
    """Tells of one step after the other; `out` is where people look, not where results go."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bars: Any = None
        self._bar: Any = None
        self._step = ""

    def __enter__(self) -> Self:
        if self._out.isatty() and find_spec("rich") is not None:
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
            )
            self._bars = Bars(*columns, TimeElapsedColumn(), console=Console(file=self._out), transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def step(self, text: str) -> None:
        """Begin with a step; the same again is no new one."""
        if text == self._step:
            return
        self._step = text
        if self._bars is None:
            self.line(text)
            return
        if self._bar is not None:
            self._bars.remove_task(self._bar)
        self._bar = self._bars.add_task(text, total=None, count="")

    def tell(self, done: int, of: int) -> None:
        """Say how much of the step is done."""
        if self._bars is not None and self._bar is not None and of:
            self._bars.update(self._bar, completed=done, total=of, count=f"{done}/{of}")

    def line(self, text: str) -> None:
        """Print a line, above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._out, flush=True)
