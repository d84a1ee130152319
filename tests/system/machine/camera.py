"""The kernel's virtual camera: a webcam, or a cable that pictures are played into; and its plug."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device import run, until

CAPTURE, OUTPUT = "/dev/video0", "/dev/video1"
DRIVER = Path("/sys/bus/platform/drivers/vivid")
USERS = Path("/sys/module/vivid/refcnt")
NAME = Path("/dev/v4l/by-path/platform-vivid.0-video-index0")  # udev's, of the plug
PICTURES = Path("/srv/pictures")
WEBCAM = ("n_devs=1", "node_types=0x1", "num_inputs=1", "input_types=0x0")  # at any rate, down to one frame a second
CABLE = ("n_devs=1", "node_types=0x101", "num_inputs=1", "input_types=0x3", "num_outputs=1", "output_types=0x1")
_RULE = """\
# A cable's picture has the timings of its sender, here the first of the standard ones: 640x480, 60 a second.
# They are set before the device has the name by which the daemon opens it.
SUBSYSTEM=="video4linux", PROGRAM="/usr/bin/v4l2-ctl -d $devnode --set-dv-bt-timings index=0"
"""
_CONVERT = """\
import sys, cv2
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    picture = cv2.resize(cv2.imread(source), (640, 480))
    open(target, "wb").write(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_YUY2).tobytes())
"""


def be_there_from_the_boot_on() -> None:
    """A webcam, whose module is loaded early in each boot, as a USB camera is found early."""
    Path("/etc/modprobe.d/vivid.conf").write_text(f"options vivid {' '.join(WEBCAM)}\n")
    Path("/etc/modules-load.d/vivid.conf").write_text("vivid\n")
    Path("/etc/udev/rules.d/90-vivid.rules").write_text(_RULE)


def forget() -> None:
    """As at first, for who uses the driver by itself."""
    for path in ("/etc/modprobe.d/vivid.conf", "/etc/modules-load.d/vivid.conf", "/etc/udev/rules.d/90-vivid.rules"):
        Path(path).unlink()
    run("udevadm", "control", "--reload")
    become(WEBCAM)


def become(kind: tuple[str, ...]) -> None:
    """Another camera in the same plug."""
    unplug()
    until("nobody has the camera open any more", lambda: USERS.read_text().strip() == "0")
    run("modprobe", "--remove", "vivid")
    run("modprobe", "vivid", *kind)
    until("udev names the camera", NAME.exists)


def take_pictures(*files: Path) -> None:
    """Convert them to what the cable carries."""
    PICTURES.mkdir(parents=True)
    pairs = [str(path) for file in files for path in (file, _raw(file.name))]
    run("/opt/rig-venv/bin/python", "-c", _CONVERT, *pairs)


def _raw(picture: str) -> Path:
    return PICTURES / f"{picture}.yuyv"


@contextmanager
def shown(picture: str) -> Iterator[None]:
    """The picture is played into the camera."""
    run("v4l2-ctl", "-d", OUTPUT, "--set-fmt-video-out=width=640,height=480,pixelformat=YUYV")
    run("v4l2-ctl", "-d", CAPTURE, "-c", "loop_video=1,osd_text_mode=2")
    command = ("v4l2-ctl", "-d", OUTPUT, "--stream-out-mmap", f"--stream-from={_raw(picture)}", "--stream-loop")
    player = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        player.terminate()
        player.wait()


def fail() -> None:
    """Every call fails from now on, until the camera is opened anew; the node stays."""
    run("v4l2-ctl", "-d", CAPTURE, "-c", "disconnect=1")


def unplug() -> None:
    (DRIVER / "unbind").write_text("vivid.0")


def replug() -> None:
    (DRIVER / "bind").write_text("vivid.0")
    until("udev names the camera", NAME.exists)
