"""Standard output that says in words when it cannot be written: a full disk behind `visiond schema > file`, say."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from visiond.errors import UnavailableError


class _Raw(io.FileIO):
    """Written to by sys.stdout's buffer: only here is it certain that an OSError is one of the output."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except BrokenPipeError:  # `| head`, which is no error
            raise
        except OSError as error:
            raise UnavailableError(
                f"the output cannot be written: {error.strerror}; make room there, or send it to another place"
            ) from None


@contextmanager
def told_output() -> Iterator[None]:
    """Let what sys.stdout cannot take raise UnavailableError in words, or BrokenPipeError; all is flushed at the end.

    What cannot be written is dropped then, so that the interpreter does not try again at its exit.
    """
    given = sys.__stdout__
    if given is None or given is not sys.stdout:  # closed, or somebody else's already
        yield
        return
    given.flush()
    raw = _Raw(given.fileno(), "wb", closefd=False)
    unbuffered = given.write_through  # python -u
    told = io.TextIOWrapper(
        raw if unbuffered else io.BufferedWriter(raw),
        encoding=given.encoding,
        errors=given.errors,
        line_buffering=given.line_buffering,
        write_through=unbuffered,
    )
    sys.stdout = told
    try:
        try:
            yield
        except SystemExit:  # of --help
            told.flush()
            raise
        told.flush()
    finally:
        sys.stdout = given
        try:
            told.flush()  # what a verb has printed before it failed
        except (UnavailableError, BrokenPipeError):
            _drop(given.fileno())


def _drop(number: int) -> None:
    """Let what is still buffered go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(nowhere, number)
    os.close(nowhere)
