"""Three kinds of process: what each loads, how frames are accounted for, and that the parent outlives the others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import Daemon, running, shapes_model

StartDaemon = Callable[..., Daemon]


def config(root: Path, model: dict[str, Any] | None = None, **camera: Any) -> dict[str, Any]:
    return {
        "cameras": {"front": {"source": "synthetic:shapes", "fps": 15, "model": "shapes", **camera}},
        "models": {"shapes": shapes_model(root, **(model or {}))},
    }


def mapped_files(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


def gone(pid: int, within_s: float) -> bool:
    give_up = time.monotonic() + within_s
    while running(pid):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)  # a process that is no child of ours announces its end to nobody
    return True


def test_the_parent_loads_no_numpy_opencv_or_litert_and_the_workers_do(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(3)
        parent = mapped_files(daemon.process.pid)
        for library in ("numpy", "cv2", "ai_edge_litert", "libpywrap"):
            assert library not in parent, f"the parent has mapped {library}"
        workers = daemon.workers()
        assert sorted(workers) == ["camera front", "engine shapes"]
        assert "cv2" in mapped_files(workers["camera front"])
        assert "ai_edge_litert" not in mapped_files(workers["camera front"])
        assert "ai_edge_litert" in mapped_files(workers["engine shapes"])


def test_every_captured_frame_is_inferred_or_dropped_under_overload(start_daemon: StartDaemon, root: Path) -> None:
    """Two cameras at 200 fps each are more than the engine can take."""
    cameras = {
        name: {"source": "synthetic:shapes", "fps": 200, "size": [320, 240], "model": "shapes"}
        for name in ("left", "right")
    }
    daemon = start_daemon({"cameras": cameras, "models": {"shapes": shapes_model(root)}})
    with daemon.client() as client:
        client.detections(400)
        seen = 0
        status = client.status()
        while seen < 3:  # in the middle of it, and at each heartbeat
            for camera in status["cameras"].values():
                total = camera["inferred"] + sum(camera["dropped"].values()) + camera["pending"]
                assert camera["captured"] == total
                assert 0 <= camera["pending"] <= 6, "frames have gone missing, or were counted twice"
            seen += 1
            status = client.status()
        for pid in (pid for name, pid in daemon.workers().items() if name.startswith("camera")):
            os.kill(pid, signal.SIGSTOP)
        quiet = client.status(lambda message: all(c["pending"] <= 1 for c in message["cameras"].values()))
    for camera in quiet["cameras"].values():
        assert camera["dropped"]["superseded"] > 0, "this was no overload"
        assert camera["captured"] == camera["inferred"] + sum(camera["dropped"].values()) + camera["pending"]


def test_a_source_played_to_its_end_accounts_for_every_frame(
    start_daemon: StartDaemon, root: Path, picture_folder: Path
) -> None:
    """As many captured as there are pictures, and nothing pending at the end: no remainder hides a loss."""
    daemon = start_daemon(config(root, source=f"images:{picture_folder}", fps=0))
    with daemon.client() as client:
        ended = client.status(
            lambda m: m["cameras"]["front"]["state"] == "ended" and m["cameras"]["front"]["pending"] == 0
        )
        front = ended["cameras"]["front"]
        pictures = len(list(picture_folder.iterdir()))
        assert (front["captured"], front["inferred"], front["dropped"]) == (pictures, pictures, {})
        assert client.status(lambda m: m["state"] == "blind")["reason"].startswith("camera front is ended")


@pytest.mark.parametrize("victim", ["camera front", "engine shapes"])
def test_a_killed_worker_costs_a_gap_and_no_client(start_daemon: StartDaemon, root: Path, victim: str) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        before = client.detections(3)[-1]
        os.kill(daemon.workers()[victim], signal.SIGKILL)
        after = client.until(lambda m: m["type"] == "detections" and m["epoch"] > before["epoch"])
        assert after["seq"] > before["seq"]
        assert after["missed"] == 0
        status = client.status(lambda m: m["state"] == "ok")
        part = status["cameras"]["front"] if victim == "camera front" else status["engines"]["shapes"]
        assert part["restarts"] == 1
        front = status["cameras"]["front"]
        assert front["captured"] == front["inferred"] + sum(front["dropped"].values()) + front["pending"]
    assert "died of SIGKILL" in daemon.whole_log()


def test_a_blind_daemon_says_so_and_sends_no_empty_list(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(3)
        os.kill(daemon.workers()["engine shapes"], signal.SIGSTOP)
        stopped_s = time.monotonic()
        silent_since_s = stopped_s
        while (message := client.message())["type"] != "status" or message["state"] != "blind":
            if message["type"] == "detections":
                silent_since_s = time.monotonic()
        assert time.monotonic() - stopped_s < 5.0
        assert silent_since_s - stopped_s < 1.5
        assert "camera front: no result within 1 s" in message["reason"]
        client.until(lambda m: m["type"] == "detections")  # killed at its deadline, started again
    assert "the engine hangs" in daemon.whole_log()


def test_workers_end_when_the_parent_is_killed(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(1)
    workers = daemon.workers()
    daemon.process.kill()
    daemon.process.wait()
    assert all(gone(pid, within_s=1.0) for pid in workers.values())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_says_bye_and_ends_everything(start_daemon: StartDaemon, root: Path, number: signal.Signals) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(1)
        workers = daemon.workers()
        daemon.process.send_signal(number)
        assert client.until(lambda m: m["type"] == "bye")["reason"] == "visiond stops"
        with pytest.raises(EOFError):
            client.message()
    assert daemon.process.wait(10) == 0
    assert not daemon.socket_path.exists()
    assert not any(running(pid) for pid in workers.values())


def test_two_cameras_share_one_engine(start_daemon: StartDaemon, root: Path) -> None:
    cameras = {name: {"source": "synthetic:shapes", "fps": 10, "model": "shapes"} for name in ("left", "right")}
    daemon = start_daemon({"cameras": cameras, "models": {"shapes": shapes_model(root)}})
    with daemon.client() as client:
        assert {message["camera"] for message in client.detections(30)} == {"left", "right"}
        assert len(daemon.workers()) == 3


BUSY = "import time; end = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def test_fault_61_other_programs_take_the_processor_and_what_is_published_stays_young(
    start_daemon: StartDaemon, root: Path
) -> None:
    """Four programs a core that only compute: results may become few, never old, and nobody restarts."""
    max_age_ms = 500
    daemon = start_daemon(config(root, fps=100, max_age_ms=max_age_ms))
    with daemon.client() as client:
        before = client.detections(20)[-1]
        program = [sys.executable, "-c", BUSY.format(seconds=6)]
        busy = [subprocess.Popen(program) for _ in range(4 * (os.cpu_count() or 1))]
        ages_ms, silences_s, heard_s = [], [], time.monotonic()
        try:
            while any(each.poll() is None for each in busy):
                message = client.message()
                if message["type"] == "status":
                    silences_s.append(time.monotonic() - heard_s)
                    heard_s = time.monotonic()
                elif message["type"] == "detections":
                    ages_ms.append((message["published_ns"] - message["captured_ns"]) / 1e6)
        finally:
            for each in busy:
                each.kill()
                each.wait()
        after = client.status(lambda m: m["state"] == "ok")
    assert len(ages_ms) > 5, "next to nothing is published"
    assert max(ages_ms) < max_age_ms
    assert max(silences_s) < 3.0, "the heartbeat comes every second"
    front = after["cameras"]["front"]
    assert front["captured"] == front["inferred"] + sum(front["dropped"].values()) + front["pending"]
    assert (front["restarts"], after["engines"]["shapes"]["restarts"], before["epoch"]) == (0, 0, 1)
