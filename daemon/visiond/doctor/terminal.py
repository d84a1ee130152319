"""The person before the terminal, and what is shown there while something takes long."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final, TextIO

_CLEAR: Final = "\r\x1b[K"  # to the line's beginning, and erase it


@dataclass(frozen=True, slots=True)
class Terminal:
    """Questions and progress go to `err`, so that what is printed to stdout stays the report."""

    err: TextIO

    @property
    def has_person(self) -> bool:
        """Whether somebody can read a question and answer it."""
        return sys.stdin.isatty() and self.err.isatty()

    def progress(self, text: str) -> None:
        """Show what takes long, where it is a terminal, over what was shown so before; `clear` takes it away."""
        if self.err.isatty():
            self.err.write(f"{_CLEAR}{text} …")
            self.err.flush()

    def clear(self) -> None:
        """Make room for a line that stays."""
        if self.err.isatty():
            self.err.write(_CLEAR)
            self.err.flush()

    def agrees(self, question: str) -> bool:
        """Ask; anything but yes is no."""
        self.clear()
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def tell(self, text: str) -> None:
        """Say something that stays."""
        self.clear()
        print(text, file=self.err, flush=True)
