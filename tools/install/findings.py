"""What the installer found on this device, and what is missing, each with the command that mends it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
SOURCES = PROJECT / "daemon"
sys.path.insert(0, str(SOURCES))  # of it only what needs the standard library alone: this runs on the system's Python

from visiond.cameras.listing import list_cameras  # noqa: E402
from visiond.edgetpu.library import NAME, find_library, library_problem  # noqa: E402
from visiond.edgetpu.sticks import SUPERSPEED_MBPS, find_sticks  # noqa: E402

_ON_NETWORK = re.compile(r"^\s*source:\s*['\"]?(rtsps?|https?)://", re.MULTILINE)
_PICAMERA2 = "usr/lib/python3/dist-packages/picamera2"
_SYSTEMD = "usr/lib/python3/dist-packages/systemd"
_DROP_IN = "etc/systemd/system/visiond.service.d/network-cameras.conf"


def findings(root: Path, config: Path) -> Iterator[str]:
    """Yield a line for each, `found:` or `missing:`; `root` is / but for tests."""
    yield from _edgetpu(root)
    yield from _cameras(root)
    if not (root / _SYSTEMD).is_dir():
        yield "missing: fields in the journal: sudo apt install python3-systemd, then run install.sh again"
    if config.is_file() and _ON_NETWORK.search(config.read_text(errors="replace")) and not (root / _DROP_IN).exists():
        yield f"missing: the way to the network cameras of {config}: run install.sh --network-cameras"


def _edgetpu(root: Path) -> Iterator[str]:
    sticks = find_sticks(root / "sys", root / "dev", root / "proc")
    for stick in sticks:
        speed = stick.speed_mbps
        slow = ", too slow: plug it into a blue USB 3 port" if speed is not None and speed < SUPERSPEED_MBPS else ""
        yield f"found: Edge TPU at port {stick.port}, {stick.usb_id}, {stick.state}{slow}"
    if not sticks:
        yield "found: no Edge TPU, the CPU does the work; a Coral stick may be plugged in at any time"
    library = find_library(root=root) if root == Path("/") else find_library(cache=root / "none", root=root)
    problem = library_problem(library or Path(NAME))
    if problem is None:
        yield f"found: {library}"
    elif sticks or library is not None:
        yield f"missing: {problem}"
    else:
        yield "found: no libedgetpu, which only a stick needs; docs/hardware.md tells which one fits"


def _cameras(root: Path) -> Iterator[str]:
    cameras = list_cameras(root / "dev")
    for camera in cameras:
        yield f"found: camera {camera.name}; in the configuration: source: {camera.source}"
    if not cameras:
        yield "missing: a camera: plug one in, or give a network camera or synthetic:shapes in the configuration"
    model = root / "proc" / "device-tree" / "model"
    if model.is_file() and b"Raspberry Pi" in model.read_bytes() and not (root / _PICAMERA2).is_dir():
        yield (
            "missing: CSI cameras, if this board has one: sudo apt install --no-install-recommends python3-picamera2, "
            "then run install.sh again"
        )


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"))
    parser.add_argument("--config", type=Path, required=True)
    given = parser.parse_args()
    for line in findings(given.root, given.config):
        print(line)


if __name__ == "__main__":
    main()
