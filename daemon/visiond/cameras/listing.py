"""What `visiond cameras` shows: every camera that can be opened here, what it gives, and the `source:` line for it."""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TextIO

from visiond.cameras.device_names import stable_names, who_uses
from visiond.cameras.v4l2_formats import USED
from visiond.cameras.v4l2_ioctl import Device, FrameFormat, FrameSize
from visiond.errors import UnavailableError

NO_CAMERAS: Final = (  # stages of a Raspberry Pi's image pipeline, which libcamera drives; they have video nodes too
    "bcm2835-codec",
    "bcm2835-isp",
    "pispbe",
    "rp1-cfe",
    "unicam",
)
NONE_FOUND: Final = (
    "no camera found. USB: is it plugged in, does `lsusb` list it, and is this user in the group video "
    "(sudo usermod -aG video $USER, then log in again)? CSI: is the cable seated, does `rpicam-hello --list-cameras` "
    "list it, and is python3-picamera2 installed? Without a camera, source: synthetic:shapes works everywhere."
)


@dataclass(frozen=True, slots=True)
class FoundCamera:
    """One camera. `problem` says in words why it cannot be opened; `names` are paths of the same device, best first."""

    source: str
    name: str
    driver: str
    names: tuple[str, ...]
    formats: tuple[FrameFormat, ...]
    problem: str | None = None


def cameras(as_json: bool, out: TextIO) -> int:
    """Print what was found to `out`, as JSON one object a line; return the exit code: 0, or 69 without any camera."""
    found = list_cameras()
    if as_json:
        out.writelines(json.dumps(asdict(camera), allow_nan=False) + "\n" for camera in found)
    else:
        out.write("\n".join(_text(camera) for camera in found) if found else NONE_FOUND + "\n")
    return 0 if found else UnavailableError.exit_code


def list_cameras(dev: Path = Path("/dev")) -> list[FoundCamera]:
    """Return V4L2 cameras under `dev`, then those of libcamera, without disturbing a program that uses them."""
    return [*_v4l2_cameras(dev), *_csi_cameras()]


def _v4l2_cameras(dev: Path) -> Iterator[FoundCamera]:
    for node in sorted(dev.glob("video*"), key=lambda path: (len(path.name), path.name)):
        if not re.fullmatch(r"video\d+", node.name):
            continue
        names = (*stable_names(node, dev / "v4l"), str(node))
        try:
            with Device(node) as device:
                capability = device.capability()
                if not capability.captures or capability.driver in NO_CAMERAS:
                    continue
                is_busy, formats = device.is_busy(), device.formats()
            problem = who_uses(node) if is_busy else None  # once this process no longer has it open itself
            yield FoundCamera(f"v4l2:{names[0]}", capability.card, capability.driver, names, formats, problem)
        except OSError as error:
            if error.errno not in (errno.ENODEV, errno.ENXIO, errno.ENOTTY, errno.EINVAL):  # gone, or no camera
                problem = "no permission: sudo usermod -aG video $USER, then log in again"
                if error.errno != errno.EACCES:
                    problem = error.strerror or str(error)
                yield FoundCamera(f"v4l2:{names[0]}", "unknown", "", names, (), problem)


def _csi_cameras() -> Iterator[FoundCamera]:
    """Cameras of libcamera. USB cameras are among them too, which V4L2 has listed already."""
    try:
        from picamera2 import Picamera2
    except ImportError:
        return
    for index, camera in enumerate(Picamera2.global_camera_info()):
        identity = str(camera.get("Id", ""))
        if "/usb" not in identity:
            yield FoundCamera(f"csi:{index}", str(camera.get("Model", "unknown")), "libcamera", (identity,), ())


def _text(camera: FoundCamera) -> str:
    driver = f" ({camera.driver})" if camera.driver else ""
    lines = [f"{camera.name}{driver}", f"  source: {camera.source}"]
    lines += [f"  also {name}" for name in camera.names if not camera.source.endswith(f":{name}")]
    if camera.problem:
        lines.append(f"  cannot be opened now: {camera.problem}")
    used = [offer for offer in camera.formats if offer.fourcc in USED]
    lines += [f"  {offer.fourcc}  {line}" for offer in used for line in _size_lines(offer.sizes)]
    others = " ".join(offer.fourcc for offer in camera.formats if offer.fourcc not in USED)
    if others:
        lines.append(f"  not used by visiond: {others}")
    return "\n".join(lines) + "\n"


def _size_lines(sizes: Sequence[FrameSize]) -> Iterator[str]:
    for entry in sizes:
        size = f"{entry.size[0]}x{entry.size[1]}"
        if entry.largest != entry.size:
            size += f" to {entry.largest[0]}x{entry.largest[1]}"
        rates = ", ".join(f"{fps:g}" for fps in entry.fps)
        yield f"{size:<10} {rates} fps" if rates else size
