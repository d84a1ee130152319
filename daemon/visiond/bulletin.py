"""Bulletin: what clients are told of the daemon as a whole, in `hello` and in `status`."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

from visiond import __version__
from visiond.board import Board
from visiond.clock import boot_id, wall_synced
from visiond.health import is_blind, overall
from visiond.publish import wire
from visiond.stages import Stages

log = logging.getLogger(__name__)

HEARTBEAT_S: Final = 1.0


class Bulletin:
    """Reads the parts and puts their state into words; it changes nothing."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._board: Board | None = None
        self._reload: dict[str, str | None] | None = None
        self._instance = uuid.uuid4().hex
        self._started_s = time.monotonic()

    def note_board(self, board: Board) -> None:
        """Take in how the board does; a supply or a heat that has become bad, or good again, is logged."""
        before, now = _throttled(self._board), _throttled(board)
        self._board = board
        if now != before and (now or before):
            log.warning("board: %s", ", ".join(now) or "neither throttled nor short of voltage any more")

    def note_reload(self, result: str, reason: str | None) -> None:
        """Take in what became of the last reload: applied, refused or undone."""
        self._reload = {"result": result, "reason": reason}

    def hello(self) -> dict[str, Any]:
        """Return the fields of the first message of each connection."""
        return wire.hello(
            version=__version__,
            instance=self._instance,
            boot_id=boot_id(),
            monotonic_ns=time.monotonic_ns(),
            wall_ns=time.time_ns(),
            wall_synced=wall_synced(),
            heartbeat_ms=round(HEARTBEAT_S * 1000),
            cameras={name: self._camera_hello(name) for name in self._stages.cameras},
            models={name: self._stages.packages[name].hello() for name in self._stages.fleet.models},
        )

    def status(self, clients: Mapping[str, int]) -> dict[str, Any]:
        """Return the fields of a status message; `clients` are the server's counters."""
        now_ns = time.monotonic_ns()
        cameras = {name: self._camera_status(name, now_ns) for name in self._stages.cameras}
        engines = {name: self._engine_status(name) for name in self._stages.fleet.models}
        state, reason = overall(cameras, engines, self._blind(cameras))
        return {
            "type": "status",
            "state": state,
            "reason": reason,
            "monotonic_ns": now_ns,
            "wall_ns": time.time_ns(),
            "wall_synced": wall_synced(),
            "uptime_s": round(time.monotonic() - self._started_s, 3),
            "cameras": cameras,
            "engines": engines,
            "edgetpus": self._stages.fleet.status(),
            "board": self._board_status(),
            "reload": self._reload,
            "clients": clients,
        }

    def seeing(self) -> set[str]:
        """Return the cameras whose last result is young enough."""
        now_ns = time.monotonic_ns()
        cameras = {name: self._camera_status(name, now_ns) for name in self._stages.cameras}
        return cameras.keys() - self._blind(cameras)

    def _blind(self, cameras: Mapping[str, dict[str, Any]]) -> set[str]:
        return {name for name, status in cameras.items() if is_blind(status, self._stages.cameras[name].period_s)}

    def _board_status(self) -> dict[str, Any] | None:
        board = self._board
        if board is None:
            return None
        throttling, temperature_c, free_mb = board.throttling, board.temperature_c, board.memory_available_mb
        return {
            "throttled": None if throttling is None else throttling.now,
            "throttled_since_boot": None if throttling is None else throttling.since_boot,
            "temperature_c": None if temperature_c is None else round(temperature_c, 1),
            "memory_available_mb": None if free_mb is None else round(free_mb),
        }

    def _camera_hello(self, name: str) -> dict[str, Any]:
        report = self._stages.cameras[name].report
        return {"size": report.size, "model": self._stages.lanes[name].settings.model, "state": report.state}

    def _engine_status(self, name: str) -> dict[str, Any]:
        remarks = self._stages.packages[name].remarks  # read already, off the loop
        return {**self._stages.fleet.models[name].status(), "remarks": [str(remark) for remark in remarks]}

    def _camera_status(self, name: str, now_ns: int) -> dict[str, Any]:
        lane, status = self._stages.lanes[name], self._stages.cameras[name].status()
        age_ms = lane.result_age_ms(now_ns)
        return {
            **status,
            "reason": status["reason"] or lane.trouble,
            "model": lane.settings.model,
            "result_age_ms": None if age_ms is None else round(age_ms, 1),
        }


def _throttled(board: Board | None) -> tuple[str, ...]:
    return () if board is None or board.throttling is None else board.throttling.now
