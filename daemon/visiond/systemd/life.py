"""SystemdLife: what the daemon tells systemd of its life, from READY=1 to STOPPING=1."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Final

from visiond.systemd.notify import Notifier
from visiond.systemd.progress import MOST_LAG_S, Part, standstill

log = logging.getLogger(__name__)

STATUS_PERIOD_S: Final = 1.0  # at most so often is STATUS= told anew
PINGS: Final = 4  # in the time that the watchdog waits; sd_watchdog_enabled(3) recommends two or more
_PATIENCE_S: Final = 1.0  # a part without process or date may be between two states; it is a standstill after as long


class SystemdLife:
    """Speaks to systemd where there is one; everywhere else only its alarm about a standstill remains, in the log."""

    def __init__(self, notifier: Notifier, check_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`check_s`: how often `progress` is going to be called."""
        self._notifier = notifier
        self._check_s = check_s
        self._clock = clock
        self._status = ""
        self._told_status = ""
        self._told_status_s = -STATUS_PERIOD_S
        self._pinged_s: float | None = None
        self._looked_s: float | None = None
        self._still_since_s: float | None = None
        self._alarmed = False

    def ready(self, status: str) -> None:
        """The configuration holds and the socket listens, at the start or after a reload; `status` in words."""
        self._note_status(status)
        self._notifier.tell("READY=1", f"STATUS={self._status}")

    def status(self, status: str) -> None:
        """The state and its reason as `status` has them; told at once, or when a second has passed since the last."""
        text = _one_line(status)
        if text != self._status:
            self._status = text
            self._tell_status()

    def progress(self, parts: Iterable[Part]) -> None:
        """Look at the parts and ping the watchdog, unless one of them stands still; call it every `check_s` seconds."""
        now_s = self._clock()
        lag_s = 0.0 if self._looked_s is None else now_s - self._looked_s - self._check_s
        self._looked_s = now_s
        why = standstill(parts, lag_s)
        self._alarm(why, lag_s, now_s)
        self._tell_status()
        if why is None and self._ping_is_due(now_s):
            self._pinged_s = now_s
            self._notifier.tell("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; `ready` ends it, whatever became of it."""
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notifier.tell("RELOADING=1", f"MONOTONIC_USEC={usec}", "STATUS=reads its configuration again")
        self._told_status = ""  # whatever `ready` says then is news

    def stopping(self) -> None:
        """The end begins."""
        self._notifier.tell("STOPPING=1", "STATUS=stops")

    def close(self) -> None:
        """Nothing more is told."""
        self._notifier.close()

    def _alarm(self, why: str | None, lag_s: float, now_s: float) -> None:
        """Log a standstill once, and its end; one that is gone at the next look was a step between two states."""
        if why is None:
            if self._alarmed:
                log.info("every part makes progress again")
            self._still_since_s, self._alarmed = None, False
            return
        if self._still_since_s is None:
            self._still_since_s = now_s
        lasts = lag_s > MOST_LAG_S or now_s - self._still_since_s > _PATIENCE_S
        if lasts and not self._alarmed:
            self._alarmed = True
            log.error("the watchdog is not pinged: %s", why, extra={"event": "standstill"})

    def _ping_is_due(self, now_s: float) -> bool:
        watchdog_s = self._notifier.watchdog_s
        if watchdog_s is None:
            return False
        return self._pinged_s is None or now_s - self._pinged_s >= watchdog_s / PINGS

    def _tell_status(self) -> None:
        now_s = self._clock()
        if self._status != self._told_status and now_s - self._told_status_s >= STATUS_PERIOD_S:
            self._notifier.tell(f"STATUS={self._status}")
            self._told_status, self._told_status_s = self._status, now_s

    def _note_status(self, status: str) -> None:
        self._status = self._told_status = _one_line(status)
        self._told_status_s = self._clock()


def _one_line(text: str) -> str:
    """A line break would begin another word to systemd."""
    return " ".join(text.split())
