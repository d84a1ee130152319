"""The camera goes and comes while the service runs: told on the socket, and back by itself."""

from __future__ import annotations

from typing import Any

import camera
from device import Journal, Robot, Stopwatch, main_pid, say, step


def is_in(state: str) -> Any:
    return lambda status: status["cameras"]["front"]["state"] == state


def connection_lost() -> None:
    step("disconnect=1: the node stays, every call fails")
    with Robot() as robot:
        before = robot.sees()
        clock = Stopwatch()
        camera.fail()
        lost = robot.told(is_in("lost"))
        say(f"lost after {clock}: {lost['cameras']['front']['reason']}")
        back(robot, before, lost, clock)


def unplugged() -> None:
    step("unbind and bind: the node is gone, and comes back")
    journal, pid = Journal(), main_pid()
    with Robot() as robot:
        before = robot.sees()
        clock = Stopwatch()
        camera.unplug()
        lost = robot.told(is_in("lost"))
        say(f"lost after {clock}: {lost['cameras']['front']['reason']}")
        blind = robot.told(lambda status: status["state"] == "blind" and is_in("absent")(status))
        say(f"blind after {clock}: {blind['reason']}")
        clock = Stopwatch()
        camera.replug()
        back(robot, before, blind, clock)
        ok = robot.told(lambda status: status["state"] == "ok")
        say(f"{ok['state']} after {clock}; the daemon is still process {pid}")
    assert main_pid() == pid
    journal.tell("camera front: lost", "camera front: streaming")


def back(robot: Robot, before: dict[str, Any], gone: dict[str, Any], clock: Stopwatch) -> None:
    """Results come of frames that were captured after this status, under numbers that go on."""
    after = robot.until(lambda m: m["type"] == "detections" and m["captured_ns"] > gone["monotonic_ns"])
    assert after["seq"] > before["seq"]
    say(f"detections again after {clock}, {after['age_ms']:.0f} ms after their frame")
