"""Bytes from one client in, whole lines out: bounded in length, in time and in number. Pure: the time is given."""

from __future__ import annotations

from collections.abc import Iterator

from visiond.publish.limits import Limits
from visiond.publish.requests import MAX_LINE_BYTES, ProtocolError


class Flooded(Exception):
    """More requests than the bucket had tokens for."""


class TokenBucket:
    """`rate_per_s` tokens a second, up to `burst` of them saved; times are seconds of CLOCK_MONOTONIC."""

    def __init__(self, rate_per_s: float, burst: int, now_s: float) -> None:
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._tokens = float(burst)
        self._filled_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one token; False when there is none."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self._rate_per_s)
        self._filled_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RequestLines:
    """Splits what one client sends. A line over 4 KiB is refused once and skipped to its end, at a token per 4 KiB."""

    def __init__(self, limits: Limits, now_s: float) -> None:
        self._limits = limits
        self._bucket = TokenBucket(limits.requests_per_s, limits.requests_burst, now_s)
        self._started = b""
        self._started_s: float | None = None
        self._skipping = False

    def feed(self, data: bytes, now_s: float) -> Iterator[bytes | ProtocolError]:
        """Yield each line that is whole now, without its newline, or the error to answer one that is too long.

        Raises Flooded. `data` is at most what one line may hold, so that skipping costs tokens too.
        """
        *ended, rest = data.split(b"\n")
        for part in ended:
            line, skipped = self._started + part, self._skipping
            self._started, self._started_s, self._skipping = b"", None, False
            self._pay(now_s)
            if not skipped:
                yield line if len(line) <= MAX_LINE_BYTES else _too_long()
        if rest and self._started_s is None:
            self._started_s = now_s
        if rest and self._skipping:
            self._pay(now_s)
        elif len(self._started) + len(rest) > MAX_LINE_BYTES:
            self._started, self._skipping = b"", True
            self._pay(now_s)
            yield _too_long()
        else:
            self._started += rest

    def overdue(self, now_s: float) -> bool:
        """Whether a line was begun and not finished in time."""
        return self._started_s is not None and now_s - self._started_s > self._limits.line_s

    def _pay(self, now_s: float) -> None:
        if not self._bucket.take(now_s):
            raise Flooded


def _too_long() -> ProtocolError:
    return ProtocolError(f"a request of more than {MAX_LINE_BYTES} bytes")
