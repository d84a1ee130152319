"""The simulated stick, steered as the service's user: the files of its fake bus belong to who moves them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from edgetpu_sim.simulator import BUILD, HERE, LIBRARY
from system.soak.device import USER

FOLDER: Final = Path("/srv/soak/sticks")
DEVICE: Final = "usb:0"
INVOKE_MS: Final = 7.0
_SIMULATOR: Final = HERE / "simulator.py"
# What the stick answers: COCO SSD's cat of the golden example, and the small classifier's.
_CAT_BOX: Final = (
    "TFLite_Detection_PostProcess=f32:0.13,0.07,0.98,0.72",
    "TFLite_Detection_PostProcess:1=f32:16",
    "TFLite_Detection_PostProcess:2=f32:0.9",
    "TFLite_Detection_PostProcess:3=f32:1",
)
_CAT_CLASS: Final = "MobilenetV1/Predictions/Reshape_1=u8:" + ",".join("200" if n == 286 else "0" for n in range(1001))


def sim(command: str, *words: str) -> None:
    """One command of tests/edgetpu_sim/simulator.py."""
    subprocess.run(
        [sys.executable, str(_SIMULATOR), command, str(FOLDER), *words],
        check=True, stdout=subprocess.DEVNULL, user=USER, group=USER, timeout=120,
    )  # fmt: skip


def start() -> None:
    """Plug one in that answers with the cat."""
    sim("start")
    sim("set", "claim=all", f"invoke_ms={INVOKE_MS}")
    sim("outputs", *_CAT_BOX, _CAT_CLASS)


def repair() -> None:
    """No fault, plugged in, as fast as ever."""
    sim("heal")
    sim("unplug")
    sim("plug")
    sim("set", f"invoke_ms={INVOKE_MS}")
    answer()


def answer() -> None:
    """The cat again, after other outputs."""
    sim("outputs", *_CAT_BOX, _CAT_CLASS)


def section() -> dict[str, str | float]:
    """The `edgetpu` section of a configuration; a stick that fails every few seconds is tried again at once."""
    return {
        "library": str(BUILD / LIBRARY),
        "sysfs": str(FOLDER / "sysfs"),
        "dev": str(FOLDER / "dev"),
        "max_backoff_s": 1.0,
    }
