"""Another configuration while the daemon runs: what is applied, what is refused, and that the others lose nothing."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import twins
from edgetpu_sim.simulator import Simulator
from harness import Client, Daemon, coco_ssd_package, shapes_model

pytestmark = pytest.mark.slow

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]


def two_cameras(root: Path) -> dict[str, Any]:
    camera = {"source": "synthetic:shapes", "size": [320, 240], "fps": 20, "model": "shapes"}
    return {"cameras": {"front": camera, "left": dict(camera)}, "models": {"shapes": shapes_model(root)}}


def reload(daemon: Daemon, config: dict[str, Any] | str) -> tuple[int, str]:
    """Write the configuration, ask for it, and return the exit code and what was printed."""
    daemon.config.write_text(config if isinstance(config, str) else json.dumps(config))
    words = [sys.executable, "-m", "visiond", "reload", "--socket", str(daemon.socket_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def of(camera: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: message["type"] == "detections" and message["camera"] == camera


def started_ns(pid: int) -> int:
    """When the process began, by the clock of the messages; to 10 ms."""
    after_the_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_the_name[19]) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def test_what_only_the_parent_reads_is_applied_and_nobody_notices(start_daemon: StartDaemon, root: Path) -> None:
    config = two_cameras(root)
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("left"))
        before = client.until(of("front"))
        workers = daemon.workers()
        config["cameras"]["front"]["zones"] = {"all": [[0, 0], [1, 0], [1, 1], [0, 1]]}
        config["cameras"]["front"]["max_age_ms"] = 900
        code, said = reload(daemon, config)
        assert (code, said) == (0, "applied: camera front: max_age_ms, zones\n")
        after = client.until(lambda m: of("front")(m) and any(found["zones"] for found in m["objects"]))
        assert after["epoch"] == before["epoch"]
        assert daemon.workers() == workers
        status = client.status()
        assert "engine_lost" not in status["cameras"]["front"]["dropped"]


def test_reloads_one_after_the_other_end_with_the_last_one_and_no_client_is_lost(
    start_daemon: StartDaemon, root: Path
) -> None:
    """Faster than the engines of the ones before can end."""
    config = two_cameras(root)
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("left"))
        for threads in (2, 1) * 6:
            config["models"]["shapes"]["threads"] = threads
            daemon.config.write_text(json.dumps(config))
            daemon.process.send_signal(signal.SIGHUP)
            client.detections(4)  # 0.1 s
        config["models"]["shapes"]["threads"] = 3
        code, _ = reload(daemon, config)
        assert code == 0
        client.status(lambda s: s["engines"]["shapes"]["threads"] == 3 and s["state"] == "ok")
        assert client.until(of("left"))["engine"] == "cpu"
    assert daemon.process.poll() is None


def test_a_camera_that_changes_costs_the_other_no_result(start_daemon: StartDaemon, root: Path) -> None:
    config = two_cameras(root)
    daemon = start_daemon(config)
    with daemon.client() as client, daemon.client() as beside:
        beside.send({"type": "subscribe", "cameras": ["left"]})
        beside.until(of("left"))
        before = client.until(of("front"))
        config["cameras"]["front"]["size"] = [640, 480]
        config["cameras"]["right"] = dict(config["cameras"]["left"])
        code, said = reload(daemon, config)
        assert code == 0
        assert "restarted: camera front: started anew for size" in said
        assert "restarted: camera right: started" in said
        client.until(of("right"))
        status = client.status(lambda s: s["cameras"]["front"]["size"] == [640, 480])
        after = client.until(of("front"))
        assert after["seq"] > before["seq"]
        assert after["epoch"] > before["epoch"]
        lefts = beside.detections(20)
        assert {message["epoch"] for message in lefts} == {1}
        assert all(b["seq"] == a["seq"] + 1 + b["missed"] for a, b in pairwise(lefts))
        left = status["cameras"]["left"]
        assert set(left["dropped"]) <= {"superseded"}
        del config["cameras"]["right"]
        assert reload(daemon, config) == (0, "applied: camera right: ended\n")
        assert "camera right" not in daemon.workers()
        assert "right" not in client.status(lambda s: "right" not in s["cameras"])["cameras"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("cameras: [", "refused: "),
        ('{"cameras": {"front": {"source": "synthetic:shapes", "model": "gone"}}, "models": {}}', "models"),
        ('{"camera": {}}', "camera"),
    ],
)
def test_fault_47_a_bad_configuration_is_refused_and_the_old_one_goes_on(
    start_daemon: StartDaemon, root: Path, broken: str, words: str
) -> None:
    daemon = start_daemon(two_cameras(root))
    with daemon.client() as client:
        client.until(of("front"))
        workers = daemon.workers()
        code, said = reload(daemon, broken)
        assert code == 78
        assert words in said
        assert all(line.startswith("refused: ") for line in said.splitlines())
        messages = client.detections(10)
        assert {message["epoch"] for message in messages} == {1}
        assert daemon.workers() == workers


def test_fault_47_a_storm_of_hangups_with_mutations_loses_nothing(start_daemon: StartDaemon, root: Path) -> None:
    config = two_cameras(root)
    whole = json.dumps(config)
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("front"))
        for cut in range(0, len(whole), max(1, len(whole) // 20)):
            daemon.config.write_text(whole[:cut])
            os.kill(daemon.process.pid, signal.SIGHUP)
            client.until(of("front"))
        status = client.status()
        assert all(set(camera["dropped"]) <= {"superseded"} for camera in status["cameras"].values())
        assert status["engines"]["shapes"]["restarts"] == 0
    assert "reload refused" in daemon.whole_log()


def test_fault_48_a_model_that_changes_is_warm_before_it_takes_over(start_daemon: StartDaemon, root: Path) -> None:
    config = two_cameras(root)
    daemon = start_daemon(config)
    with daemon.client() as client:
        before = client.until(of("front"))
        old = daemon.workers()["engine shapes"]
        config["models"]["shapes"]["min_score"] = 0.9
        code, said = reload(daemon, config)
        assert (code, said) == (0, "restarted: model shapes: started anew for min_score\n")
        last_ns = before["published_ns"]
        while (message := client.until(of("front")))["epoch"] == before["epoch"]:
            last_ns = message["published_ns"]
        status = client.status(lambda s: s["engines"]["shapes"]["pid"] not in (None, old))
        start_took_ns = message["published_ns"] - started_ns(status["engines"]["shapes"]["pid"])
        assert message["published_ns"] - last_ns < start_took_ns / 2  # taken over cold, all of the start is a gap
        assert message["epoch"] == before["epoch"] + 1
        assert status["cameras"]["front"]["dropped"].get("engine_lost", 0) == 0
        assert all(found["score"] >= 0.9 for m in client.detections(5) for found in m["objects"])
        client.until(lambda _: old not in daemon.workers().values())


def test_a_reload_that_gives_no_results_is_undone(start_daemon: StartDaemon, root: Path, tmp_path: Path) -> None:
    config = {**two_cameras(root), "reload_trial_s": 4}
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("left"))
        client.until(of("front"))
        worse = json.loads(json.dumps(config))
        worse["cameras"]["front"]["source"] = f"images:{tmp_path}"  # without a picture
        code, _ = reload(daemon, worse)
        assert code == 0
        client.status(lambda s: s["cameras"]["front"]["state"] == "refused")
        back = client.until(of("front"))
        assert back["seq"] > 1
        client.status(lambda s: s["state"] == "ok")
    assert "reload undone: no result of camera front within 4 s" in daemon.whole_log()


@pytest.mark.assets
def test_an_engine_that_never_starts_does_not_keep_a_blind_camera_from_being_undone(
    start_daemon: StartDaemon, root: Path, assets: Path, tmp_path: Path
) -> None:
    """The one camera's old engine goes on meanwhile; the other one's source is gone."""
    config = {**two_cameras(root), "reload_trial_s": 4}
    config["models"]["other"] = shapes_model(root)
    config["cameras"]["left"]["model"] = "other"
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("left"))
        client.until(of("front"))
        worse = json.loads(json.dumps(config))
        package = coco_ssd_package(tmp_path / "coco", assets)
        manifest = json.loads((package / "model.yaml").read_text())
        manifest["output"]["decoder"] = "yolov8"  # which the file does not fit
        (package / "model.yaml").write_text(json.dumps(manifest))
        worse["models"]["other"]["package"] = str(package)
        worse["cameras"]["front"]["source"] = f"images:{tmp_path / 'empty'}"
        (tmp_path / "empty").mkdir()
        assert reload(daemon, worse)[0] == 0
        status = client.status(lambda s: (s["reload"] or {}).get("result") == "undone")
        assert status["reload"]["reason"].startswith("no result of camera front within 4 s")
        client.until(of("front"))
        client.status(lambda s: s["state"] == "ok")


@pytest.mark.assets
def test_a_model_whose_results_make_no_sense_is_undone_though_the_old_engine_went_on_meanwhile(
    start_daemon: StartDaemon, assets: Path, tmp_path: Path
) -> None:
    """Classes and scores are swapped. A second reload that changes nothing does not make it the one to keep."""
    package, swapped = (coco_ssd_package(tmp_path / name, assets) for name in ("right", "swapped"))
    manifest = json.loads((swapped / "model.yaml").read_text())
    manifest["output"]["roles"] = {"boxes": 0, "classes": 2, "scores": 1, "count": 3}
    (swapped / "model.yaml").write_text(json.dumps(manifest))
    camera = {"source": "synthetic:shapes", "size": [320, 240], "fps": 5, "model": "coco"}
    model = {"package": str(package), "accelerator": "never", "threads": 1}
    config: dict[str, Any] = {"cameras": {"front": camera}, "models": {"coco": model}, "reload_trial_s": 4}
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("front"))
        assert reload(daemon, {**config, "models": {"coco": {**model, "package": str(swapped)}}})[0] == 0
        client.status(lambda s: "classes are no class ids" in (s["cameras"]["front"]["reason"] or ""))
        words = [sys.executable, "-m", "visiond", "reload", "--socket", str(daemon.socket_path)]
        again = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert (again.returncode, again.stdout) == (0, "nothing has changed\n")
        status = client.status(lambda s: s["reload"] is not None and s["reload"]["result"] == "undone")
        assert "no result of camera front within 4 s: classes are no class ids" in status["reload"]["reason"]
        client.until(of("front"))
        client.status(lambda s: s["state"] == "ok")


def test_a_stick_is_given_to_another_model_without_losing_the_client(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    config = tpu_config()
    daemon = start_daemon(config)

    def on(engine: str) -> Callable[[dict[str, Any]], bool]:
        return lambda message: message["type"] == "detections" and message["engine"] == engine

    with daemon.client() as client:
        before = client.until(on("edgetpu"))
        config["edgetpu"]["performance"] = "medium"
        code, said = reload(daemon, config)
        assert (code, said) == (0, "restarted: edgetpu: its processes are started anew for performance\n")
        client.until(on("cpu"))
        after = client.until(on("edgetpu"))
        assert after["epoch"] == before["epoch"] + 2
        assert simulator.stick(0).options["Performance"] == "Medium"
        assert simulator.stick(0).counters().second_openers == 0
        config["models"]["cats"]["accelerator"] = "never"
        assert reload(daemon, config)[0] == 0
        client.until(on("cpu"))
        client.status(lambda s: s["edgetpus"] == [] and s["state"] == "ok")
        config["models"]["cats"]["accelerator"] = "prefer"
        assert reload(daemon, config)[0] == 0
        client.until(on("edgetpu"))
        status = client.status(lambda s: s["state"] == "ok")
        front = status["cameras"]["front"]
        assert front["captured"] == front["inferred"] + sum(front["dropped"].values()) + front["pending"]
    assert twins.CAT_LABEL


def test_the_socket_stays_where_it_is(start_daemon: StartDaemon, root: Path) -> None:
    config = two_cameras(root)
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.until(of("front"))
        config["socket"] = {"max_clients": 10}
        code, said = reload(daemon, config)
        assert code == 78
        assert said.startswith("refused: socket: ")


def test_fault_43_who_is_neither_root_nor_the_daemon_may_change_nothing(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(two_cameras(root))
    with daemon.client() as client:
        client.until(of("front"))
        assert Path(f"{daemon.socket_path}.control").stat().st_mode & 0o777 == 0o600
    assert isinstance(client, Client)
