"""Record: what was measured, and the table of it."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from system.soak.device import Held


@dataclass(frozen=True, slots=True)
class Rest:
    """The parent at rest: no fault, and nobody connected but the witnesses."""

    at_s: float
    faults: int
    parent: Held
    processes: int
    all_pss_mb: float
    connected: int


@dataclass(slots=True)
class Record:
    """`broken` holds each bound that did not hold."""

    began_s: float = field(default_factory=time.monotonic)
    broken: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    well_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    silent_s: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    rests: list[Rest] = field(default_factory=list)

    def say(self, text: str) -> None:
        print(f"+{time.monotonic() - self.began_s:6.1f} s  {text}", flush=True)

    def fail(self, text: str) -> None:
        self.broken.append(text)
        self.say(f"BROKEN: {text}")

    def table(self) -> str:
        """By kind of fault: how often, until all was well again, and the longest silence of a camera."""
        width = max(map(len, self.well_s), default=0)
        head = f"{'fault':{width}}  times  well, or back, after (s), worst  longest silence of a camera (s)"
        rows = [
            f"{name:{width}}  {len(times):5}  {max(times):31.2f}  {max(self.silent_s[name], default=0):32.2f}"
            for name, times in sorted(self.well_s.items())
        ]
        return "\n".join([head, *rows])

    def rest_table(self) -> str:
        """The parent over the time."""
        head = "after (s)  faults  RSS (MB)  PSS (MB)  fds  threads  processes  PSS of all (MB)  clients"
        rows = [
            f"{rest.at_s - self.began_s:9.0f}  {rest.faults:6}  {rest.parent.rss_mb:8.2f}  {rest.parent.pss_mb:8.2f}  "
            f"{rest.parent.fds:3}  {rest.parent.threads:7}  {rest.processes:9}  {rest.all_pss_mb:15.1f}  "
            f"{rest.connected:7}"
            for rest in self.rests
        ]
        return "\n".join([head, *rows])
