"""How far it is: a bar on a terminal where rich is, else a line for each file that has come."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Self, TextIO

from visiond.modelkit.inspection_text import size_text


class Progress:
    """Tells of one file after the other; `out` is where people look, not where results go."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._bars: Any = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._out.isatty() and find_spec("rich") is not None:
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
            from rich.progress import Progress as Bars

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
            console = Console(file=self._out)
            self._bars = Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True)
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def begin(self, name: str, size: int | None, have: int) -> None:
        """Begin with a file; `have`: what is there from the last time."""
        if self._bars is not None:
            self._bar = self._bars.add_task(name, total=size, completed=have)

    def tell(self, size: int) -> None:
        """Say how many bytes there are by now."""
        if self._bars is not None:
            self._bars.update(self._bar, completed=size)

    def done(self, name: str, size: int, how: str) -> None:
        """Say that a file is there, and that it is the right one."""
        if self._bars is not None:
            self._bars.remove_task(self._bar)
        self.line(f"  {name}: {size_text(size)}, {how}")

    def line(self, text: str) -> None:
        """Print a line, above the bar."""
        if self._bars is not None:
            self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=self._out, flush=True)
