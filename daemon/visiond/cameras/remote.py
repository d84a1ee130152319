"""RemoteCamera: what the parent knows of one camera, and how it keeps its worker at work."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from visiond.accounting import FrameAccounts
from visiond.frames import FrameRing
from visiond.messages import CameraReport, Message, OpenCamera, RingOffer
from visiond.supervisor import Exit, Worker

log = logging.getLogger(__name__)

OPEN_DEADLINE_S: Final = 45.0  # a network camera's own time-outs are shorter
UNKNOWN_RATE_DEADLINE_S: Final = 10.0
LEAST_DEADLINE_S: Final = 3.0  # after the worker's own deadlines, which tell more of the cause


class RemoteCamera:
    """One camera worker seen from the parent: its state, its ring, and the account of its frames."""

    def __init__(
        self,
        settings: OpenCamera,
        max_age_ms: float | None,
        source: str,
        redact: Callable[[str], str],
        on_ring: Callable[[], None],
        on_change: Callable[[], None],
    ) -> None:
        """`source` is shown in `status`, so it holds no password; `redact` takes one out of the worker's own words.

        `on_ring` is called for each new ring, `on_change` when the state or its reason changes.
        """
        self.name = settings.name
        self.report = CameraReport("opening")
        self.accounts = FrameAccounts()
        self.paced_by_engine = settings.fps == 0
        self._settings = settings
        self._source = source
        self._redact = redact
        self._offer = RingOffer(settings.name, max_age_ms=max_age_ms)
        self._on_ring = on_ring
        self._on_change = on_change
        self._ring_fds: tuple[int, int, int] | None = None
        self._lost = False
        self._heard_s = time.monotonic()
        self.worker = Worker(
            f"camera {settings.name}",
            "visiond.cameras.worker",
            self._first,
            self._on_message,
            self._on_exit,
            lambda line: self._redact(line),
        )

    @property
    def ring(self) -> tuple[RingOffer, tuple[int, int, int]] | None:
        """The offer to pass to an engine, with its descriptors, while the camera has a ring."""
        return None if self._ring_fds is None else (self._offer, self._ring_fds)

    @property
    def period_s(self) -> float | None:
        """Time between frames as asked for, else as measured; None while unknown."""
        fps = self._settings.fps or self.report.fps
        return 1 / fps if fps else None

    def status(self) -> dict[str, Any]:
        """The camera's part of `status`, as far as its worker goes."""
        account, report = self.accounts.read(), self.report
        return {
            "state": report.state,
            "reason": report.reason,
            "retry_in_s": report.retry_in_s,
            "source": self._source,
            "size": report.size,
            "format": report.format,
            "fps": report.fps,
            "captured": account.captured,
            "inferred": account.inferred,
            "dropped": account.dropped,
            "pending": account.pending,
            "skipped": report.skipped or {},
            "quality": report.quality,
            "remark": report.remark,
            "restarts": self.worker.restarts,
        }

    def reconfigure(
        self, settings: OpenCamera, max_age_ms: float | None, source: str, redact: Callable[[str], str]
    ) -> bool:
        """Take other settings; return whether the worker is started anew for it. The counts go on."""
        restarts = settings != self._settings
        self._offer = RingOffer(settings.name, max_age_ms=max_age_ms)
        self._settings, self._source, self._redact = settings, source, redact
        self.paced_by_engine = settings.fps == 0
        if restarts:
            self.worker.end("ended: its settings have changed")
            self.worker.retry_now()
        return restarts

    def check(self) -> None:
        """Kill the worker when it makes no progress: a read that blocks for ever cannot be cancelled."""
        now_s = time.monotonic()
        if self.report.state != "streaming":
            if now_s - self._heard_s > OPEN_DEADLINE_S + (self.report.retry_in_s or 0) and self.report.state != "ended":
                self.worker.kill(f"no word from it for {OPEN_DEADLINE_S:.0f} s while it was {self.report.state}")
            return
        account = self.accounts.read()
        if self.paced_by_engine and account.pending:
            return  # it waits for the engine, as it should
        limit_s = UNKNOWN_RATE_DEADLINE_S if self.period_s is None else max(LEAST_DEADLINE_S, 10 * self.period_s)
        if now_s - max(account.last_captured_ns / 1e9, self._heard_s if account.captured == 0 else 0) > limit_s:
            self.worker.kill(f"no frame for {limit_s:.1f} s")

    def close(self) -> None:
        """Forget the ring; call when the worker's task has ended."""
        self._drop_ring()

    def _first(self) -> Message:
        self._heard_s = time.monotonic()
        return self._settings

    def _on_message(self, message: Message, fds: list[int]) -> None:
        self._heard_s = time.monotonic()
        if isinstance(message, RingOffer) and len(fds) == 3:
            self._drop_ring()
            memory, doorbell, taken = fds
            self.accounts.adopt(FrameRing(memory, header_only=True))
            self._ring_fds = (memory, doorbell, taken)
            self._on_ring()
        elif isinstance(message, CameraReport):
            self._set_report(message)

    def _on_exit(self, ended: Exit) -> None:
        self._drop_ring()
        self._on_ring()
        self._set_report(replace(self.report, state="restarting", reason=ended.reason, retry_in_s=ended.retry_in_s))

    def _set_report(self, report: CameraReport) -> None:
        before, self.report = self.report, report
        if (report.quality, report.remark) != (before.quality, before.remark):
            if report.remark is not None and before.remark is None:
                log.warning("camera %s: %s", self.name, report.remark, extra={"camera": self.name})
            self._on_change()
        if (report.state, report.reason) != (before.state, before.reason):
            well = report.state in ("streaming", "opening", "ended")
            why = f": {report.reason}" if report.reason else ""
            extra = {"camera": self.name, "event": self._event(report.state)}
            log.log(
                logging.INFO if well else logging.WARNING, "camera %s: %s%s", self.name, report.state, why, extra=extra
            )
            self._on_change()

    def _event(self, state: str) -> str | None:
        """What a change of state is to somebody who searches the journal: lost, back, or nothing that counts."""
        if state == "streaming":
            was_lost, self._lost = self._lost, False
            return "camera_back" if was_lost else None
        if state in ("opening", "ended") or self._lost:
            return None
        self._lost = True
        return "camera_lost"

    def _drop_ring(self) -> None:
        if self._ring_fds is None:
            return
        try:
            self.accounts.retire()  # closes the memory's descriptor
        except BlockingIOError:
            self.worker.kill("it keeps the frame ring locked and does not go on")
            return  # its exit comes back here, and the kernel has freed the lock by then
        for fd in self._ring_fds[1:]:
            os.close(fd)
        self._ring_fds = None
