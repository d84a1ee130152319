"""The wall clock steps a year while the daemon works: nothing restarts, nothing is called old, nobody is alarmed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cameras.mjpeg_server import MjpegServer
from edgetpu_sim.simulator import Simulator
from harness import Client, Daemon, shapes_model
from wall_clock.wall_clock import WallClock

pytestmark = pytest.mark.slow

YEAR_S = 365 * 24 * 3600
HEARTBEATS = 3

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]


@pytest.fixture
def wall_clock(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Daemons that are started after it have this clock, and so have their workers."""
    clock = WallClock(short_folder)
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    return clock


def follow(client: Client, cameras: set[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Results and statuses for some heartbeats, until each camera had results after the last of them."""
    results: list[dict[str, Any]] = []
    statuses: list[dict[str, Any]] = []
    missing = set(cameras)
    while missing or len(statuses) < HEARTBEATS:
        message = client.until(lambda message: message["type"] in ("detections", "status"))
        if message["type"] == "status":
            statuses.append(message)
            missing = set(cameras)
        else:
            missing.discard(message["camera"])
            now_ns = time.monotonic_ns()
            assert 0 <= now_ns - message["captured_ns"] < 2e9, "stamped by the monotonic clock, which is ours too"
            assert message["captured_ns"] <= message["published_ns"] <= now_ns
            assert 0 <= message["age_ms"] < 1000
            results.append(message)
    return results, statuses


def assert_undisturbed(daemon: Daemon, clock: WallClock, cameras: set[str], degraded: bool = False) -> None:
    """A year ahead, a year back, and right again: results go on one by one, from the same processes."""
    with daemon.client() as client:
        client.status(lambda status: status["state"] == "ok")
        workers = daemon.workers()
        assert all(clock.is_in(pid) for pid in (daemon.process.pid, *workers.values()))
        last: dict[str, int] = {}
        for step_s in (0, YEAR_S, -YEAR_S, 0):
            clock.step(step_s)
            results, statuses = follow(client, cameras)
            for result in results:
                seq = last.get(result["camera"])
                assert seq is None or result["seq"] == seq + 1
                assert (result["missed"], result["degraded"]) == (0, degraded)
                last[result["camera"]] = result["seq"]
            for status in statuses:
                assert (status["state"], status["reason"]) == ("ok", None)
                assert all(camera["restarts"] == 0 for camera in status["cameras"].values())
                assert all(engine["restarts"] == 0 for engine in status["engines"].values())
                assert isinstance(status["wall_synced"], bool)
            told_s = (statuses[-1]["wall_ns"] - time.time_ns()) / 1e9
            assert abs(told_s - step_s) < 60, "what the wall clock says is reported, whatever it is"
        assert daemon.workers() == workers
    assert daemon.stop() == 0


def test_fault_52_a_year_ahead_and_back_disturbs_neither_cameras_nor_the_cpu(
    start_daemon: StartDaemon, wall_clock: WallClock, root: Path
) -> None:
    with MjpegServer() as server:
        front = {"source": "synthetic:shapes", "size": [320, 240], "fps": 10, "model": "shapes"}
        network = {"source": server.url(), "model": "shapes", "max_age_ms": 1000}
        config = {"cameras": {"front": front, "network": network}, "models": {"shapes": shapes_model(root)}}
        assert_undisturbed(start_daemon(config), wall_clock, {"front", "network"})


@pytest.mark.assets
def test_fault_52_a_year_ahead_and_back_disturbs_no_edge_tpu(
    start_daemon: StartDaemon, wall_clock: WallClock, simulator: Simulator, tpu_config: TpuConfig
) -> None:
    assert_undisturbed(start_daemon(tpu_config()), wall_clock, {"front"})
    assert simulator.creates == 1


def test_the_clock_of_these_tests_steps_the_wall_clock_alone(wall_clock: WallClock) -> None:
    code = "import time; input(); print(time.time(), time.time_ns() / 1e9, time.monotonic())"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        wall_clock.step(-YEAR_S)
        shown, _ = process.communicate(b"\n", timeout=30)
    wall_s, also_s, monotonic_s = map(float, shown.split())
    assert abs(wall_s + YEAR_S - time.time()) < 60
    assert abs(also_s + YEAR_S - time.time()) < 60
    assert abs(monotonic_s - time.monotonic()) < 60
