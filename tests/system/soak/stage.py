"""Stage: the running service with all that a fault may reach, and what "well" means."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from system.soak import device, scene, sticks
from system.soak.bounds import SEEN_S
from system.soak.network_camera import HttpCamera
from system.soak.rtsp_camera import RtspCamera
from system.soak.witness import Status, Witness


class NotSeen(Exception):
    """A fault had no effect, or another one than it should."""


class Stage:
    """Cameras, stick, configuration and witnesses; faults are played on it."""

    def __init__(self) -> None:
        self.http = HttpCamera(scene.HTTP_PORT)
        self.rtsp = RtspCamera(scene.RTSP_PORT)
        self.config = scene.config()
        self.witnesses: list[Witness] = []

    @property
    def witness(self) -> Witness:
        """The one whose statuses are looked at."""
        return self.witnesses[0]

    @property
    def parent(self) -> int:
        return device.main_pid()

    def until(self, wanted: Any, what: str, patience_s: float = SEEN_S) -> Status:
        """The first status from now on that is wanted. Raises NotSeen."""
        status = self.witness.until(wanted, patience_s, time.monotonic())
        if status is None:
            raise NotSeen(f"{what}: not within {patience_s:g} s; {in_words(self.witness.status())}")
        return status

    @contextmanager
    def failing(self, model: str, engine: str, patience_s: float = SEEN_S) -> Iterator[None]:
        """What is done here makes a process of this model fail."""
        before = worker(self.witness.status(), model, engine)["failures"]
        yield
        self.until(lambda s: worker(s, model, engine)["failures"] > before, f"{engine} fails", patience_s)

    @contextmanager
    def camera_restarts(self, camera: str, patience_s: float = SEEN_S) -> Iterator[None]:
        """What is done here ends a camera's process."""
        before = self.witness.status()["cameras"][camera]["restarts"]
        yield
        self.until(lambda s: s["cameras"][camera]["restarts"] > before, f"{camera} is started anew", patience_s)

    def camera_is(self, camera: str, *states: str, patience_s: float = SEEN_S) -> None:
        """Wait until it is in one of these states."""
        self.until(lambda s: s["cameras"][camera]["state"] in states, f"{camera} is {states}", patience_s)

    def process(self, name: str) -> int:
        """Process id of "camera front" and the like, which exists."""
        give_up_s = time.monotonic() + SEEN_S
        while (pid := device.workers(self.parent).get(name)) is None:
            if time.monotonic() > give_up_s:
                raise NotSeen(f"there is no process {name}")
            time.sleep(0.02)
        return pid

    def reload(self, config: Mapping[str, Any], exit_code: int = 0) -> str:
        """Put it in place and run `visiond reload`; return what that printed."""
        device.configure(config)
        command = [device.VISIOND, "reload", "--socket", str(device.SOCKET)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if done.returncode != exit_code:
            raise NotSeen(f"visiond reload: exit code {done.returncode}, not {exit_code}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def mend(self) -> None:
        """End whatever a fault has left that did not come to its own end."""
        self.http.as_usual()
        self.rtsp.as_usual()
        sticks.repair()
        self.reload(self.config)

    def is_well(self, status: Status) -> bool:
        """Everything is as it is meant to be: results of all cameras, from the engines that are wanted.

        That shapes are slow is forgiven: their millisecond becomes two while something else has the processor.
        """
        if status["state"] == "blind" or set(status["cameras"]) != set(self.config["cameras"]):
            return False
        engines = status["engines"]
        return (
            all(engines[model]["engine"] == kind for model, kind in ENGINES.items())
            and not any(engine["degraded"] or engine["golden"]["failed"] for engine in engines.values())
            and engines["objects"]["slow"] is None
            and all(each["state"] == "ready" for engine in engines.values() for each in engine["workers"])
            and [stick["state"] for stick in status["edgetpus"]] == ["in_use"]
        )


ENGINES: Final = {"objects": "edgetpu", "kinds": "edgetpu", "shapes": "cpu"}


def worker(status: Status, model: str, name: str) -> dict[str, Any]:
    """One process of a model, as `status` tells it."""
    found: dict[str, Any] = next(each for each in status["engines"][model]["workers"] if each["name"] == name)
    return found


def in_words(status: Status) -> str:
    """What a status says, for somebody who looks for what went wrong."""
    if not status:
        return "no status"
    cameras = [f"{name} {each['state']}" for name, each in status["cameras"].items()]
    workers = {
        each["name"]: f"{each['state']}{'' if each['reason'] is None else ': ' + each['reason']}"
        for engine in status["engines"].values()
        for each in engine["workers"]
    }
    return f"{status['state']} ({status['reason']}); {', '.join(cameras)}; {workers}; reload {status['reload']}"


def start(stage: Stage, witnesses: int) -> None:
    """Start the service, and whoever watches it; return when it is well."""
    device.configure(stage.config)
    device.systemctl("start", "visiond.socket")
    device.systemctl("start", "visiond.service")
    stage.witnesses = [Witness(f"witness {number}") for number in range(witnesses)]
    stage.until(stage.is_well, "the service is well", 60)


def prepare() -> None:
    """The stick and the packages, before the service starts."""
    sticks.start()
    scene.put_packages()
