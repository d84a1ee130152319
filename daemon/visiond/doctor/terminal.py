"""The person before the terminal, and what is shown there while something takes long."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Terminal:
    """Questions and progress go to `err`, so that what is printed to stdout stays the report."""

    err: TextIO

    @property
    def has_person(self) -> bool:
        """Whether somebody can read a question and answer it."""
        return sys.stdin.isatty() and self.err.isatty()

    def agrees(self, question: str) -> bool:
        """Ask; anything but yes is no."""
        self.err.write(f"{question} [y/N] ")
        self.err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def tell(self, text: str) -> None:
        """Say something, where it is a terminal."""
        if self.err.isatty():
            print(text, file=self.err, flush=True)
