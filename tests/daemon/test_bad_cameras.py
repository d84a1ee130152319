"""Cameras that cannot deliver: the daemon starts, says why in `status`, and shows no empty list for a blind camera."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from harness import Client, Daemon, shapes_model

pytestmark = pytest.mark.slow

StartDaemon = Callable[..., Daemon]


def with_source(root: Path, source: str, **camera: Any) -> dict[str, Any]:
    return {
        "cameras": {"front": {"source": source, "model": "shapes", **camera}},
        "models": {"shapes": shapes_model(root)},
    }


def all_told(message: dict[str, Any]) -> bool:
    """The source has ended, and every frame's fate is known."""
    front = message["cameras"]["front"]
    return bool(front["state"] == "ended" and front["pending"] == 0)


def why_not(client: Client) -> str:
    """The camera's reason, once it has one; no detections come before it."""
    while True:
        message = client.message()
        assert message["type"] != "detections"
        if message["type"] == "status" and message["cameras"]["front"]["reason"]:
            assert message["state"] == "blind"
            return str(message["cameras"]["front"]["reason"])


def test_a_missing_device_is_named_and_retried(start_daemon: StartDaemon, root: Path) -> None:
    with start_daemon(with_source(root, "v4l2:/dev/video97")).client() as client:
        assert "/dev/video97" in why_not(client)
        status = client.status()
        assert status["cameras"]["front"]["state"] == "absent"
        assert status["cameras"]["front"]["retry_in_s"] > 0


@pytest.mark.parametrize("kind", ["empty", "missing", "unreadable"])
def test_a_folder_without_pictures_is_named(start_daemon: StartDaemon, root: Path, tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "pictures"
    if kind != "missing":
        folder.mkdir()
    if kind == "unreadable":
        (folder / "a.jpg").write_bytes(b"no picture")
    with start_daemon(with_source(root, f"images:{folder}", fps=5)).client() as client:
        assert str(folder) in why_not(client)


def test_a_truncated_picture_is_skipped_and_counted(
    start_daemon: StartDaemon, root: Path, tmp_path: Path, picture_folder: Path
) -> None:
    folder = tmp_path / "pictures"
    shutil.copytree(picture_folder, folder)
    whole = cv2.imencode(".jpg", cv2.imread(str(folder / "00.png")))[1].tobytes()
    (folder / "03a.jpg").write_bytes(whole[: len(whole) // 2])
    with start_daemon(with_source(root, f"images:{folder}", fps=0)).client() as client:
        front = client.status(all_told)["cameras"]["front"]
        assert front["captured"] == 12
        assert sum(front["skipped"].values()) == 1


def test_a_video_of_zero_frames_is_called_so(start_daemon: StartDaemon, root: Path, tmp_path: Path) -> None:
    clip = tmp_path / "empty.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))  # type: ignore[attr-defined]
    writer.release()
    clip.touch()
    with start_daemon(with_source(root, f"file:{clip}")).client() as client:
        assert str(clip) in why_not(client)


def test_a_video_comes_through(start_daemon: StartDaemon, root: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))  # type: ignore[attr-defined]
    for level in range(10):
        writer.write(np.full((48, 64, 3), level * 20, np.uint8))
    writer.release()
    with start_daemon(with_source(root, f"file:{clip}", fps=0)).client() as client:
        front = client.status(all_told)["cameras"]["front"]
        assert front["captured"] == front["inferred"] == 10
        assert front["size"] == [64, 48]


def test_one_bad_camera_leaves_the_other_at_work(start_daemon: StartDaemon, root: Path) -> None:
    config = with_source(root, "synthetic:shapes", fps=10)
    config["cameras"]["back"] = {"source": "v4l2:/dev/video97", "model": "shapes"}
    with start_daemon(config).client() as client:
        assert {message["camera"] for message in client.detections(10)} == {"front"}
        status = client.status(lambda message: message["cameras"]["front"]["state"] == "streaming")
        assert status["state"] == "blind"
        assert status["reason"].startswith("camera back is absent")
