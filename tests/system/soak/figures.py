"""Figures of the service in the container: how soon it is ready and sees, and the memory of each process.

`tests/system/soak/run figures`; prints, and judges nothing: the machine may be busy with something else.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from system.soak import device, scene
from system.soak.stage import Stage, in_words, prepare
from system.soak.witness import Witness

STARTS: Final = 15
SETTLED_S: Final = 30.0  # after which a process has what it needs


def main() -> int:
    prepare()
    stage = Stage()
    device.systemctl("start", "visiond.socket")
    stage.witnesses = [Witness("robot")]
    for name, config in {
        "one camera of 15 fps, shapes on the CPU": shapes(),
        "one camera, the stick and its twin": scene.one_camera(),
        "four cameras, three models, the stick": scene.config(),
    }.items():
        stage.config = config
        device.configure(config)
        print(f"== {name}", flush=True)
        starts(stage.witness)
        memory(stage)
    return 0


def shapes() -> dict[str, Any]:
    """What a device without a stick has, and without a camera: as tests/system/container/units."""
    whole = scene.config()
    return {
        "socket": whole["socket"],
        "cameras": {"front": {"source": "synthetic:shapes", "fps": 15, "model": "shapes"}},
        "models": {"shapes": whole["models"]["shapes"]},
    }


def starts(robot: Witness) -> None:
    """From the start of the service to READY and to the first detection, for a robot that waits in the queue."""
    ready_s, seen_s = [], []
    for _ in range(STARTS):
        device.systemctl("stop", "visiond")
        time.sleep(0.5)  # the robot has connected again
        instance, began_s = robot.instance, time.monotonic()
        device.systemctl("start", "visiond")
        ready_s.append(time.monotonic() - began_s)
        born_s = robot.until_reborn(instance, 30)
        if born_s is None:
            raise SystemExit(f"no detection: {in_words(robot.status())}")
        seen_s.append(born_s - began_s)
    print(f"   READY after {spread(ready_s)}; first detection after {spread(seen_s)}; {STARTS} starts; {load()}")


def memory(stage: Stage) -> None:
    """RSS and PSS of each process, and what the kernel has charged to the service at most."""
    time.sleep(SETTLED_S)
    parent = stage.parent
    processes = {"parent": parent, **device.workers(parent)}
    held = {name: device.held(pid) for name, pid in processes.items()}
    for name, each in held.items():
        print(f"   {name:28} RSS {each.rss_mb:6.1f} MB  PSS {each.pss_mb:6.1f} MB")
    rss_mb, pss_mb = sum(each.rss_mb for each in held.values()), sum(each.pss_mb for each in held.values())
    print(f"   {'all':28} RSS {rss_mb:6.1f} MB  PSS {pss_mb:6.1f} MB; charged: {charged(parent)}", flush=True)


def charged(pid: int) -> str:
    """What the service's control group holds and has held, where the kernel keeps count of it."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for folder, now, peak in (
            (Path("/sys/fs/cgroup/memory"), "memory.usage_in_bytes", "memory.max_usage_in_bytes"),
            (Path("/sys/fs/cgroup"), "memory.current", "memory.peak"),
        ):
            if (
                path.endswith(f"/{device.UNIT}.service")
                and controllers in ("memory", "")
                and (group := folder / path.lstrip("/") / now).exists()
            ):
                texts = [(group.parent / name).read_text() for name in (now, peak)]
                now_mb, peak_mb = (int(text) / 2**20 for text in texts)
                return f"{now_mb:.0f} MB, at most {peak_mb:.0f} MB"
    return "not counted here"


def spread(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.2f} s (p50), {max(seconds):.2f} s (worst)"


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


if __name__ == "__main__":
    sys.exit(main())
