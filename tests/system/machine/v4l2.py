"""The camera worker by itself, against the driver's own faults: v4l2_check.py, with the camera as a webcam."""

from __future__ import annotations

import os
import subprocess

import camera
from device import step

PYTHON = "/opt/rig-venv/bin/python"


def v4l2() -> None:
    step("visiond cameras, and the camera worker by itself")
    camera.forget()
    environment = {**os.environ, "PYTHONPATH": "/checkout/daemon:/checkout/tests"}
    for command in (["-m", "visiond", "cameras"], ["tests/system/machine/v4l2_check.py"]):
        subprocess.run([PYTHON, *command], env=environment, check=True)
