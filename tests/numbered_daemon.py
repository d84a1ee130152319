"""The daemon's socket server with made-up results, each of which carries its number as `seq` and `frame`.

In a thread for most tests; run as a script, it is a process of its own that can be limited, measured and killed.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from visiond.detection import Box, Classification, Detection, Keypoint, Mask, Result, Segment, Stages
from visiond.publish import wire
from visiond.publish.unix_socket import UnixSocketServer

T = TypeVar("T")
CAMERAS = ("front", "rear")
LABELS = ["cat", "dog", None, "hot dog"]
PATIENCE_S = 20.0


def result(camera: str = "front", number: int = 0, objects: int = 1, captured_ns: int = 5_000_000) -> Result:
    """A result of `objects` objects, alternately a cat of 0.9 and a dog of 0.4."""
    found = tuple(
        Detection(LABELS[i % 2], i % 2, (0.9, 0.4)[i % 2], Box(0.07, 0.13, 0.72, 0.98), track_id=i, zones=("door",))
        for i in range(objects)
    )
    return Result(camera, number, captured_ns, "cpu", Stages(0.4, 0.9, 8.1, 0.3), objects=found)


def classified(camera: str = "front", number: int = 0) -> Result:
    classes = (Classification("cat", 0, 0.9), Classification(None, 2, 0.05))
    return Result(camera, number, 5_000_000, "edgetpu", Stages(0.4, 0.9, 2.1, 0.3), classes=classes)


def posed() -> Result:
    """A person of whom the model sees two keypoints of three."""
    points = (Keypoint("nose", 0.5, 0.25, 0.9), Keypoint("left_eye", 0.55, 0.2, 0.8), Keypoint(None, 1.0, 0.0, 0.1))
    found = Detection("person", 0, 0.62, Box(0.3, 0.1, 0.7, 0.9), 4, ("door",), points)
    return Result("front", 0, 5_000_000, "cpu", Stages(0.4, 0.9, 8.1, 0.3), objects=(found,))


def segmented(segments: int = 2) -> Result:
    """A bird, and something that is the last cell of a grid of 4×3."""
    bird = Segment("bird", 3, 2 / 12, Box(0, 0, 0.25, 0.5), Mask(3, 4, (0, 2, 10)))
    other = Segment(None, 12, 0.02, Box(0.75, 0.75, 1, 1), Mask(3, 4, (11, 1)))
    stages = Stages(0.4, 0.9, 8.1, 0.3)
    return Result("front", 0, 5_000_000, "cpu", stages, segments=(bird, other)[:segments])


def hello(labels: Sequence[str | None] | None = tuple(LABELS), protocol: Sequence[int] | None = None) -> dict[str, Any]:
    fields = wire.hello(
        version="0.0.1",
        instance="instance",
        boot_id="boot",
        monotonic_ns=time.monotonic_ns(),
        wall_ns=time.time_ns(),
        wall_synced=False,
        heartbeat_ms=1000,
        cameras={name: {"size": [640, 480], "model": "objects", "state": "streaming"} for name in CAMERAS},
        models={"objects": {"task": "detection", "sha256": "0" * 64, "labels": labels and list(labels)}},
    )
    return fields if protocol is None else {**fields, "protocol": list(protocol)}


def worker(**fields: Any) -> dict[str, Any]:
    """One process of a model, as `status` tells it."""
    return {
        "name": "objects",
        "engine": "cpu",
        "state": "ready",
        "reason": None,
        "retry_in_s": None,
        "runtime": "LiteRT 2.3.0",
        "runtime_why": "auto: the first choice for this model",
        "library": None,
        "invoke_ms": {"p50": 8.1, "p99": 9.9},
        "swaps": 0,
        "swap_ms": None,
        "results": 100,
        "restarts": 0,
        "failures": 0,
        "last_failure": None,
        "pid": 4242,
        "left_behind": [],
        "rss_mb": 84.3,
        "golden": {"passed": 2, "failed": 0, "failures": []},
        **fields,
    }


def edgetpu(**fields: Any) -> dict[str, Any]:
    """One stick, as `status` tells it."""
    return {
        "device": "usb:0",
        "state": "in_use",
        "reason": None,
        "port": "2-1",
        "usb_id": "18d1:9302",
        "speed_mbps": 5000.0,
        "serial": None,
        "remark": None,
        "pid": 4243,
        "models": ["objects"],
        **fields,
    }


def status(state: str = "ok", reason: str | None = None, clients: dict[str, int] | None = None) -> dict[str, Any]:
    camera = {
        "state": "streaming",
        "reason": None,
        "retry_in_s": None,
        "source": "synthetic:shapes",
        "model": "objects",
        "size": [640, 480],
        "format": "BGR",
        "fps": 29.97,
        "captured": 103,
        "inferred": 100,
        "dropped": {"superseded": 2, "expired": 0},
        "pending": 1,
        "skipped": {"unreadable": 4},
        "quality": None,
        "remark": None,
        "result_age_ms": 33.3,
        "restarts": 0,
    }
    lost = {"state": "lost", "reason": "it was unplugged", "retry_in_s": 2.5, "result_age_ms": None, "restarts": 3}
    engine = {
        "state": "ready",
        "reason": None,
        "retry_in_s": None,
        "engine": "cpu",
        "accelerator": "never",
        "degraded": False,
        "slow": None,
        "runtime": "LiteRT 2.3.0",
        "threads": 2,
        "invoke_ms": {"p50": 8.1, "p99": 9.9},
        "results": 100,
        "restarts": 0,
        "pid": 4242,
        "golden": {"passed": 2, "failed": 0, "failures": []},
        "standby": None,
        "remarks": [],
        "workers": [worker()],
    }
    return {
        "type": "status",
        "state": state,
        "reason": reason,
        "monotonic_ns": time.monotonic_ns(),
        "wall_ns": time.time_ns(),
        "wall_synced": False,
        "uptime_s": 8072.5,
        "cameras": {"front": camera, "rear": camera if state == "ok" else {**camera, **lost}},
        "engines": {"objects": engine},
        "edgetpus": [],
        "board": None,
        "reload": None,
        "clients": clients or {"connected": 0, "max": 0, "refused": 0, "closed_slow": 0},
    }


class NumberedDaemon:
    """A server in an event loop of its own thread; every method waits until the loop has done it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.state: tuple[str, str | None] = ("ok", None)
        self.errors: list[dict[str, Any]] = []  # exceptions that reached the event loop: there must be none
        options = {"group": None, "mode": 0o660, "max_clients": 256, "hello": hello, "status": self._status, **options}
        self._server = UnixSocketServer(path, **options)
        self._next = dict.fromkeys(CAMERAS, 0)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda _, context: self.errors.append(context))
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(PATIENCE_S)

    def publish(self, camera: str = "front", count: int = 1, objects: int = 1, published_ns: int = 16_800_000) -> None:
        """Publish the next `count` results of this camera."""

        def each() -> None:
            for _ in range(count):
                number = self._next[camera]
                self._next[camera] += 1
                message = result(camera, number, objects, captured_ns=published_ns - 11_800_000)
                self._server.publish(
                    wire.detections(message, seq=number, epoch=1, published_ns=published_ns, degraded=False)
                )

        self.call(each)

    def publish_result(self, message: Result) -> None:
        """Publish this one, as number 0."""
        line = wire.detections(message, seq=0, epoch=1, published_ns=16_800_000, degraded=False)
        self.call(lambda: self._server.publish(line))

    def publish_status(self, state: str = "ok", reason: str | None = None) -> None:
        self.state = (state, reason)
        self.call(self._server.publish_status)

    def counters(self) -> dict[str, int]:
        return self.call(self._server.counters)

    def wait_for(self, **counters: int) -> None:
        """Wait until these counters have these values."""
        until(lambda: {**self.counters(), **counters} == self.counters(), f"{counters}")

    def close(self, reason: str = "visiond stops") -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(reason), self._loop).result(PATIENCE_S)

    def end(self) -> None:
        """End the thread; the server must be closed, or never have started."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, function: Callable[[], T]) -> T:
        async def run() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(PATIENCE_S)

    def _status(self) -> dict[str, Any]:
        return status(*self.state, clients=self._server.counters())


@contextmanager
def numbered_daemon(path: Path, **options: Any) -> Iterator[NumberedDaemon]:
    """A started server; that nothing raised in its event loop is checked at the end."""
    daemon = NumberedDaemon(path, **options)
    try:
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.close()
    finally:
        daemon.end()
    assert not daemon.errors, daemon.errors


def until(condition: Callable[[], object], what: str = "it", patience_s: float = PATIENCE_S) -> None:
    """Wait for something that nothing announces."""
    give_up = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < give_up, f"{what} did not come about within {patience_s} s"
        time.sleep(0.005)


async def _serve(path: Path, fps: float, objects: int, max_clients: int) -> None:
    """Publish until SIGTERM; a line on stdout says when the socket is there."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)

    def current() -> dict[str, Any]:
        return status(clients=server.counters())

    server = UnixSocketServer(path, group=None, mode=0o660, max_clients=max_clients, hello=hello, status=current)
    await server.start()
    print("listening", flush=True)
    started_s, number = time.monotonic(), 0
    while not stop.is_set():
        now_ns = time.monotonic_ns()
        message = result("front", number, objects, captured_ns=now_ns - 11_800_000)
        server.publish(wire.detections(message, seq=number, epoch=1, published_ns=now_ns, degraded=False))
        if number % max(1, round(fps)) == 0:
            server.publish_status()
        number += 1
        try:
            await asyncio.wait_for(stop.wait(), max(0.0, started_s + number / fps - time.monotonic()))
        except TimeoutError:
            continue
    await server.close("visiond stops")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--fps", type=float, default=30.0)
    parser.add_argument("--objects", type=int, default=3)
    parser.add_argument("--max-clients", type=int, default=256)
    parser.add_argument("--nofile", type=int, help="soft limit of file descriptors")
    arguments = parser.parse_args()
    if arguments.nofile is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (arguments.nofile, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    asyncio.run(_serve(arguments.path, arguments.fps, arguments.objects, arguments.max_clients))


if __name__ == "__main__":
    main()
