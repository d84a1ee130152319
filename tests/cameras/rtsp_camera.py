"""rtsp_server.py as a process that a test starts, stops and kills."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Self

PYTHON = "/usr/bin/python3"
PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0"
USER, PASSWORD = "user", "S3cr3t-w0rd"


def why_missing() -> str | None:
    """Why there can be no RTSP server here; None where there can."""
    script = (
        "import gi; gi.require_version('Gst', '1.0'); gi.require_version('GstRtspServer', '1.0');"
        "from gi.repository import Gst, GstRtspServer; Gst.init(None);"
        "assert all(map(Gst.ElementFactory.find, ('openh264enc', 'jpegenc')))"
    )
    try:
        subprocess.run([PYTHON, "-c", script], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return f"no GStreamer RTSP server for {PYTHON}: apt-get install {PACKAGES}"
    return None


class RtspCamera:
    """One GStreamer server, with `auth` none, basic or digest."""

    def __init__(self, codec: str = "h264", fps: int = 30, auth: str = "none", port: int = 0) -> None:
        script = Path(__file__).with_name("rtsp_server.py")
        self._process = subprocess.Popen(
            [PYTHON, str(script), codec, str(fps), auth, str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def url(self, user_password: str = "", path: str = "/cam") -> str:
        return f"rtsp://{user_password}{'@' if user_password else ''}127.0.0.1:{self.port}{path}"

    def freeze(self) -> None:
        """Stop it in the middle of all it does; its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End the freeze."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
