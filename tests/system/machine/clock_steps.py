"""The wall clock jumps by a year and back, as on a board without a battery: nothing but the date may change."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from device import Journal, Robot, main_pid, property_of, run, say, step

SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd.service(8)
YEAR_S = 365 * 86_400
STATUSES = 4
ALARMS = ("Watchdog timeout", "camera front: lost", "camera front: frozen", "died of", "killed:")
LATEST_S = 10.0  # between two statuses, one a second: an emulated processor has been seen to take 3.5 s


def clock_set() -> None:
    step("the clock a year ahead, and back")
    journal, pid, restarts = Journal(), main_pid(), property_of("NRestarts")
    with Robot() as robot:
        assert not robot.told(lambda status: status["state"] == "ok")["wall_synced"], "nobody has set this clock"
        SYNCHRONIZED.parent.mkdir(parents=True, exist_ok=True)
        SYNCHRONIZED.touch()
        robot.told(lambda status: status["wall_synced"])
        say("wall_synced, once systemd-timesyncd has had an answer")
        for offset_s in (YEAR_S, -YEAR_S):
            run("date", "--set", f"@{time.time() + offset_s:.0f}")
            goes_on(robot)
    SYNCHRONIZED.unlink()
    assert (main_pid(), property_of("NRestarts")) == (pid, restarts)
    text = journal.text()
    assert not [word for word in ALARMS if word in text], text


def goes_on(robot: Robot) -> None:
    """Statuses go on at their pace, results with them."""
    wall_ns = time.time_ns()
    first = robot.told(lambda status: abs(status["wall_ns"] - wall_ns) < 60e9)
    result = robot.sees()
    statuses = [first, *(robot.told(lambda _: True) for _ in range(STATUSES))]
    gaps_s = [(later["monotonic_ns"] - one["monotonic_ns"]) / 1e9 for one, later in pairwise(statuses)]
    date = time.strftime("%Y-%m-%d", time.gmtime(first["wall_ns"] / 1e9))
    say(
        f"{date}: {statuses[-1]['state']}, a status every {max(gaps_s):.2f} s "
        f"at most, a result {result['age_ms']:.0f} ms after its frame"
    )
    assert all(
        status["state"] == "ok" or "although camera and model are at work" in status["reason"] for status in statuses
    )
    assert max(gaps_s) < LATEST_S
    assert 0 < result["age_ms"] < 10_000
