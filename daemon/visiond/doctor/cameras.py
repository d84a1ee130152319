"""The configured cameras: the daemon's word for them where it runs, else a look that disturbs nobody."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from visiond.cameras.address import NETWORK, SourceAddress
from visiond.config import Config
from visiond.doctor.report import Finding, ok, split, wrong
from visiond.doctor.running import ASKED, Running
from visiond.supervisor import worker_environment

_PORTS: Final = {"http": 80, "https": 443, "rtsp": 554, "rtsps": 322}
_CONNECT_S: Final = 3.0
_LIST_S: Final = 20.0  # libcamera starts in some seconds

Listed = Sequence[Mapping[str, Any]]  # what `visiond cameras --json` prints
ListCameras = Callable[[], Listed]


class ListingFailed(Exception):
    """`visiond cameras` crashed or hung; the text says how."""


def list_cameras() -> Listed:
    """Run `visiond cameras --json` in a process of its own: libcamera may crash or hang. Raises ListingFailed."""
    command = [sys.executable, "-m", "visiond", "cameras", "--json"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIST_S, env=worker_environment())
    except subprocess.TimeoutExpired:
        raise ListingFailed(f"visiond cameras did not end within {_LIST_S:g} s") from None
    if done.returncode not in (0, 69):
        raise ListingFailed(f"visiond cameras ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def running_cameras(running: Running) -> Iterator[Finding]:
    """Say what the daemon knows of its cameras."""
    for name, camera in ({} if running.status is None else running.status["cameras"]).items():
        size = "" if camera["size"] is None else f", {camera['size'][0]}x{camera['size'][1]}"
        pace = "" if camera["fps"] is None else f", {camera['fps']:.1f} fps"
        seen = f"{camera['source']}: {camera['state']}{size}{pace} ({ASKED})"
        data = {key: camera[key] for key in ("source", "state", "size", "fps")}
        if camera["state"] == "streaming":
            yield ok("cameras", name, seen, **data)
        else:
            default = "visiond goes on trying; `visiond cameras` lists what can be opened here"
            cause, remedy = split(camera["reason"] or f"it is {camera['state']}", default)
            yield wrong("cameras", name, "fail", seen, cause, remedy, **data)


def camera_findings(config: Config, list_all: ListCameras = list_cameras) -> Iterator[Finding]:
    """Look at each configured source; no password is shown."""
    addresses = {name: SourceAddress.parse(camera.source) for name, camera in config.cameras.items()}
    listed: Listed | str = ()
    if any(address.scheme in ("v4l2", "csi") for address in addresses.values()):
        try:
            listed = list_all()
        except ListingFailed as error:
            listed = str(error)
    for name, address in addresses.items():
        if address.scheme == "synthetic":
            yield ok("cameras", name, f"{address.redacted}: drawn, needs no camera")
        elif address.scheme in NETWORK:
            yield _network(name, address)
        elif address.scheme in ("v4l2", "csi"):
            yield _device(name, address, listed)
        else:
            yield _path(name, address)


def _device(name: str, address: SourceAddress, listed: Listed | str) -> Finding:
    source = address.redacted
    if address.scheme == "v4l2" and not Path(address.target).exists():
        cause = f"{address.target} does not exist: the camera is not plugged in, or has another name"
        return wrong("cameras", name, "fail", source, cause, "plug it in; `visiond cameras` prints the source: of each")
    if isinstance(listed, str):
        return wrong(
            "cameras", name, "fail", source, listed, "run visiond cameras by hand; restart the board if it hangs"
        )
    found = next((camera for camera in listed if _is_same(address, camera)), None)
    if found is None:
        cause = f"{address.target} is no camera that can be opened here"
        remedy = "`visiond cameras` lists those that can; a CSI camera needs sudo apt install python3-picamera2"
        return wrong("cameras", name, "fail", source, cause, remedy)
    if found["problem"] is not None:
        cause, _, remedy = found["problem"].partition(": ")
        state = f"{found['name']} cannot be opened now"
        return wrong("cameras", name, "fail", f"{source}: {state}", cause, remedy or "stop that program, or re-plug it")
    return ok("cameras", name, f"{source}: {found['name']} can be opened", camera=found["name"])


def _is_same(address: SourceAddress, camera: Mapping[str, Any]) -> bool:
    if address.scheme == "csi":
        return bool(camera["source"] == f"csi:{int(address.target)}")
    target = os.path.realpath(address.target)
    return any(os.path.realpath(name) == target for name in camera["names"] if name.startswith("/"))


def _network(name: str, address: SourceAddress) -> Finding:
    """Whether the server can be reached; it is not asked for a picture, so that no password is sent."""
    url = urlsplit(address.target)
    host, port = url.hostname or "", url.port or _PORTS[address.scheme]
    try:
        with socket.create_connection((host, port), _CONNECT_S):
            return ok("cameras", name, f"{address.redacted}: {host}:{port} accepts connections", host=host, port=port)
    except (socket.gaierror, UnicodeError):
        cause, remedy = f"{host} is not a known host", "check the name, or the network's name server"
    except TimeoutError:
        cause = f"{host}:{port} does not answer within {_CONNECT_S:g} s"
        remedy = f"switch the camera on, and check the network: ping {host}"
    except OSError as error:
        cause = f"{host}:{port} cannot be reached ({error.strerror or type(error).__name__})"
        remedy = f"switch the camera on, and check the network and the port: ping {host}"
    return wrong("cameras", name, "fail", address.redacted, cause, remedy, host=host, port=port)


def _path(name: str, address: SourceAddress) -> Finding:
    path, source = Path(address.target), address.redacted
    wanted, there = ("folder", path.is_dir()) if address.scheme == "images" else ("file", path.is_file())
    if not there:
        cause = f"{path} is no {wanted}" if path.exists() else f"{path} does not exist"
        return wrong(
            "cameras", name, "fail", source, cause, f"copy it there, or give another path as cameras.{name}.source"
        )
    if not os.access(path, os.R_OK | (os.X_OK if wanted == "folder" else 0)):
        return wrong(
            "cameras", name, "fail", source, f"{path} cannot be read by this user", f"sudo chmod -R a+rX {path}"
        )
    if wanted == "folder" and not any(path.iterdir()):
        return wrong("cameras", name, "fail", source, f"{path} is empty", "put pictures into it")
    return ok("cameras", name, f"{source}: the {wanted} can be read")
