"""An Edge TPU that is not there, dies, hangs, lies or is slow: what a client sees, with a simulated stick.

The stick is simulated in C behind the real `load_delegate`; the model files, the processes and their deaths are real.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import twins
from edgetpu_sim.simulator import Simulator
from harness import Client, Daemon, running

pytestmark = pytest.mark.slow

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]
Message = dict[str, Any]

# The interpreter may be root's own, so that another user could not run it: capabilities(7), setpriv(1).
AS_ROOT_WITHOUT_ITS_RIGHTS = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
_MAY_READ = "+dac_override,+dac_read_search"
SOMEBODY = 64_064  # without other processes
PROCESSES = 100  # threads count too; more than the daemon and its workers have
AS_SOMEBODY_WHO_MAY_READ = ("setpriv", "--reuid", str(SOMEBODY), "--inh-caps", _MAY_READ, "--ambient-caps", _MAY_READ)


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0o002)
    yield
    os.umask(before)


def on(engine: str) -> Callable[[Message], bool]:
    return lambda message: message["type"] == "detections" and message["engine"] == engine


def stick_is(state: str) -> Callable[[Message], bool]:
    return lambda message: message["edgetpus"][0]["state"] == state


def seconds_until(client: Client, wanted: Callable[[Message], bool]) -> tuple[float, Message]:
    began_s = time.monotonic()
    message = client.until(wanted)
    return time.monotonic() - began_s, message


def accounts_agree(status: Message) -> bool:
    return all(
        camera["captured"] == camera["inferred"] + sum(camera["dropped"].values()) + camera["pending"]
        for camera in status["cameras"].values()
    )


def test_the_stick_computes_and_says_so(start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator) -> None:
    with start_daemon(tpu_config()).client() as client:
        message = client.until(on("edgetpu"))
        assert (message["degraded"], message["classes"][0]["label"]) == (False, twins.CAT_LABEL)
        assert message["stages_ms"]["invoke"] >= 7.0
        status = client.status(lambda s: s["state"] == "ok" and s["edgetpus"][0]["usb_id"] == "18d1:9302")
        worker = status["engines"]["cats"]["workers"][0]
        assert (worker["state"], worker["golden"]["passed"]) == ("ready", 1)
        assert "RuntimeVersion" in worker["library"]
        assert worker["runtime"].startswith(("LiteRT", "tflite-runtime"))
        assert "auto: " in worker["runtime_why"]
        stick = status["edgetpus"][0]
        assert (stick["state"], stick["port"], stick["usb_id"]) == ("in_use", "2-1", "18d1:9302")
        assert simulator.stick(0).counters().claimed_nodes == 1


# 15: absent at boot


def test_fault_15_absent_with_prefer_the_cpu_serves_and_the_stick_is_taken_when_it_comes(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).unplug()
    with start_daemon(tpu_config()).client() as client:
        first = client.detections(1)[0]
        assert (first["engine"], first["degraded"]) == ("cpu", True)
        status = client.status(lambda s: s["state"] == "degraded")
        assert "runs on the CPU: usb:0: no Coral Edge TPU is plugged in" in status["reason"]
        assert status["edgetpus"][0]["state"] == "absent"
        assert simulator.creates == 0, "a stick that is not there is not opened"
        simulator.stick(0).plug()
        spent_s, after = seconds_until(client, on("edgetpu"))
        assert spent_s < 5.0
        assert after["epoch"] == first["epoch"] + 1
        assert after["seq"] > first["seq"]
        assert client.status(lambda s: s["state"] == "ok")["edgetpus"][0]["state"] == "in_use"


def test_fault_15_absent_with_required_there_are_no_detections_and_the_socket_lives(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).unplug()
    with start_daemon(tpu_config(accelerator="required")).client() as client:
        client.status(lambda s: s["state"] == "blind" and "no Coral Edge TPU is plugged in" in s["reason"])
        beats = [client.message()["type"] for _ in range(3)]
        assert set(beats) == {"status"}, "no result may be made up"
        simulator.stick(0).plug()
        assert client.until(on("edgetpu"))["epoch"] == 1


# 16: unplugged in Invoke


def test_fault_16_an_abort_costs_a_gap_and_no_client(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    config = tpu_config()
    config["cameras"]["other"] = {**config["cameras"]["front"], "model": "steady"}
    config["models"]["steady"] = {**config["models"]["cats"], "accelerator": "never"}
    daemon = start_daemon(config)
    with daemon.client() as client, daemon.client() as beside:
        before = client.until(on("edgetpu"))
        beside.send({"type": "subscribe", "cameras": ["other"]})
        simulator.stick(0).fail("abort", times=1)
        spent_s, first = seconds_until(
            client, lambda m: m["type"] == "detections" and m["camera"] == "front" and m["engine"] == "cpu"
        )
        assert spent_s < 1.0, "the twin is warm"
        assert (first["degraded"], first["epoch"], first["missed"]) == (True, before["epoch"] + 1, 0)
        status = client.status(lambda s: s["state"] == "degraded")
        assert "died of SIGABRT, its last words: F driver/usb/usb_driver.cc" in status["reason"]
        spent_s, back = seconds_until(client, on("edgetpu"))
        assert spent_s < 5.0
        assert back["epoch"] == first["epoch"] + 1
        status = client.status(lambda s: s["state"] == "ok")
        worker = status["engines"]["cats"]["workers"][0]
        assert (worker["failures"], worker["restarts"]) == (1, 1)
        assert "SIGABRT" in worker["last_failure"]
        assert accounts_agree(status)
        assert status["cameras"]["front"]["dropped"].get("engine_lost", 0) >= 1
        others = [message for message in beside.detections(30) if message["camera"] == "other"]
        assert len(others) > 10
        assert {message["epoch"] for message in others} == {1}
        assert all(after["seq"] == before["seq"] + 1 + after["missed"] for before, after in pairwise(others))
        assert status["engines"]["steady"]["restarts"] == 0


def test_fault_16_a_stick_pulled_out_and_plugged_in_again(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    with start_daemon(tpu_config()).client() as client:
        before = client.until(on("edgetpu"))
        simulator.stick(0).unplug()
        spent_s, _ = seconds_until(client, on("cpu"))
        assert spent_s < 1.0
        client.status(stick_is("absent"))
        simulator.stick(0).plug()
        spent_s, back = seconds_until(client, on("edgetpu"))
        assert spent_s < 5.0
        assert (back["epoch"], back["missed"]) == (before["epoch"] + 2, 0)


def test_a_stick_that_is_plugged_in_again_is_taken_back_at_once_each_time(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    with start_daemon(tpu_config()).client() as client:
        client.until(on("edgetpu"))
        for _ in range(5):
            simulator.stick(0).unplug()
            client.status(stick_is("absent"))
            simulator.stick(0).plug()
            spent_s, _ = seconds_until(client, on("edgetpu"))
            assert spent_s < 5.0


def test_a_cold_twin_is_started_when_the_stick_fails_and_ended_when_it_is_back(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    daemon = start_daemon(tpu_config(standby="cold"))
    with daemon.client() as client:
        client.until(on("edgetpu"))
        assert "engine cats on the CPU" not in daemon.workers()
        simulator.stick(0).unplug()
        spent_s, _ = seconds_until(client, on("cpu"))
        assert spent_s < 3.0
        simulator.stick(0).plug()
        client.until(on("edgetpu"))
        client.status(lambda s: s["engines"]["cats"]["workers"][1]["pid"] is None)


# 17: the first open loads the firmware and re-enumerates


def test_fault_17_a_slow_open_is_waited_for_while_the_cpu_serves(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).set_open_ms(4000)
    with start_daemon(tpu_config()).client() as client:
        status = client.status(lambda s: s["edgetpus"][0]["state"] == "opening")
        assert status["edgetpus"][0]["usb_id"] == "1a6e:089a"
        assert client.detections(1)[0]["engine"] == "cpu"
        client.until(on("edgetpu"))
        status = client.status(lambda s: s["state"] == "ok" and s["edgetpus"][0]["usb_id"] == "18d1:9302")
        assert status["engines"]["cats"]["workers"][0]["restarts"] == 0, "4 s are no reason to kill it"


# 18: stuck in the bootloader, or does not open


def test_fault_18_a_stick_that_never_opens_needs_a_person_and_is_not_tried_in_a_loop(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).fail("create_fail")
    with start_daemon(tpu_config()).client() as client:
        status = client.status(stick_is("needs_replug"), patience_s=60)
        assert "unplug the Coral stick, wait 5 s, plug it in again" in status["edgetpus"][0]["reason"]
        assert (status["state"], status["engines"]["cats"]["engine"]) == ("degraded", "cpu")
        tries = simulator.creates
        assert tries == 3
        assert client.detections(20)[-1]["engine"] == "cpu"
        assert simulator.creates - tries <= 1
        simulator.stick(0).heal()
        simulator.stick(0).unplug()
        client.status(stick_is("absent"))
        simulator.stick(0).plug()
        client.until(on("edgetpu"))


def test_fault_18_a_reset_is_tried_where_it_is_allowed(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    """The simulated device node is a plain file, so that the kernel refuses; the words and the order are shown."""
    simulator.stick(0).fail("create_fail")
    daemon = start_daemon(tpu_config(edgetpu={"reset": True, "max_backoff_s": 0.5}))
    with daemon.client() as client:
        client.status(stick_is("needs_replug"), patience_s=90)
    log = daemon.whole_log()
    assert log.index("cannot be reset") < log.index("was switched off and on") < log.index("needs_replug")


# 19: no permission


def test_fault_19_without_permission_the_rule_is_told_and_nothing_is_opened(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).deny()
    daemon = start_daemon(tpu_config(), prefix=AS_ROOT_WITHOUT_ITS_RIGHTS)
    with daemon.client() as client:
        status = client.status(stick_is("no_permission"))
        reason = status["edgetpus"][0]["reason"]
        assert "1a6e" in reason
        assert "18d1" in reason
        assert "udevadm control --reload" in reason
        assert client.detections(1)[0]["engine"] == "cpu"
        assert simulator.creates == 0


# 20: the library is missing, for another machine, or does not fit the runtime


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"#!/bin/sh\n" * 20, "is no library"),
    ],
)
def test_fault_20_a_library_that_cannot_be_loaded_is_told_and_not_tried(
    start_daemon: StartDaemon,
    tpu_config: TpuConfig,
    simulator: Simulator,
    tmp_path: Path,
    content: bytes | None,
    words: str,
) -> None:
    library = tmp_path / "libedgetpu.so.1"
    if content is not None:
        library.write_bytes(content)
    with start_daemon(tpu_config(edgetpu={"library": str(library)})).client() as client:
        status = client.status(stick_is("no_library"))
        assert words in status["edgetpus"][0]["reason"]
        assert client.detections(1)[0]["engine"] == "cpu"
        shutil.copy(simulator.library, library)
        client.until(on("edgetpu"))


def test_fault_20_a_file_that_does_not_load_is_the_librarys_fault_and_never_the_sticks(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    """It is an ELF file of this machine, so that only loading it shows what it is not."""
    edgetpu = {"library": sys.executable, "reset": True, "max_backoff_s": 0.5}
    daemon = start_daemon(tpu_config(edgetpu=edgetpu))
    with daemon.client() as client:
        status = client.status(stick_is("no_library"))
        assert status["engines"]["cats"]["engine"] in ("cpu", None)
        client.detections(20)
        assert client.status()["edgetpus"][0]["state"] == "no_library"
        assert simulator.creates == 0
    assert "resetting" not in daemon.whole_log()


@pytest.mark.parametrize("where", ["create_segv", "prepare_segv", "segv"])
def test_fault_20_a_pair_that_crashes_is_tried_three_times_and_then_left_alone(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, where: str
) -> None:
    library = tmp_path / "libedgetpu.so.1"
    shutil.copy(simulator.library, library)
    simulator.stick(0).fail(where)
    config = tpu_config(edgetpu={"library": str(library), "max_backoff_s": 0.5}, runtime="litert")
    with start_daemon(config).client() as client:
        status = client.status(stick_is("unusable"), patience_s=60)
        reason = status["edgetpus"][0]["reason"]
        assert "LiteRT" in reason
        assert "died of SIGSEGV" in reason
        assert "3 times" in reason
        crashes = simulator.stick(0).fired(where)
        assert crashes == 3
        assert client.detections(30)[-1]["engine"] == "cpu"
        assert simulator.stick(0).fired(where) == 3
        simulator.stick(0).heal()
        library.unlink()
        shutil.copy(simulator.library, library)  # another file: somebody has installed another one
        client.until(on("edgetpu"))


# 21: hangs


def test_fault_21_a_hang_ends_at_its_deadline(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    daemon = start_daemon(tpu_config())
    with daemon.client() as client:
        client.until(on("edgetpu"))
        simulator.stick(0).fail("hang", times=1)
        spent_s, _ = seconds_until(client, on("cpu"))
        assert spent_s < 0.5 + 1.0
        client.until(on("edgetpu"))
    assert "the engine hangs: no answer for 0.5 s" in daemon.whole_log()


# 23: hot, or on a slow bus


def test_fault_23_an_invoke_that_becomes_slow_is_told(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).set_invoke_ms(10)
    config = tpu_config()
    config["cameras"]["front"]["fps"] = 60
    with start_daemon(config).client() as client:
        client.until(on("edgetpu"))
        client.until(lambda m: m["type"] == "detections" and m["seq"] > 110)
        simulator.stick(0).set_ramp_ms(1, 70)
        status = client.status(lambda s: s["state"] == "degraded")
        assert "times as long as at first: the stick may be hot" in status["reason"]
        late = client.until(lambda m: m["type"] == "detections" and m["stages_ms"]["invoke"] > 75)
        assert late["age_ms"] < 80 + 2 * 80 + 50, "frames are dropped, not queued"
        assert client.status()["cameras"]["front"]["dropped"]["superseded"] > 0


# 24: Invoke returns an error


def test_fault_24_an_error_costs_its_frame_and_three_in_a_row_the_worker(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    daemon = start_daemon(tpu_config())
    with daemon.client() as client:
        client.until(on("edgetpu"))
        simulator.stick(0).fail("error", times=2)
        status = client.status(lambda s: s["cameras"]["front"]["dropped"].get("invoke_error") == 2)
        assert client.until(on("edgetpu"))["type"] == "detections"
        assert status["engines"]["cats"]["restarts"] == 0
        simulator.stick(0).fail("error", times=3)
        client.until(on("cpu"))
        client.until(on("edgetpu"))
        status = client.status(lambda s: s["state"] == "ok")
        assert status["cameras"]["front"]["dropped"]["invoke_error"] == 5
        assert "3 invokes in a row have failed" in status["engines"]["cats"]["workers"][0]["last_failure"]
        assert accounts_agree(status)


# wrong, but alive


def test_a_stick_that_computes_wrong_is_not_trusted_until_it_does_better(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    simulator.stick(0).output_constant(1)
    with start_daemon(tpu_config(edgetpu={"max_backoff_s": 0.5})).client() as client:
        status = client.status(lambda s: "its trial has failed" in (s["edgetpus"][0]["reason"] or ""))
        assert "cat.jpg: expected Egyptian cat" in status["edgetpus"][0]["reason"]
        states = {client.status()["edgetpus"][0]["state"] for _ in range(4)}
        assert states == {"failed"}, "one lasting state, while it is tried again and again"
        assert {m["engine"] for m in client.detections(5)} == {"cpu"}
        twins.answer_cat(simulator.stick(0))
        client.until(on("edgetpu"))


def test_fault_31_a_stick_that_answers_nonsense_is_dropped_for_the_cpu(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, assets: Path
) -> None:
    package = twins.detector(tmp_path / "coco", assets)
    stick = simulator.stick(0)
    stick.claim("all")
    twins.answer_boxes(stick, [(0.75, 16, (0.25, 0.125, 0.75, 0.5))])
    with start_daemon(tpu_config(package=str(package))).client() as client:
        client.until(on("edgetpu"))
        stick.output_nan()
        client.until(on("cpu"))
        status = client.status(lambda s: s["state"] == "degraded")
        assert "30 outputs in a row make no sense" in status["reason"]
        assert status["cameras"]["front"]["dropped"]["invalid_output"] >= 30


def test_fault_24_an_error_in_the_trial_of_one_model_keeps_it_from_the_stick_for_no_longer_than_the_next_try(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, assets: Path
) -> None:
    config = tpu_config(cameras=2)
    config["models"]["more"] = {
        **config["models"]["cats"],
        "package": str(twins.classifier(tmp_path / "other", assets)),
    }
    config["cameras"]["left"]["model"] = "more"
    simulator.stick(0).fail("error", times=1)
    with start_daemon(config).client() as client:
        client.status(lambda s: s["edgetpus"][0]["state"] == "failed")
        status = client.status(lambda s: s["state"] == "ok")
        assert [engine["engine"] for engine in status["engines"].values()] == ["edgetpu", "edgetpu"]


def test_fault_31_nonsense_of_one_model_is_not_hidden_by_another_one_on_the_same_stick(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, tmp_path: Path, assets: Path
) -> None:
    other = twins.classifier(tmp_path / "other", assets, golden=False)
    manifest = json.loads((other / "model.yaml").read_text())
    manifest["files"]["edgetpu"] = manifest["files"]["cpu"]  # as the detector's: the stick claims ordinary operators
    (other / "model.yaml").write_text(json.dumps(manifest))
    config = tpu_config(cameras=2, package=str(twins.detector(tmp_path / "coco", assets)))
    config["models"]["more"] = {**config["models"]["cats"], "package": str(other)}
    config["cameras"]["left"]["model"] = "more"
    stick = simulator.stick(0)
    stick.claim("all")
    twins.answer_boxes(stick, [(0.75, 16, (0.25, 0.125, 0.75, 0.5))])
    with start_daemon(config).client() as client:
        client.status(lambda s: s["state"] == "ok")
        stick.output_nan()
        client.until(lambda message: on("cpu")(message) and message["camera"] == "front")
        status = client.status(lambda s: s["state"] == "degraded")
        assert "30 outputs in a row make no sense" in status["reason"]


@pytest.mark.parametrize(
    ("policy", "missing", "words"),
    [
        ("prefer", "cpu", "files.cpu: is not given, and accelerator: prefer runs it when the Edge TPU fails"),
        ("never", "cpu", "files.cpu: is not given, and accelerator: never"),
        ("required", "edgetpu", "files.edgetpu: is not given, and accelerator: required needs it"),
    ],
)
def test_a_missing_twin_is_named_at_the_start_and_not_when_it_is_needed(
    start_daemon: StartDaemon,
    tpu_config: TpuConfig,
    tmp_path: Path,
    assets: Path,
    policy: str,
    missing: str,
    words: str,
) -> None:
    package = twins.classifier(tmp_path / "half", assets)
    manifest = json.loads((package / "model.yaml").read_text())
    del manifest["files"][missing]
    (package / "model.yaml").write_text(json.dumps(manifest))
    daemon = start_daemon(tpu_config(package=str(package), accelerator=policy))
    assert daemon.process.wait(20) == 78
    assert words in daemon.log


def test_fault_28_a_file_that_is_not_compiled_runs_on_the_cpu_and_says_so(
    start_daemon: StartDaemon, tpu_config: TpuConfig, tmp_path: Path, assets: Path
) -> None:
    package = twins.classifier(tmp_path / "plain", assets)
    (package / "tpu.tflite").unlink()
    (package / "tpu.tflite").symlink_to(assets / "models" / "mobilenet_v1_0.25_128_quant.tflite")
    with start_daemon(tpu_config(package=str(package))).client() as client:
        message = client.detections(3)[-1]
        assert (message["engine"], message["degraded"]) == ("cpu", True)
        status = client.status(lambda s: s["state"] == "degraded")
        assert "not compiled for the Edge TPU" in status["reason"]


# 51, 57, 58: processes and memory


def test_fault_51_the_stick_is_free_for_the_successor_of_a_killed_daemon(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    first = start_daemon(tpu_config())
    with first.client() as client:
        client.until(on("edgetpu"))
    workers = first.workers()
    first.process.kill()
    first.process.wait()
    with start_daemon(tpu_config()).client() as client:
        spent_s, _ = seconds_until(client, on("edgetpu"))
        assert spent_s < 5.0
    assert not any(running(pid) for pid in workers.values())
    assert simulator.stick(0).counters().second_openers == 0


def test_a_second_daemon_is_refused_before_it_touches_the_stick(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    with start_daemon(tpu_config()).client() as owner, start_daemon(tpu_config()).client() as second:
        owner.until(on("edgetpu"))
        status = second.status(lambda s: s["edgetpus"][0]["state"] == "busy" and s["state"] == "degraded")
        assert "is used by process" in status["edgetpus"][0]["reason"]
        assert status["engines"]["cats"]["engine"] == "cpu"
        assert {m["engine"] for m in owner.detections(10)} == {"edgetpu"}
        assert simulator.stick(0).counters().second_openers == 0


def test_fault_57_a_worker_goes_before_the_parent_when_memory_runs_out(
    start_daemon: StartDaemon, tpu_config: TpuConfig
) -> None:
    """The kernel's killer takes the highest score, and sends SIGKILL: here the test does."""
    daemon = start_daemon(tpu_config())
    with daemon.client() as client:
        client.until(on("edgetpu"))
        client.status(lambda s: all(worker["state"] == "ready" for worker in s["engines"]["cats"]["workers"]))
        scores = {name: int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for name, pid in daemon.workers().items()}
        assert set(scores.values()) == {500}
        assert int(Path(f"/proc/{daemon.process.pid}/oom_score_adj").read_text()) < 500
        os.kill(daemon.workers()["engine usb:0"], signal.SIGKILL)
        spent_s, _ = seconds_until(client, on("cpu"))
        assert spent_s < 1.0


def test_fault_58_a_leak_ends_in_a_planned_recycle_between_two_frames(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    config = tpu_config(max_rss_mb=160)
    with start_daemon(config).client() as client:
        before = client.until(on("edgetpu"))
        simulator.stick(0).leak(4_000_000)
        first = client.until(on("cpu"))
        assert (first["epoch"], first["missed"]) == (before["epoch"] + 1, 0)
        simulator.stick(0).heal()
        client.until(on("edgetpu"))
        status = client.status(lambda s: s["state"] == "ok")
        worker = status["engines"]["cats"]["workers"][0]
        assert (worker["restarts"], worker["failures"]) == (1, 0), "planned, no failure"
        front = status["cameras"]["front"]
        assert "engine_lost" not in front["dropped"], "it answered what it had taken"
        assert accounts_agree(status)


# 62, 63, 64


def test_fault_62_camera_and_stick_lost_together_come_back_each_by_itself(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    daemon = start_daemon(tpu_config())
    with daemon.client() as client:
        client.until(on("edgetpu"))
        simulator.stick(0).unplug()
        os.kill(daemon.workers()["camera front"], signal.SIGKILL)
        client.until(on("cpu"))
        simulator.stick(0).plug()
        client.until(on("edgetpu"))
        status = client.status(lambda s: s["state"] == "ok")
        assert status["cameras"]["front"]["restarts"] == 1
        assert accounts_agree(status)


def test_fault_63_a_camera_that_fails_costs_the_other_nothing(start_daemon: StartDaemon, tpu_config: TpuConfig) -> None:
    config = tpu_config(cameras=2)
    daemon = start_daemon(config)

    def published(client: Client, count: int) -> tuple[float, set[int]]:
        client.send({"type": "subscribe", "cameras": ["front"]})
        client.until(on("edgetpu"))
        messages = client.detections(count)
        gaps = {after["seq"] - before["seq"] for before, after in pairwise(messages)}
        return (count - 1) * 1e9 / (messages[-1]["captured_ns"] - messages[0]["captured_ns"]), gaps

    with daemon.client() as client:
        with_both, _ = published(client, 61)
        os.kill(daemon.workers()["camera left"], signal.SIGSTOP)
        with_one, gaps = published(client, 61)
    assert with_one == pytest.approx(with_both, rel=0.05)
    assert gaps == {1}


def test_fault_64_a_process_that_cannot_be_started_is_tried_again(
    start_daemon: StartDaemon,
    tpu_config: TpuConfig,
    simulator: Simulator,
    short_folder: Path,
    assets: Path,
    open_umask: None,  # noqa: ARG001 - asked for what it does
) -> None:
    """RLIMIT_NPROC stops a user's fork with EAGAIN, as TasksMax does; root is exempt: the daemon is not root."""
    simulator.stick(0).plug()  # with a node for its group, as the udev rule makes it
    short_folder.chmod(0o755)
    package = twins.classifier(short_folder / "cats", assets)  # access(2) asks for the user's own rights
    config = tpu_config(edgetpu={"max_backoff_s": 1}, package=str(package))
    daemon = start_daemon(config, prefix=("prlimit", f"--nproc={PROCESSES}", *AS_SOMEBODY_WHO_MAY_READ))
    with daemon.client() as client:
        client.status(lambda s: all(worker["state"] == "ready" for worker in s["engines"]["cats"]["workers"]))
        many = subprocess.Popen(
            ["sh", "-c", f"for _ in $(seq {PROCESSES}); do sleep 60 & done; echo; wait"],
            user=SOMEBODY,
            start_new_session=True,
            stdout=subprocess.PIPE,
        )
        with many:
            assert many.stdout is not None
            many.stdout.readline()
            os.kill(daemon.workers()["engine usb:0"], signal.SIGKILL)
            client.status(lambda s: "cannot start the process" in (s["reason"] or ""))
            assert client.until(on("cpu"))["degraded"]
            status = client.status(lambda s: s["engines"]["cats"]["workers"][0]["failures"] > 4)
            assert status["edgetpus"][0]["state"] != "needs_replug", "that is not the stick's fault"
            os.killpg(many.pid, signal.SIGKILL)
        client.until(on("edgetpu"))
