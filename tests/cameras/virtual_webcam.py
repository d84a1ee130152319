"""VirtualWebcam: the hand that plugs, covers and breaks the stand-in camera of webcam_worker.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cameras.camera_process import CameraProcess


class VirtualWebcam:
    """A camera under a folder that stands for /dev, with a name of its own in v4l/by-id."""

    def __init__(self, dev: Path, name: str = "usb-Good_Webcam-video-index0") -> None:
        self._dev = dev
        self._link = dev / "v4l" / "by-id" / name
        self._link.parent.mkdir(parents=True, exist_ok=True)
        self.node = dev / "video0"

    @property
    def by_id(self) -> Path:
        return self._link

    def plug(self, number: int = 0, **state: Any) -> None:
        """Appear as /dev/videoN and under its name. `state` is what it does: StandInCapture knows the words."""
        self.node = self._dev / f"video{number}"
        self.does(**state)
        self._link.symlink_to(f"../../video{number}")

    def unplug(self) -> None:
        self.node.unlink()
        self._link.unlink()

    def does(self, **state: Any) -> None:
        """Do this from the next frame on."""
        draft = self._dev / "draft"
        draft.write_text(json.dumps({"name": self._link.name, **state}))
        draft.replace(self.node)

    def worker(self, path: Path | None = None, **settings: Any) -> CameraProcess:
        """The real worker, told to read this camera by its name, or by another `path`."""
        return CameraProcess(f"v4l2:{path or self.by_id}", module="cameras.webcam_worker", **settings)
