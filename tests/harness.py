"""The real daemon as a subprocess, a client that shares no code with it, and packages around real models."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

START_S = 30.0
PATIENCE_S = float(os.environ.get("VISIOND_TEST_PATIENCE_S", "30"))  # longer on an emulated processor


class Client:
    """Reads the socket line by line, with a deadline for everything."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._rest = b""
        self.received_ns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, request: dict[str, Any]) -> None:
        self._socket.sendall(json.dumps(request).encode() + b"\n")

    def message(self) -> dict[str, Any]:
        """The next message, whatever it is; EOFError when the daemon has closed."""
        while b"\n" not in self._rest:
            chunk = self._socket.recv(65536)
            self.received_ns = time.monotonic_ns()  # of the last bytes
            if not chunk:
                raise EOFError
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def until(self, wanted: Callable[[dict[str, Any]], bool], patience_s: float = PATIENCE_S) -> dict[str, Any]:
        """The first message that is wanted; the ones before it are thrown away."""
        give_up = time.monotonic() + patience_s
        last = None
        while time.monotonic() < give_up:
            last = self.message()
            if wanted(last):
                return last
        raise AssertionError(f"did not come within {patience_s} s; last: {last}")

    def detections(self, count: int) -> list[dict[str, Any]]:
        return [self.until(lambda message: message["type"] == "detections") for _ in range(count)]

    def status(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True, patience_s: float = PATIENCE_S) -> Any:
        return self.until(lambda message: message["type"] == "status" and wanted(message), patience_s)


class Daemon:
    """One `visiond run`; its log is kept in a file."""

    def __init__(self, config: Path, socket_path: Path, prefix: Sequence[str] = ()) -> None:
        """`prefix`: a command that runs the daemon in its own way, such as setpriv."""
        self.config = config
        self.socket_path = socket_path
        self.log_path = config.with_suffix(".log")
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "visiond", "run", "-c", str(config), "--socket", str(socket_path)],
                stderr=log,
                stdout=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def whole_log(self) -> str:
        """Stop the daemon and return all that it logged: a thread of its own writes, later than a status is sent."""
        if self.process.poll() is None:
            self.stop()
        return self.log

    def client(self) -> Client:
        """Connect, as soon as the daemon listens."""
        give_up = time.monotonic() + START_S
        while True:
            try:
                return Client(self.socket_path)
            except OSError:
                assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log}"
                assert time.monotonic() < give_up, f"the daemon does not listen:\n{self.log}"
                time.sleep(0.02)  # nothing announces a socket that is about to exist

    def workers(self) -> dict[str, int]:
        """Process ids of its children, by name, such as "camera front"."""
        return workers_of(self.process.pid)

    def stop(self, patience_s: float = 10.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(patience_s)


def workers_of(daemon_pid: int) -> dict[str, int]:
    """Process ids of a daemon's children, by name."""
    found = {}
    for pid in Path(f"/proc/{daemon_pid}/task/{daemon_pid}/children").read_text().split():
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        if len(words) > 3:
            found[words[3].decode()] = int(pid)
    return found


def shapes_model(root: Path, **settings: Any) -> dict[str, Any]:
    return {
        "package": str(root / "models" / "shapes"),
        "accelerator": "never",
        "threads": 1,
        "min_score": 0.5,
        **settings,
    }


def asset_package(folder: Path, assets: Path, model: str, labels: str, recipe: dict[str, Any]) -> Path:
    """A package around a model of the assets: links to its files, and `recipe` as the rest of model.yaml."""
    folder.mkdir(parents=True)
    (folder / "model.tflite").symlink_to(assets / "models" / model)
    (folder / "labels.txt").symlink_to(assets / "models" / labels)
    package = {"name": folder.name, "files": {"cpu": {"path": "model.tflite"}}, "license": "Apache-2.0", **recipe}
    package["labels"] = {"path": "labels.txt", **recipe.get("labels", {})}
    (folder / "model.yaml").write_text(json.dumps(package))
    return folder


def coco_ssd_package(folder: Path, assets: Path) -> Path:
    return asset_package(
        folder,
        assets,
        "coco_ssd_mobilenet_v1_1.0_quant.tflite",
        "coco_ssd_mobilenet_v1_labels.txt",
        {
            "task": "detection",
            "labels": {"offset": 1},
            "input": {
                "resize": "stretch",
                "interpolation": "bilinear",
                "color": "rgb",
                "mean": [128.0] * 3,
                "std": [128.0] * 3,
            },
            "output": {"decoder": "ssd_postprocess"},
        },
    )


def running(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
