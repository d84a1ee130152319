"""From a bare checkout to an installed service, upgraded, rolled back, and gone."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from camera import NAME, be_there_from_the_boot_on, take_pictures
from device import CONFIG, Robot, configure, main_pid, property_of, run, say, show, step
from robot_user import make_robot

from harness import coco_ssd_package

ASSETS = Path("/mnt/assets")
CHECKOUT = Path("/checkout")
DROP_IN = Path("/etc/systemd/system/visiond.service.d/emulated.conf")
PACKAGE = Path("/srv/models/coco_ssd")
PICTURES = (ASSETS / "images/cat_720p.jpg", ASSETS / "images/owl.jpg", CHECKOUT / "models/shapes/golden2.png")
# Two results a second are what an emulated processor manages.
FRONT = {"source": f"v4l2:{NAME}", "size": [640, 480], "fps": 2, "model": "objects"}
CONFIGURATION: dict[str, Any] = {
    "cameras": {"front": FRONT},
    "models": {"objects": {"package": "shapes", "accelerator": "never", "threads": 1}},
}


def prepare() -> None:
    step("a device without visiond: its camera, a model of its own under /srv, its configuration")
    be_there_from_the_boot_on()
    with tempfile.TemporaryDirectory() as folder:
        links = coco_ssd_package(Path(folder) / PACKAGE.name, ASSETS)
        shutil.copytree(links, PACKAGE)
    take_pictures(*PICTURES)
    DROP_IN.parent.mkdir()
    DROP_IN.write_text(
        "[Service]\nTimeoutStartSec=5min\n"
    )  # an emulated start takes half a minute, beside others a whole
    CONFIG.parent.mkdir()
    configure(CONFIGURATION)
    CONFIG.chmod(0o640)


def install() -> None:
    step("install.sh --offline, from a bare checkout")
    output = show("./install.sh", "--offline", os.environ["RIG_WHEELS"])
    assert "service: active" in output
    assert "before none, now 0.1.0" in output
    for name in ("visiond.service", "visiond.socket"):
        say(name, property_of("UnitFileState", name), property_of("ActiveState", name))
        assert property_of("UnitFileState", name) == "enabled"
    make_robot()


def upgrade() -> None:
    step("upgrade to 0.2.0")
    newer = Path("/var/tmp/newer")
    shutil.copytree(CHECKOUT, newer, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    for name, old, new in (
        ("setup.cfg", "version = 0.1.0", "version = 0.2.0"),
        ("daemon/visiond/__init__.py", '__version__ = "0.1.0"', '__version__ = "0.2.0"'),
    ):
        text = (newer / name).read_text()
        assert old in text
        (newer / name).write_text(text.replace(old, new))
    before = CONFIG.read_bytes()
    output = show(str(newer / "install.sh"), "--offline", os.environ["RIG_WHEELS"])
    assert "now 0.2.0" in output
    assert CONFIG.read_bytes() == before
    runs("0.2.0")


def roll_back() -> None:
    step("--rollback")
    output = show("/opt/visiond/install.sh", "--rollback")
    assert "now 0.1.0" in output
    runs("0.1.0")


def runs(version: str) -> None:
    """The daemon that answers is of this version, and sees."""
    with Robot() as robot:
        assert robot.hello["version"] == version
        seen = robot.sees()
    say(f"version {version}, process {main_pid()}: result {seen['seq']}, {seen['age_ms']:.0f} ms after its frame")


def uninstall() -> None:
    step("--uninstall leaves the configuration, --purge nothing")
    show("/opt/visiond/install.sh", "--uninstall")
    assert left() == {DROP_IN.parent, CONFIG.parent}
    show("./install.sh", "--purge")
    assert left() == set()
    run("getent", "passwd", "visiond", code=2)


def left() -> set[Path]:
    """What is called after visiond in the system, without the copies for this test."""
    where = ("-path", "/rig", "-o", "-path", "/var/tmp", "-o", "-path", "/tmp", "-o", "-path", "/checkout")
    found = run("find", "/", "-xdev", "(", *where, ")", "-prune", "-o", "-iname", "*visiond*", "-prune", "-print")
    return {Path(line) for line in found.splitlines()}
