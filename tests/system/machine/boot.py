"""What the device does by itself when it is switched on."""

from __future__ import annotations

from pathlib import Path

from device import Robot, main_pid, property_of, run, say, step, until, workers
from robot_user import first_detections


def booted() -> None:
    step("booted: what the device has done by itself")
    say(run("systemd-analyze", "time").splitlines()[0])
    until("the service runs", lambda: property_of("ActiveState") == "active")
    first = until("the robot has its first detections", first_detections)
    started_s = int(property_of("ExecMainStartTimestampMonotonic")) / 1e6
    ready_s = int(property_of("ActiveEnterTimestampMonotonic")) / 1e6
    published_s = first["published_ns"] / 1e9
    say(
        f"visiond.service started {started_s:.1f} s after the kernel; {ready_s - started_s:.1f} s later READY, "
        f"{published_s - started_s:.1f} s later the first detections, which a robot has that was there before"
    )
    assert property_of("NRestarts") == "0"
    with Robot() as robot:
        camera = robot.told(lambda status: status["state"] == "ok")["cameras"]["front"]
    say(f"ok; camera {camera['state']}, {camera['format']} {camera['size']}, {camera['fps']} fps")


def memory() -> None:
    step("memory, under systemd")
    with Robot() as robot:
        robot.sees()
        for name, pid in {"visiond": main_pid(), **workers()}.items():
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
            rss, pss = (int(rollup[rollup.index(f"{key}:") + 1]) // 1024 for key in ("Rss", "Pss"))
            say(f"{name}: RSS {rss} MB, PSS {pss} MB")
    say(
        "the unit:",
        *(f"{name}={property_of(name)}" for name in ("MemoryCurrent", "MemoryHigh", "MemoryMax", "TasksCurrent")),
    )
