"""The parent's view of a camera worker: a real one, on an event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from visiond.cameras.remote import LEAST_DEADLINE_S, RemoteCamera
from visiond.messages import OpenCamera

PATIENCE_S = 20.0


@asynccontextmanager
async def remote_camera(
    source: str, fps: float, on_change: Callable[[], None] = lambda: None
) -> AsyncIterator[RemoteCamera]:
    camera = RemoteCamera(OpenCamera("front", source, None, fps, 0), None, source, str, lambda: None, on_change)
    running = asyncio.create_task(camera.worker.run())
    try:
        yield camera
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        camera.close()


async def until(camera: RemoteCamera, wanted: Callable[[], bool]) -> None:
    """Check on the worker several times a second, as the service does, until it is as wanted."""
    give_up_s = time.monotonic() + PATIENCE_S
    while not wanted():
        assert time.monotonic() < give_up_s, camera.report
        await asyncio.sleep(0.05)
        camera.check()


async def hang() -> None:
    async with remote_camera("synthetic:shapes", 30) as camera:
        await until(camera, lambda: camera.accounts.read().captured > 3)
        hung = camera.worker.pid
        assert hung is not None
        os.kill(hung, signal.SIGSTOP)  # in the middle of whatever it does: it answers nothing any more
        stopped_s = time.monotonic()
        await until(camera, lambda: camera.report.state == "restarting")
        assert time.monotonic() - stopped_s < LEAST_DEADLINE_S + 1
        assert camera.report.reason == "killed: no frame for 3.0 s"
        await until(camera, lambda: camera.report.state == "streaming")
        assert camera.worker.pid not in (None, hung)
        assert camera.worker.restarts == 1


def test_fault_03_a_read_that_never_returns_is_killed_with_its_process() -> None:
    asyncio.run(hang())


async def cover(folder: Path) -> None:
    told: list[str | None] = []
    async with remote_camera(f"images:{folder}?loop=1", 20, lambda: told.append(camera.report.quality)) as camera:
        await until(camera, lambda: camera.status()["quality"] is not None)
        assert told[-1] == "dark", "clients are told with the next heartbeat only"
        status = camera.status()
        assert (status["state"], status["reason"], status["quality"]) == ("streaming", None, "dark")
        assert "almost black" in status["remark"]
        captured = status["captured"]
        await until(camera, lambda: bool(camera.status()["captured"] > captured))


def test_fault_06_a_dark_picture_is_told_in_status_and_the_frames_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cv2.imwrite(str(tmp_path / "night.png"), np.zeros((60, 80, 3), np.uint8))
    asyncio.run(cover(tmp_path))
    assert len([text for text in caplog.messages if "almost black" in text]) == 1
