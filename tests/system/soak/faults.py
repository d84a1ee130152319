"""The faults that the parent must survive: each strikes, waits until that shows, and mends what a person would mend."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from system.soak import crowd, device, sticks
from system.soak.network_camera import dark_pictures, pictures
from system.soak.scene import CAMERAS
from system.soak.stage import NotSeen, Stage, worker

STICK: Final = sticks.DEVICE
ALL: Final = frozenset(CAMERAS)
KNOWN: Final = 250  # results of the stick after which the daemon knows what an invoke usually takes


@dataclass(frozen=True, slots=True)
class Fault:
    """`dark`: cameras that may be without results for more than a moment."""

    name: str
    strike: Callable[[Stage], None]
    dark: frozenset[str]


FAULTS: Final[dict[str, Fault]] = {}


def fault(name: str, *dark: str) -> Callable[[Callable[[Stage], None]], Callable[[Stage], None]]:
    def add(strike: Callable[[Stage], None]) -> Callable[[Stage], None]:
        FAULTS[name] = Fault(name, strike, frozenset(dark))
        return strike

    return add


# the stick: rows 16 to 24, 31, 57, 58


def _at_next_call(kind: str, times: int = 1) -> None:
    def strike(stage: Stage) -> None:
        with stage.failing("objects", STICK):
            sticks.sim("fail", kind, f"--times={times}")

    fault(f"stick: {kind}")(strike)


def _at_next_opening(kind: str, times: int = 1, patience_s: float = 10.0) -> None:
    def strike(stage: Stage) -> None:
        before = worker(stage.witness.status(), "objects", STICK)["failures"]
        sticks.sim("fail", kind, f"--times={times}")
        device.tell(signal.SIGKILL, stage.process(f"engine {STICK}"))
        wanted = before + 1 + times
        stage.until(lambda s: worker(s, "objects", STICK)["failures"] >= wanted, "the opening fails", patience_s)

    fault(f"stick: {kind} at the opening")(strike)


for _kind, _times in {"abort": 1, "segv": 1, "hang": 1, "error": 6}.items():
    _at_next_call(_kind, _times)
for _kind, _times in {"create_fail": 2, "create_abort": 1, "create_segv": 1, "prepare_fail": 1}.items():
    _at_next_opening(_kind, _times)
_at_next_opening("create_hang", patience_s=40)


@fault("stick: unplugged, and back")
def _unplugged(stage: Stage) -> None:
    sticks.sim("unplug")
    stage.until(lambda s: s["edgetpus"][0]["state"] == "absent", "the stick is absent")
    sticks.sim("plug")


@fault("stick: no permission")
def _denied(stage: Stage) -> None:
    sticks.sim("deny")
    device.tell(signal.SIGKILL, stage.process(f"engine {STICK}"))
    stage.until(lambda s: s["edgetpus"][0]["state"] == "no_permission", "the stick is not permitted")
    sticks.sim("heal")


@fault("stick: its outputs are NaN")
def _nan(stage: Stage) -> None:
    try:
        with stage.failing("objects", STICK):
            sticks.sim("set", "nan=1")
    finally:
        sticks.answer()


@fault("stick: its library leaks")
def _leak(stage: Stage) -> None:
    before = worker(stage.witness.status(), "objects", STICK)["restarts"]
    sticks.sim("set", "leak_bytes=4000000")
    try:
        stage.until(lambda s: worker(s, "objects", STICK)["restarts"] > before, "its process is recycled", 20)
    finally:
        sticks.sim("heal")


@fault("stick: slow")
def _slow(stage: Stage) -> None:
    known = worker(stage.witness.status(), "objects", STICK)["results"] + KNOWN
    stage.until(lambda s: worker(s, "objects", STICK)["results"] > known, "what is normal is known", 60)
    sticks.sim("set", "invoke_ms=30")
    try:
        stage.until(lambda s: s["engines"]["objects"]["slow"], "objects are slow", 20)
    finally:
        sticks.sim("set", f"invoke_ms={sticks.INVOKE_MS}")


@fault("stick and camera at once", "rear")
def _stick_and_camera(stage: Stage) -> None:
    stage.http.vanish()
    with stage.failing("objects", STICK):
        sticks.sim("unplug")
    stage.camera_is("rear", "lost", "absent")
    sticks.sim("plug")
    stage.http.come_back()


# processes: rows 3, 20 to 22, 51


def _process(name: str, number: signal.Signals, *dark: str) -> None:
    def strike(stage: Stage) -> None:
        kind, _, part = name.partition(" ")
        with ExitStack() as shown:
            if kind == "camera":
                shown.enter_context(stage.camera_restarts(part))
            else:
                model = "objects" if part == STICK else part.partition(" ")[0]
                shown.enter_context(stage.failing(model, part))
            device.tell(number, stage.process(name))

    fault(f"{name}: {number.name}", *dark)(strike)


for _signal in (signal.SIGKILL, signal.SIGSTOP):
    _process(f"engine {STICK}", _signal)
    _process("engine shapes", _signal, "door")
    _process("camera front", _signal, "front")
    _process("camera rear", _signal, "rear")
_process("engine objects on the CPU", signal.SIGKILL)


@fault("the twin stands still when it is needed", "front", "rear")
def _stopped_twin(stage: Stage) -> None:
    device.tell(signal.SIGSTOP, stage.process("engine objects on the CPU"))
    with stage.failing("objects", "objects on the CPU"):
        sticks.sim("unplug")
    sticks.sim("plug")


@fault("no process can be started", "yard")
def _no_fork(stage: Stage) -> None:
    with device.limited("nproc", 1):
        device.tell(signal.SIGKILL, stage.process("camera yard"))
        stage.until(lambda s: "cannot start" in (s["cameras"]["yard"]["reason"] or ""), "yard cannot be started")


# network cameras: rows 5 to 7, 11 to 13


@fault("http: switched off", "rear")
def _http_off(stage: Stage) -> None:
    stage.http.vanish()
    stage.camera_is("rear", "absent")
    stage.http.come_back()


@fault("http: restarted", "rear")
def _http_reset(stage: Stage) -> None:
    stage.http.reset()
    stage.camera_is("rear", "lost")


@fault("http: silent", "rear")
def _http_silent(stage: Stage) -> None:
    stage.http.silent.set()
    stage.camera_is("rear", "lost", "absent")
    stage.http.silent.clear()


@fault("http: garbage", "rear")
def _http_garbage(stage: Stage) -> None:
    stage.http.garbage.set()
    stage.camera_is("rear", "lost", "absent")
    stage.http.garbage.clear()


@fault("http: dark, then another size")
def _http_pictures(stage: Stage) -> None:
    stage.http.playing = dark_pictures()
    stage.until(lambda s: s["cameras"]["rear"]["quality"] == "dark", "rear is dark")
    stage.http.playing = pictures((400, 304))
    stage.until(lambda s: s["cameras"]["rear"]["size"] == [400, 304], "rear has another size")
    stage.http.as_usual()
    stage.until(lambda s: s["cameras"]["rear"]["size"] == [320, 240], "rear has its size again")


@fault("rtsp: switched off", "door")
def _rtsp_off(stage: Stage) -> None:
    stage.rtsp.vanish()
    stage.camera_is("door", "absent")
    stage.rtsp.come_back()


@fault("rtsp: restarted", "door")
def _rtsp_reset(stage: Stage) -> None:
    stage.rtsp.reset()
    stage.camera_is("door", "lost")


@fault("rtsp: noise")
def _rtsp_noise(stage: Stage) -> None:
    """Pictures that can be decoded and are none; libjpeg complains of each."""
    stage.rtsp.garbage.set()
    stage.until(lambda s: s["cameras"]["door"]["quality"] == "flat", "door is flat")
    time.sleep(3)
    stage.rtsp.garbage.clear()


@fault("rtsp: silent", "door")
def _rtsp_silent(stage: Stage) -> None:
    stage.rtsp.silent.set()
    stage.camera_is("door", "lost", "absent")
    stage.rtsp.silent.clear()


# configuration: rows 44 to 48


@fault("SIGHUP: another number of threads")
def _hangup(stage: Stage) -> None:
    for threads in (2, 1):
        changed = copy.deepcopy(stage.config)
        changed["models"]["shapes"]["threads"] = threads
        device.configure(changed)
        device.tell(signal.SIGHUP)
        stage.until(lambda s, n=threads: s["engines"]["shapes"]["threads"] == n, f"shapes have {threads} threads")
        stage.until(lambda s: s["engines"]["shapes"]["state"] == "ready", "shapes are ready")


@fault("SIGHUP: twelve in a row, each with another number of threads")
def _hangups(stage: Stage) -> None:
    changed = copy.deepcopy(stage.config)
    for threads in (2, 1) * 6:
        changed["models"]["shapes"]["threads"] = threads
        device.configure(changed)
        device.tell(signal.SIGHUP)
        time.sleep(0.2)
    stage.reload(stage.config)


@fault("SIGHUP: a wrong configuration")
def _bad_hangup(stage: Stage) -> None:
    device.put("cameras: {front: {source: nonsense, fsp: 3}}\nmodels: [\n")
    device.tell(signal.SIGHUP)
    stage.until(lambda s: (s["reload"] or {}).get("result") == "refused", "the reload is refused")
    device.configure(stage.config)
    device.tell(signal.SIGHUP)
    stage.until(lambda s: (s["reload"] or {}).get("result") == "applied", "the reload is applied")


@fault("reload: zones and scores of a camera that goes on")
def _zones(stage: Stage) -> None:
    changed = copy.deepcopy(stage.config)
    changed["cameras"]["front"]["zones"] = {"half": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
    changed["cameras"]["door"]["max_age_ms"] = 800
    stage.reload(changed)
    stage.reload(stage.config)


@fault("reload: a model of the stick changes")
def _model(stage: Stage) -> None:
    changed = copy.deepcopy(stage.config)
    changed["models"]["objects"]["min_score"] = 0.6
    stage.reload(changed)
    stage.until(stage.is_well, "well with the other model")
    stage.reload(stage.config)


@fault("reload: a camera comes and goes")
def _guest(stage: Stage) -> None:
    for witness in stage.witnesses:
        witness.let_pass("guest")
    changed = copy.deepcopy(stage.config)
    changed["cameras"]["guest"] = {**changed["cameras"]["yard"], "model": "shapes"}
    stage.reload(changed)
    stage.until(lambda s: s["cameras"].get("guest", {}).get("inferred", 0) > 5, "the guest has results")
    stage.reload(stage.config)
    stage.until(lambda s: "guest" not in s["cameras"], "the guest has gone")


@fault("reload: without results, undone", "yard")
def _undone(stage: Stage) -> None:
    changed = copy.deepcopy(stage.config)
    changed["cameras"]["yard"]["source"] = "http://127.0.0.1:9/nothing"
    stage.reload(changed)
    stage.until(lambda s: (s["reload"] or {}).get("result") == "undone", "the reload is undone", 15)
    stage.reload(stage.config)


# clients: rows 32 to 39


@fault("300 clients at once")
def _crowd(stage: Stage) -> None:
    before = stage.witness.status()["clients"]["refused"]
    with crowd.connected(300):
        stage.until(lambda s: s["clients"]["refused"] > before, "some are refused")


@fault("descriptors run out")
def _descriptors(stage: Stage) -> None:
    with crowd.connected(0) as late, device.limited("nofile", device.held(stage.parent).fds):
        late.extend(crowd.connection() for _ in range(10))
        time.sleep(3)
        if crowd.greeted(late):
            raise NotSeen("there were descriptors for more clients")


@fault("clients die")
def _clients_die(stage: Stage) -> None:
    before = stage.witness.status()["clients"]["connected"]
    processes = [crowd.reader() for _ in range(8)]
    try:
        stage.until(lambda s: s["clients"]["connected"] >= before + 6, "they are connected")
    finally:
        for process in processes:
            process.kill()
            process.wait()
    stage.until(lambda s: s["clients"]["connected"] <= before + 2, "they have gone")


@fault("malformed requests")
def _malformed(_: Stage) -> None:
    for line in crowd.MALFORMED:
        if not crowd.sent_away(line * 3):
            raise NotSeen(f"three times {line[:40]!r}: the client is still connected")


@fault("a request that never ends")
def _dribble(_: Stage) -> None:
    if not crowd.sent_away(b'{"type"', patience_s=8):
        raise NotSeen("the client is still connected")


@fault("a second daemon")
def _second(_: Stage) -> None:
    command = [device.VISIOND, "run", "-c", str(device.CONFIG)]
    done = subprocess.run(command, capture_output=True, text=True, user=device.USER, group=device.USER, timeout=30)
    if done.returncode != 75:
        raise NotSeen(f"it ended with {done.returncode}: {done.stderr}")


# the machine: rows 54 to 56, 61


@fault("the daemon stopped for 3 s", *ALL)
def _pause(_: Stage) -> None:
    parent = device.tell(signal.SIGSTOP)
    time.sleep(3)
    device.tell(signal.SIGCONT, parent)


@fault("the processors are busy", *ALL)
def _busy(_: Stage) -> None:
    command = [sys.executable, "-c", "while True: pass"]
    processes = [subprocess.Popen(command) for _ in range(2 * (os.cpu_count() or 1))]
    time.sleep(4)
    for process in processes:
        process.kill()
        process.wait()


@fault("the journal stands still")
def _journal(_: Stage) -> None:
    journald = int(device.systemctl("show", "--property=MainPID", "--value", "systemd-journald").stdout)
    device.tell(signal.SIGSTOP, journald)
    try:
        for _attempt in range(400):  # each makes a line of the log
            crowd.sent_away(b"{}\n" * 3)
    finally:
        device.tell(signal.SIGCONT, journald)


@fault("/run is full", "front")
def _full(stage: Stage) -> None:
    run, filler = os.statvfs("/run"), Path("/run/filler")
    used = (run.f_blocks - run.f_bfree) * run.f_frsize
    _resize(used + 4_000_000)
    try:
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError as error:
                if not os.statvfs("/run").f_bavail == 0:
                    raise NotSeen(f"/run is not full: {error}") from error
        with stage.camera_restarts("front"):
            device.tell(signal.SIGKILL, stage.process("camera front"))
        stage.reload(stage.config)
    finally:
        filler.unlink()
        _resize(run.f_blocks * run.f_frsize)


def _resize(size_bytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size_bytes}", "/run"], check=True)


def in_words(error: BaseException) -> str:
    """What came of a fault, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())
