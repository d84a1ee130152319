"""A child process that may crash or hang, and what it says until then: one JSON object a line."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from visiond.supervisor import worker_environment

_END_PATIENCE_S: Final = 5.0  # a process that SIGKILL does not end by then is stuck in the kernel
_GRACE_S: Final = 2.0
_WORDS_BYTES: Final = 4000

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How it went: `status` is the exit code, or minus the signal; None where it could not even be killed.

    `words` is what it last wrote to stderr. `silent`: it said nothing for too long and was killed.
    """

    status: int | None
    words: str
    silent: bool

    @property
    def how(self) -> str:
        """In words, to go on after "the process"."""
        if self.status is None:
            return "cannot be killed"
        if self.silent:
            return "said nothing more and was killed"
        if self.status < 0:
            return f"died of {signal.Signals(-self.status).name}"
        return f"ended with exit code {self.status}"


class Child:
    """`python -m MODULE ORDER`, with its messages on stdout. It has ended when the `with` ends."""

    def __init__(self, module: str, order: Message) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, json.dumps(order)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=worker_environment(),
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._out, self._err = self._process.stdout.fileno(), self._process.stderr.fileno()
        self._selector = selectors.DefaultSelector()
        for fd in (self._out, self._err):
            self._selector.register(fd, selectors.EVENT_READ)
        self._rest, self._words = b"", b""
        self._messages: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # between two invokes: one that is killed in a transfer may leave the stick stuck
            self.end(_GRACE_S)
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def next(self, patience_s: float) -> Message | None:
        """Return its next message, None after `patience_s` without one. Raises EOFError when there will be none."""
        give_up_s = time.monotonic() + patience_s
        while not self._messages:
            left_s = give_up_s - time.monotonic()
            if left_s <= 0:
                return None
            self._read(left_s)
            if not self._messages and self._out not in self._selector.get_map():
                raise EOFError
        return self._messages.pop(0)

    def end(self, patience_s: float) -> Ended:
        """Wait for its end, and kill it after `patience_s`."""
        silent = False
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            silent = True
            self._process.kill()
        try:
            status: int | None = self._process.wait(_END_PATIENCE_S)
        except subprocess.TimeoutExpired:
            status = None
        while status is not None and self._selector.get_map() and self._read(0):
            pass
        return Ended(status, _last_words(self._words), silent)

    def _read(self, patience_s: float) -> bool:
        """Take in what is there; False where nothing came."""
        ready = self._selector.select(patience_s)
        for key, _ in ready:
            chunk = os.read(key.fd, 65536)
            if not chunk:
                self._selector.unregister(key.fd)
            elif key.fd == self._err:
                self._words = (self._words + chunk)[-_WORDS_BYTES:]
            else:
                *lines, self._rest = (self._rest + chunk).split(b"\n")
                self._messages += [json.loads(line) for line in lines if line.startswith(b"{")]
                # What a native library prints while it is imported is no message of ours.
                self._words += b"".join(line + b"\n" for line in lines if not line.startswith(b"{"))
        return bool(ready)


def converse(module: str, order: Message, deadline_s: float, hear: Callable[[Message], None]) -> Ended:
    """Start a child, pass on each of its messages, and kill it when `deadline_s` go by without one."""
    with Child(module, order) as child:
        try:
            while (message := child.next(deadline_s)) is not None:
                hear(message)
        except EOFError:
            return child.end(deadline_s)
        return child.end(0)


def _last_words(raw: bytes) -> str:
    """Return the last line that is not empty, shortened: of a traceback, the error itself."""
    lines = [line.strip() for line in raw.decode(errors="backslashreplace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
