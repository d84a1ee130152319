"""FrameRing: the newest frame of one camera, in shared memory that a camera worker writes and an engine worker reads.

The memory is a memfd passed by descriptor, so nothing is left behind in /dev/shm when a process dies. Its first page
holds the counters and the slots' states; the pixels follow, one page-aligned slot after the other. Whoever changes a
state holds a POSIX record lock on the memfd: the kernel drops it when its holder dies, and taking it is a memory
barrier on every CPU. Nothing but a few integers is touched under the lock.

Exact accounting: every published frame ends as `taken` or `superseded`, and `captured` counts them all. Several
engines may read one ring, each under a number of its own: what one of them held when it died is known, and freed.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

FREE, WRITING, READY, READING = range(4)

_PAGE: Final = 4096
_WORDS: Final = _PAGE // 8
# Words of the first page, 8 bytes each.
_SLOTS, _SLOT_BYTES, _CAPTURED, _SUPERSEDED, _LAST_CAPTURED_NS, _LAST_TAKEN_NS = range(6)
_FIRST_SLOT_WORD: Final = 16
_SLOT_WORDS: Final = 8
_STATE, _FRAME, _CAPTURED_NS, _WIDTH, _HEIGHT, _READER = range(6)
_FIRST_TAKEN_WORD: Final = 256  # one counter for each reader
MAX_READERS: Final = 16
_LOCK_TRIES: Final = 100
_LOCK_PAUSE_S: Final = 50e-6
# One being written, one waiting, and one for each of six engines that read at the same moment. The first free slot is
# taken, so that memory is used for as many as are ever held at once: three with one engine.
DEFAULT_SLOTS: Final = 8


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """What travels beside the pixels: BGR, 8 bits a channel, rows without padding. `captured_ns` is CLOCK_MONOTONIC."""

    frame: int
    captured_ns: int
    width: int
    height: int

    @property
    def nbytes(self) -> int:
        """Size of the pixels."""
        return self.width * self.height * 3


@dataclass(frozen=True, slots=True)
class Frame:
    """A slot that the reader holds until it releases it; `pixels` is `header.nbytes` long."""

    slot: int
    header: FrameHeader
    pixels: memoryview


@dataclass(frozen=True, slots=True)
class RingCounters:
    """One consistent reading: captured = superseded + taken + waiting (0 or 1). `taken_by`: by the reader's number."""

    captured: int
    superseded: int
    taken: int
    last_captured_ns: int
    taken_by: tuple[int, ...] = (0,) * MAX_READERS


class FrameRing:
    """One end of the shared memory. Create it in the camera worker, attach to its descriptor elsewhere."""

    def __init__(self, fd: int, header_only: bool = False, reader: int = 0) -> None:
        """Map `fd`, which the ring owns from here on. `reader`: the number under which it takes frames.

        `header_only` is the parent's view: it maps the counters alone, and raises BlockingIOError rather than wait.
        """
        if not 0 <= reader < MAX_READERS:
            raise ValueError(f"reader {reader} is beyond the {MAX_READERS} that a ring counts")
        self.fd = fd
        self._reader = reader
        self._patient = not header_only
        self._map = mmap.mmap(fd, _PAGE if header_only else os.fstat(fd).st_size)
        self._words = memoryview(self._map)[:_PAGE].cast("Q")
        self._slots = int(self._words[_SLOTS])
        self.slot_bytes = int(self._words[_SLOT_BYTES])
        self._stride = _page_aligned(self.slot_bytes)

    @classmethod
    def create(cls, slot_bytes: int, slots: int = DEFAULT_SLOTS) -> Self:
        """Make a ring whose slots hold `slot_bytes` of pixels. Its size is sealed: a reader can never fault on it."""
        fd = os.memfd_create("visiond-frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, _PAGE + slots * _page_aligned(slot_bytes))
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        with mmap.mmap(fd, _PAGE) as first_page, memoryview(first_page) as whole, whole.cast("Q") as words:
            words[_SLOTS], words[_SLOT_BYTES] = slots, slot_bytes
        return cls(fd)

    def claim(self) -> tuple[int, memoryview]:
        """Writer: return a slot to fill. While it is filled, the waiting frame stays there for the reader."""
        with self._locked():
            slot = self._find(FREE)
            if slot is None:  # readers hold the others: the waiting frame gives way to the one that is coming
                slot = self._find(READY)
                if slot is None:
                    raise RuntimeError("every slot is held; a ring needs one more slot than it has readers and writers")
                self._words[_SUPERSEDED] += 1
            self._set(slot, _STATE, WRITING)
        return slot, self._pixels(slot, self.slot_bytes)

    def abandon(self, slot: int) -> None:
        """Writer: give a claimed slot back without a frame in it."""
        with self._locked():
            self._set(slot, _STATE, FREE)

    def publish(self, slot: int, header: FrameHeader) -> None:
        """Writer: make the claimed slot the newest frame; one that still waited is superseded, and counted."""
        with self._locked():
            waiting = self._find(READY)
            if waiting is not None:
                self._set(waiting, _STATE, FREE)
                self._words[_SUPERSEDED] += 1
            self._set(slot, _FRAME, header.frame)
            self._set(slot, _CAPTURED_NS, header.captured_ns)
            self._set(slot, _WIDTH, header.width)
            self._set(slot, _HEIGHT, header.height)
            self._set(slot, _STATE, READY)
            self._words[_CAPTURED] += 1
            self._words[_LAST_CAPTURED_NS] = header.captured_ns

    def waiting(self) -> bool:
        """Whether a published frame has not been taken yet."""
        with self._locked():
            return self._find(READY) is not None

    def take(self) -> Frame | None:
        """Reader: take the newest frame, if one waits."""
        with self._locked():
            slot = self._find(READY)
            if slot is None:
                return None
            self._set(slot, _READER, self._reader)
            self._set(slot, _STATE, READING)
            self._words[_FIRST_TAKEN_WORD + self._reader] += 1
            self._words[_LAST_TAKEN_NS] = time.monotonic_ns()
            header = FrameHeader(*(self._get(slot, word) for word in (_FRAME, _CAPTURED_NS, _WIDTH, _HEIGHT)))
        return Frame(slot, header, self._pixels(slot, header.nbytes))

    def last_taken_ns(self) -> int:
        """When any reader last took a frame (CLOCK_MONOTONIC); 0 before the first."""
        return int(self._words[_LAST_TAKEN_NS])

    def release(self, frame: Frame) -> None:
        """Reader: hand the slot back to the writer; `frame.pixels` is dead from here on."""
        frame.pixels.release()
        with self._locked():
            self._set(frame.slot, _STATE, FREE)

    def reclaim(self, reader: int) -> None:
        """Parent: free what this reader held when it died, and set right a count that it left half-done."""
        with self._locked():
            for slot in range(self._slots):
                if self._get(slot, _STATE) == READING and self._get(slot, _READER) == reader:
                    self._set(slot, _STATE, FREE)
            waiting = self._find(READY) is not None
            missing = self._words[_CAPTURED] - self._words[_SUPERSEDED] - waiting - sum(self._taken_by())
            self._words[_FIRST_TAKEN_WORD + reader] += missing

    def retire(self) -> RingCounters:
        """Parent: discard the waiting frame, so that none can be taken any more, and return the last counters."""
        with self._locked():
            waiting = self._find(READY)
            if waiting is not None:
                self._set(waiting, _STATE, FREE)
                self._words[_SUPERSEDED] += 1
            return self._counters()

    def counters(self) -> RingCounters:
        """Read the counters at one moment."""
        with self._locked():
            return self._counters()

    def close(self) -> None:
        """Unmap and close the descriptor."""
        self._words.release()
        self._map.close()
        os.close(self.fd)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._patient:
            fcntl.lockf(self.fd, fcntl.LOCK_EX)
        else:
            self._try_lock()
        try:
            yield
        finally:
            fcntl.lockf(self.fd, fcntl.LOCK_UN)

    def _counters(self) -> RingCounters:
        captured, superseded = int(self._words[_CAPTURED]), int(self._words[_SUPERSEDED])
        taken_by = self._taken_by()
        return RingCounters(captured, superseded, sum(taken_by), int(self._words[_LAST_CAPTURED_NS]), taken_by)

    def _taken_by(self) -> tuple[int, ...]:
        return tuple(self._words[_FIRST_TAKEN_WORD : _FIRST_TAKEN_WORD + MAX_READERS])

    def _try_lock(self) -> None:
        """Take the lock within some milliseconds, or raise BlockingIOError: a stopped worker may be holding it."""
        for _ in range(_LOCK_TRIES):
            try:
                fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(_LOCK_PAUSE_S)
        raise BlockingIOError("the frame ring is locked by a worker that does not go on")

    def _find(self, state: int) -> int | None:
        return next((slot for slot in range(self._slots) if self._get(slot, _STATE) == state), None)

    def _get(self, slot: int, word: int) -> int:
        return int(self._words[_FIRST_SLOT_WORD + slot * _SLOT_WORDS + word])

    def _set(self, slot: int, word: int, value: int) -> None:
        self._words[_FIRST_SLOT_WORD + slot * _SLOT_WORDS + word] = value

    def _pixels(self, slot: int, nbytes: int) -> memoryview:
        start = _PAGE + slot * self._stride
        return memoryview(self._map)[start : start + nbytes]


def _page_aligned(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE
