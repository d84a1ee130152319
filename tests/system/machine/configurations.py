"""Another configuration: a wrong one at the start, a good one and a wrong one while the service runs."""

from __future__ import annotations

import copy
import threading
import time
from itertools import pairwise
from typing import Any, Self

from device import (
    CONFIG,
    Journal,
    Robot,
    Stopwatch,
    configure,
    is_result,
    property_of,
    run,
    say,
    show,
    step,
)
from installation import CONFIGURATION

LOOP_S = 3.0  # twelve times RestartSec: a loop would be seen
LEAST_RESULTS = 3
SIDE = {"source": "synthetic:shapes", "size": [320, 240], "fps": 1, "model": "objects"}


def wrong_configuration() -> None:
    step("a wrong configuration: exit 78, no loop; mended, it runs")
    journal = Journal()
    wrong = copy.deepcopy(CONFIGURATION)
    wrong["cameras"]["front"]["fsp"] = 10
    configure(wrong)
    run("systemctl", "restart", "visiond", code=1)
    invocation = property_of("InvocationID")
    time.sleep(LOOP_S)
    states = {name: property_of(name) for name in ("ActiveState", "ExecMainStatus", "NRestarts", "InvocationID")}
    say(f"{LOOP_S:.0f} s later:", states, "socket:", property_of("ActiveState", "visiond.socket"))
    assert states == {"ActiveState": "failed", "ExecMainStatus": "78", "NRestarts": "0", "InvocationID": invocation}
    journal.tell(f"{CONFIG}:", "fsp")
    configure(CONFIGURATION)
    clock = Stopwatch()
    run("systemctl", "start", "visiond")
    ready = str(clock)
    with Robot() as robot:
        robot.sees()
    say(f"mended: READY after {ready}, detections after {clock}")


def reload() -> None:
    step("reload: another camera comes, and the one that is there loses nothing")
    with Robot() as robot, Witness() as witness:
        before = robot.told(lambda _: True)["cameras"]["front"]["dropped"]
        more = copy.deepcopy(CONFIGURATION)
        more["cameras"]["side"] = SIDE
        configure(more)
        assert "restarted: camera side: started" in show("visiond", "reload")
        say(f"camera side: result {robot.sees('side')['seq']}")

        step("reload of a wrong configuration: refused, the old one goes on")
        more["cameras"]["side"]["fsp"] = 1
        configure(more)
        assert "did you mean fps" in show("visiond", "reload", code=78)
        robot.sees("side")
        configure(CONFIGURATION)
        assert "applied: camera side: ended" in show("visiond", "reload")
        after = robot.told(lambda status: "side" not in status["cameras"])["cameras"]["front"]["dropped"]
    say(f"camera front meanwhile: {len(witness.results)} results; its dropped frames were {before}, are {after}")
    assert len(witness.results) > LEAST_RESULTS
    assert all(later["seq"] == one["seq"] + 1 + later["missed"] for one, later in pairwise(witness.results))
    assert len({result["epoch"] for result in witness.results}) == 1
    assert {why for why in after if after[why] != before.get(why)} <= {"superseded", "expired"}, "lost in an engine"


class Witness(Robot):
    """Reads the results of camera front all the while, in a thread."""

    def __init__(self) -> None:
        super().__init__()
        self.results: list[dict[str, Any]] = []
        self._leaves = False
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaves = True
        self._thread.join()
        super().__exit__()

    def _read(self) -> None:
        while not self._leaves:
            message = self.message()
            if is_result(message, "front"):
                self.results.append(message)
