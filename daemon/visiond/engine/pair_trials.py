"""PairTrials: which runtimes may still be tried with this libedgetpu, after what has crashed."""

from __future__ import annotations

import signal
from collections.abc import Collection

from visiond.edgetpu.crash_memory import CrashMemory, Pair
from visiond.edgetpu.library import Identity, find_library, identity
from visiond.messages import EngineStage

ALONE = "no runtime yet"  # in place of a runtime, where the library crashed before there was one


class PairTrials:
    """Pairs of library and runtime that one stick's workers have died of. A library that was replaced starts afresh."""

    def __init__(self, library: str, crashes: CrashMemory) -> None:
        """`library` is the configuration's; `crashes` is shared by all sticks."""
        self._library = library
        self._crashes = crashes
        self._bad: dict[str, Pair] = {}  # by runtime, as the configuration names it
        self._none_left = False

    @property
    def avoid(self) -> tuple[str, ...]:
        """Runtimes that a worker must pass over."""
        return tuple(runtime for runtime in self._bad if runtime != ALONE)

    def crashed(self, stage: EngineStage, number: int) -> None:
        """A worker died of this signal before it was ready, at this stage."""
        pair = self._pair(stage)
        self._crashes.note(pair, f"died of {signal.Signals(number).name} in {stage.stage}")
        if self._crashes.verdict(pair):
            self._bad[stage.runtime or ALONE] = pair

    def worked(self, stage: EngineStage) -> None:
        """A worker became ready: earlier crashes had another cause."""
        self._crashes.forget(self._pair(stage))

    def found_none(self) -> None:
        """A worker has found no runtime that it may use."""
        self._none_left = bool(self._bad)

    def verdict(self, wanted: Collection[str]) -> str | None:
        """Return why no runtime may be tried, None while one may; `wanted`: the configuration's, which may be auto."""
        for runtime, pair in list(self._bad.items()):
            if pair.identity != self._identity():
                del self._bad[runtime]
                self._none_left = False
        stuck = ALONE in self._bad or set(wanted) <= self._bad.keys() or ("auto" in wanted and self._none_left)
        if not self._bad or not stuck:
            return None
        return "; ".join(text for pair in self._bad.values() if (text := self._crashes.verdict(pair)))

    def _pair(self, stage: EngineStage) -> Pair:
        library = find_library(self._library)
        return Pair(stage.versions or ALONE, self._identity(), self._library if library is None else str(library))

    def _identity(self) -> Identity | None:
        library = find_library(self._library)
        return None if library is None else identity(library)
