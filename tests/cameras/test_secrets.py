"""A password in a camera's address is seen by the camera alone."""

import itertools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from cameras.camera_process import CameraProcess
from cameras.mjpeg_server import MjpegServer, live_pictures
from cameras.rtsp_camera import PASSWORD, USER, RtspCamera, why_missing

SECRET = "S3cr3t@w0rd"
WRITTEN = "S3cr3t%40w0rd"  # as it stands in the address


def visible(camera: CameraProcess) -> str:
    """All that someone else can see of a worker: what it says, prints, and what /proc shows of it."""
    proc = Path(f"/proc/{camera.process.pid}")
    shown = [json.dumps([asdict(report) for report in camera.reports]), camera.output]
    shown += [path.read_bytes().decode(errors="replace") for path in (proc / "cmdline", proc / "environ")]
    shown += [path.read_text() for path in proc.glob("task/*/comm")]
    return "\n".join(shown)


def assert_secret(camera: CameraProcess, *secrets: str) -> None:
    shown = visible(camera)
    assert "visiond.cameras.worker" in shown  # it was looked at
    for secret in secrets:
        assert secret not in shown


@pytest.mark.parametrize(
    ("options", "until"),
    [
        ({}, lambda camera: camera.take()),
        ({"user_password": ("user", "other")}, lambda camera: camera.until_state("refused")),
        ({"status": 404}, lambda camera: camera.until_state("refused")),
        ({"answer": b"\0garbage" * 99}, lambda camera: camera.until_state("refused")),
        (
            {"pictures": lambda: itertools.islice(live_pictures(), 5)},
            lambda camera: camera.until_state("lost"),
        ),
    ],
)
def test_fault_14_an_http_password_is_seen_nowhere(
    options: dict[str, object], until: Callable[[CameraProcess], object]
) -> None:
    options = {"user_password": ("user", SECRET), **options}
    with MjpegServer(**options) as server, CameraProcess(server.url(f"user:{WRITTEN}")) as camera:  # type: ignore[arg-type]
        until(camera)
        assert_secret(camera, SECRET, WRITTEN)


def test_fault_14_a_token_in_an_address_is_seen_nowhere() -> None:
    with MjpegServer(status=404) as server, CameraProcess(server.url(path="/cam?token=T0ken-1234")) as camera:
        camera.until_state("refused")
        assert_secret(camera, "T0ken-1234")


def test_fault_14_a_password_in_the_path_is_seen_nowhere() -> None:
    with (
        MjpegServer(status=404) as server,
        CameraProcess(server.url(path=f"/user=admin_password={WRITTEN}_channel=1_stream=0.sdp?real_stream")) as camera,
    ):
        camera.until_state("refused")
        assert_secret(camera, SECRET, WRITTEN)


def test_fault_14_a_password_is_seen_nowhere_when_nobody_answers() -> None:
    with MjpegServer() as gone:
        url = gone.url(f"user:{WRITTEN}")
    for scheme in ("http", "https", "rtsp", "rtsps"):
        with CameraProcess(url.replace("http", scheme, 1)) as camera:
            camera.until_state("absent")
            assert_secret(camera, SECRET, WRITTEN)


@pytest.mark.parametrize("auth", ["basic", "digest"])
@pytest.mark.parametrize("right", [True, False])
def test_fault_14_an_rtsp_password_is_seen_nowhere(auth: str, right: bool) -> None:
    reason = why_missing()
    if reason is not None:
        pytest.skip(reason)
    given = PASSWORD if right else "Wr0ng-w0rd"
    with RtspCamera(auth=auth) as server, CameraProcess(server.url(f"{USER}:{given}")) as camera:
        if right:
            camera.take()
            server.kill()
            camera.until_state("absent")
        else:
            camera.until_state("refused")
        assert_secret(camera, given)
