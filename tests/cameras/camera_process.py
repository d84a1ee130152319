"""The real camera worker on a real channel, and a reader of its ring, as the parent and the engine would use them.

Needs nothing beside visiond and NumPy, so that it runs in the booted machine of tests/system as well.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from visiond.channel import Channel, ChannelClosed
from visiond.frames import FrameHeader, FrameRing, RingCounters
from visiond.messages import CameraReport, Fault, OpenCamera, RingOffer, from_json, to_json

PATIENCE_S = float(os.environ.get("VISIOND_TEST_PATIENCE_S", "20"))  # longer on an emulated processor
SOURCE_ROOT = Path(__file__).resolve().parents[2] / "daemon"
TESTS = Path(__file__).resolve().parents[1]


class CameraProcess:
    """One `python -m visiond.cameras.worker`. Everything it says is kept, everything waited for has a deadline."""

    def __init__(
        self,
        source: str,
        size: tuple[int, int] | None = None,
        fps: float | None = None,
        rotate: int = 0,
        module: str = "visiond.cameras.worker",
    ) -> None:
        """`module` may be one of the tests' that puts a stand-in for a device into the real worker."""
        self.reports: list[CameraReport] = []
        self.rings = 0
        self.ring: FrameRing | None = None
        self.counters = RingCounters(0, 0, 0, 0)  # of the rings before this one
        self._doorbell = self._taken = -1
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._channel, child = Channel.pair()
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", module, "front"),
                *("--channel", str(child.fileno()), "--parent", str(os.getpid())),
            ],
            pass_fds=[child.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._stderr,
            stderr=self._stderr,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(SOURCE_ROOT), str(TESTS)))},
        )
        child.close()
        self._channel.send(to_json(OpenCamera("front", source, size, fps, rotate)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """What it printed."""
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    @property
    def last(self) -> CameraReport:
        return self.reports[-1]

    def until(self, wanted: Callable[[CameraReport], bool], patience_s: float = PATIENCE_S) -> CameraReport:
        """The first report from now on that is wanted."""
        seen = len(self.reports)
        self._wait(lambda: any(wanted(report) for report in self.reports[seen:]), patience_s)
        return next(report for report in self.reports[seen:] if wanted(report))

    def until_state(self, state: str, patience_s: float = PATIENCE_S) -> CameraReport:
        """The last report if it says so, else the first one from now on."""
        if self.reports and self.last.state == state:
            return self.last
        return self.until(lambda report: report.state == state, patience_s)

    def take(self, patience_s: float = PATIENCE_S) -> tuple[FrameHeader, NDArray[np.uint8]]:
        """The newest frame that has not been taken, copied out of the ring."""
        self._wait(lambda: self.ring is not None and self.ring.waiting(), patience_s)
        assert self.ring is not None
        frame = self.ring.take()
        assert frame is not None
        header = frame.header
        pixels = np.frombuffer(frame.pixels, np.uint8).reshape(header.height, header.width, 3).copy()
        self.ring.release(frame)
        os.eventfd_write(self._taken, 1)
        return header, pixels

    def wait_captured(self, count: int, patience_s: float = PATIENCE_S) -> None:
        """Wait until so many frames have been published in this ring."""
        self._wait(lambda: self.ring is not None and self.ring.counters().captured >= count, patience_s)

    def totals(self) -> tuple[RingCounters, int]:
        """Counters over all rings, read at one moment, and how many frames wait."""
        assert self.ring is not None
        now = self.ring.counters()
        past = self.counters
        waiting = now.captured - now.superseded - now.taken
        total = RingCounters(
            past.captured + now.captured,
            past.superseded + now.superseded,
            past.taken + now.taken,
            now.last_captured_ns,
        )
        return total, waiting

    def hang_up(self) -> None:
        """Close the parent's end, as its death would."""
        self._channel.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._channel.close()
        if self.ring is not None:
            self.ring.close()
            os.close(self._doorbell)
            os.close(self._taken)
            self.ring = None
        self._stderr.close()

    def _wait(self, done: Callable[[], bool], patience_s: float) -> None:
        give_up_s = time.monotonic() + patience_s
        while not done():
            left_s = give_up_s - time.monotonic()
            assert left_s > 0, f"did not come within {patience_s} s; reports: {self.reports[-3:]}; {self.output}"
            poll = select.poll()
            poll.register(self._channel.fileno(), select.POLLIN)
            if self._doorbell >= 0:
                poll.register(self._doorbell, select.POLLIN)
            ready = [fd for fd, _ in poll.poll(min(left_s, 0.5) * 1000)]
            if self._doorbell in ready:  # first: a message may bring another one
                os.eventfd_read(self._doorbell)
            if self._channel.fileno() in ready:
                self._receive()

    def _receive(self) -> None:
        try:
            fields, fds = self._channel.receive()
        except ChannelClosed:
            raise AssertionError(f"the worker ended: {self.process.wait(5)}; {self.output}") from None
        message = from_json(fields)
        if isinstance(message, CameraReport):
            self.reports.append(message)
        elif isinstance(message, RingOffer):
            self._adopt(*fds)
        else:
            assert isinstance(message, Fault)
            raise AssertionError(message.text)

    def _adopt(self, memory: int, doorbell: int, taken: int) -> None:
        if self.ring is not None:
            last = self.ring.retire()
            self.counters = RingCounters(
                self.counters.captured + last.captured,
                self.counters.superseded + last.superseded,
                self.counters.taken + last.taken,
                last.last_captured_ns,
            )
            self.ring.close()
            os.close(self._doorbell)
            os.close(self._taken)
        self.ring, self._doorbell, self._taken = FrameRing(memory), doorbell, taken
        self.rings += 1
