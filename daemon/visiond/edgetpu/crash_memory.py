"""Pairs of runtime and libedgetpu that crash: tried a few times, then left alone until one of the two is replaced.

A library built against another TensorFlow than the runtime ends the process at its first call, each time anew
(google-coral/edgetpu #731, #812, #841). Without this the daemon would start a worker for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from visiond.edgetpu.library import Identity

MOST_CRASHES: Final = 3
# FACTS of the field: google-coral/edgetpu #812, libedgetpu #53; feranick's releases; Frigate's own pairing.
FITTING_PAIRS: Final = "libedgetpu 16.0 with TFLite up to 2.11.1, or 16.0TF2.17.x with tflite-runtime 2.11.1 to 2.17.1"


@dataclass(frozen=True, slots=True)
class Pair:
    """A runtime by name and version, and the library's file; `library` is what to call it and tells nothing apart."""

    runtime: str
    identity: Identity | None
    library: str = field(default="libedgetpu", compare=False)


class CrashMemory:
    """Crashes by pair, in memory: a new start of the daemon tries again."""

    def __init__(self) -> None:
        self._reasons: dict[Pair, list[str]] = {}

    def note(self, pair: Pair, reason: str) -> None:
        """Remember that a worker with this pair died before it was ready: "died of SIGSEGV while the model loaded"."""
        self._reasons.setdefault(pair, []).append(reason)

    def forget(self, pair: Pair) -> None:
        """Forgive its crashes: it has become ready, or the stick was plugged in anew, which may have been the cause."""
        self._reasons.pop(pair, None)

    def verdict(self, pair: Pair) -> str | None:
        """Return None while the pair may be tried, else why not and what to do."""
        reasons = self._reasons.get(pair, [])
        if len(reasons) < MOST_CRASHES:
            return None
        how = reasons[-1] if len(set(reasons)) == 1 else f"{reasons[-1]} (before: {reasons[-2]})"
        return (
            f"{pair.library} with {pair.runtime}: {how}, {len(reasons)} times in a row; most likely they do not fit "
            f"each other: install a pair that does ({FITTING_PAIRS}), then it is tried again by itself"
        )
