"""Who is served when: several cameras on one engine, one model on several sticks, several models on one stick."""

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import twins
from edgetpu_sim.simulator import Simulator
from harness import Client, Daemon

pytestmark = pytest.mark.slow

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]


def on_edgetpu(message: dict[str, Any]) -> bool:
    return message["type"] == "detections" and message["engine"] == "edgetpu"


def shares(client: Client, count: int) -> Counter[str]:
    """Of so many results, how many each camera has."""
    return Counter(message["camera"] for message in client.detections(count))


def test_cameras_that_offer_more_than_the_engine_takes_share_it_evenly(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).set_invoke_ms(40)
    config = tpu_config(cameras=4)
    for fps, camera in zip((15, 20, 25, 30), config["cameras"].values(), strict=True):
        camera["fps"] = fps
    with start_daemon(config).client() as client:
        client.until(on_edgetpu)
        client.detections(40)
        counts = shares(client, 240)
    assert sorted(counts) == ["back", "front", "left", "right"]
    assert all(count == pytest.approx(60, rel=0.05) for count in counts.values()), counts


def test_what_one_camera_leaves_the_others_get(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).set_invoke_ms(40)
    config = tpu_config(cameras=3)
    for fps, camera in zip((3, 30, 30), config["cameras"].values(), strict=True):
        camera["fps"] = fps
    with start_daemon(config).client() as client:
        client.until(on_edgetpu)
        client.detections(30)
        before = client.status()["cameras"]["front"]["dropped"].get("superseded", 0)
        counts = shares(client, 200)
        after = client.status()["cameras"]["front"]["dropped"].get("superseded", 0)
    assert after - before <= 1, "a slow camera does not wait for its turn"
    assert counts["left"] == pytest.approx(counts["right"], rel=0.05)
    assert counts["left"] > 3 * counts["front"]


def test_the_next_frame_is_prepared_while_the_stick_works(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    """The figure is the bench's; here: what Python does for a frame is not added to the stick's time."""
    simulator.stick(0).set_invoke_ms(30)
    config = tpu_config(cameras=2)
    for camera in config["cameras"].values():
        camera.update(fps=60, size=[1920, 1080])
    with start_daemon(config).client() as client:
        client.until(on_edgetpu)
        client.detections(30)
        ages_ms = [message["age_ms"] for message in client.detections(30)]
        fractions = (simulator.stick(0).busy_fraction() for _ in range(8))  # other programs take the processor at times
        assert any(fraction > 0.9 for fraction in fractions)
    assert sorted(ages_ms)[15] < 2 * 30 + 30, "it is the newest frame that is taken, at the last moment"


def test_one_model_on_two_sticks_uses_both_and_outlives_one(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    first, second = simulator.stick(0), simulator.stick(1)
    second.set_invoke_ms(20)
    first.set_invoke_ms(20)
    second.plug()
    twins.answer_cat(second)
    config = tpu_config(device="usb:0,usb:1", edgetpu={"max_backoff_s": 1})
    config["cameras"]["front"]["fps"] = 90
    with start_daemon(config).client() as client:
        status = client.status(lambda s: [stick["state"] for stick in s["edgetpus"]] == ["in_use", "in_use"])
        before = client.detections(60)
        stamps = [message["captured_ns"] for message in before]
        assert stamps == sorted(stamps), "no result may be older than the one before"
        workers = client.status()["engines"]["cats"]["workers"]
        assert all(worker["results"] > 15 for worker in workers[:2])
        lost_before = client.status()["cameras"]["front"]["dropped"].get("engine_lost", 0)
        first.fail("abort", times=1)
        client.status(lambda s: s["edgetpus"][0]["state"] != "in_use")
        after = client.detections(20)[-1]
        assert (after["engine"], after["epoch"]) == ("edgetpu", before[0]["epoch"]), "the other one goes on"
        status = client.status(lambda s: [stick["state"] for stick in s["edgetpus"]] == ["in_use", "in_use"])
        front = status["cameras"]["front"]
        assert front["captured"] == front["inferred"] + sum(front["dropped"].values()) + front["pending"]
        assert 0 <= front["pending"] <= 6, "one stick's end is not counted for the other's frames"
        assert 1 <= front["dropped"]["engine_lost"] - lost_before <= 2
        twin = status["engines"]["cats"]["workers"][2]
        assert twin["results"] == workers[2]["results"], "the twin was not needed"


def test_a_stick_that_goes_takes_no_other_one_with_it(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    """Numbers change when a stick goes; the one that works goes on, and the other is taken back in its place."""
    second = simulator.stick(1)
    second.plug()
    twins.answer_cat(second)
    daemon = start_daemon(tpu_config(device="all", edgetpu={"max_backoff_s": 1}))

    def ports(status: dict[str, Any]) -> list[tuple[str, str | None]]:
        return [(stick["state"], stick["port"]) for stick in status["edgetpus"]]

    both = [("in_use", "2-1"), ("in_use", "2-2")]
    with daemon.client() as client:
        client.status(lambda s: ports(s) == both)
        worker = daemon.workers()["engine usb:1"]
        epoch = client.until(on_edgetpu)["epoch"]
        simulator.stick(0).unplug()
        client.status(lambda s: ports(s) == [("absent", None), ("in_use", "2-2")])
        messages = client.detections(20)
        assert {(message["engine"], message["epoch"]) for message in messages} == {("edgetpu", epoch)}
        assert daemon.workers()["engine usb:1"] == worker
        simulator.stick(0).plug()
        client.status(lambda s: ports(s) == both)
        for stick in (simulator.stick(0), second):
            stick.unplug()
        client.status(lambda s: [state for state, _ in ports(s)] == ["absent", "absent"])
        second.plug()
        client.status(lambda s: ("in_use", "2-2") in ports(s))
        simulator.stick(0).plug()
        client.status(lambda s: sorted(ports(s)) == both)
        assert simulator.stick(0).counters().second_openers == second.counters().second_openers == 0


def test_two_models_on_one_stick_share_a_process_and_their_swaps_are_told(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, assets: Path
) -> None:
    stick = simulator.stick(0)
    stick.set_swap_ms(12)
    other = twins.classifier(tmp_path / "other", assets)
    config = tpu_config(cameras=4)
    config["models"]["more"] = {**config["models"]["cats"], "package": str(other)}
    for name in ("right", "back"):
        config["cameras"][name]["model"] = "more"
    for camera in config["cameras"].values():
        camera["fps"] = 120  # more than a round takes: a frame waits at each turn
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.status(lambda s: s["state"] == "ok" and s["edgetpus"][0]["state"] == "in_use")
        client.detections(100)
        counts = shares(client, 400)
        status = client.status()
        assert sorted(status["edgetpus"][0]["models"]) == ["cats", "more"]
        assert sum(name.startswith("engine usb") for name in daemon.workers()) == 1
        for model in ("cats", "more"):
            worker = status["engines"][model]["workers"][0]
            assert worker["swap_ms"] == pytest.approx(12, abs=4)
            assert worker["swaps"] < 0.4 * worker["results"], "without an order every second invoke is a swap"
    assert all(count == pytest.approx(100, rel=0.1) for count in counts.values()), counts
    counters = stick.counters()
    assert counters.swaps < 0.3 * counters.invokes


def test_every_model_of_a_stick_falls_back_and_returns(
    start_daemon: StartDaemon, tpu_config: TpuConfig, tmp_path: Path, assets: Path
) -> None:
    other = twins.classifier(tmp_path / "other", assets)
    config = tpu_config(cameras=2)
    config["models"]["more"] = {**config["models"]["cats"], "package": str(other)}
    config["cameras"]["left"]["model"] = "more"
    daemon = start_daemon(config)
    with daemon.client() as client:
        client.status(lambda s: s["state"] == "ok" and s["edgetpus"][0]["state"] == "in_use")
        os.kill(daemon.workers()["engine usb:0"], signal.SIGKILL)
        for camera in ("front", "left"):
            client.until(lambda m, camera=camera: m.get("camera") == camera and m["engine"] == "cpu")  # type: ignore[misc]
        for camera in ("front", "left"):
            client.until(lambda m, camera=camera: m.get("camera") == camera and m["engine"] == "edgetpu")  # type: ignore[misc]


def test_a_port_is_a_name_that_stays(start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator) -> None:
    second = simulator.stick(1)
    second.plug()
    twins.answer_cat(second)
    with start_daemon(tpu_config(device="usb:2-2")).client() as client:
        client.until(on_edgetpu)
        status = client.status(lambda s: s["edgetpus"][0]["state"] == "in_use")
        assert (status["edgetpus"][0]["device"], status["edgetpus"][0]["port"]) == ("usb:2-2", "2-2")
    assert second.counters().invokes > 0
    assert simulator.stick(0).counters().opens == 0


def test_a_whole_detector_on_the_stick_gives_what_the_stick_says(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, assets: Path
) -> None:
    """Value by value: the four outputs of the stick are the objects on the socket."""
    package = twins.detector(tmp_path / "coco", assets)
    simulator.stick(0).claim("all")
    twins.answer_boxes(simulator.stick(0), [(0.75, 16, (0.25, 0.125, 0.75, 0.5)), (0.5, 0, (0.0, 0.0, 1.0, 1.0))])
    with start_daemon(tpu_config(package=str(package))).client() as client:
        objects = client.until(on_edgetpu)["objects"]
    assert [(found["label"], found["score"], found["box"]) for found in objects] == [
        ("cat", 0.75, [0.125, 0.25, 0.5, 0.75]),
        ("person", 0.5, [0.0, 0.0, 1.0, 1.0]),
    ]
