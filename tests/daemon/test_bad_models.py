"""Models that cannot be used: said before the start where it can be known, in `status` where only the runtime knows."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import Daemon, asset_package, coco_ssd_package, shapes_model
from tflite_writer import Graph, Operator, Tensor

StartDaemon = Callable[..., Daemon]
CONFIGURATION_EXIT = 78


def with_package(package: Path) -> dict[str, Any]:
    return {
        "cameras": {"front": {"source": "synthetic:shapes", "fps": 10, "model": "m"}},
        "models": {"m": {"package": str(package), "accelerator": "never", "min_score": 0.1}},
    }


@pytest.fixture
def package(root: Path, tmp_path: Path) -> Path:
    """A copy of the project's own package, without its checksum, to be spoilt."""
    folder = tmp_path / "package"
    shutil.copytree(root / "models" / "shapes", folder)
    manifest = folder / "model.yaml"
    manifest.write_text(re.sub(r", sha256: [0-9a-f]{64}", "", manifest.read_text()))
    return folder


def model_file(package: Path) -> Path:
    return next(package.glob("*.tflite"))


def refused_at_start(start_daemon: StartDaemon, package: Path) -> str:
    daemon = start_daemon(with_package(package))
    assert daemon.process.wait(30) == CONFIGURATION_EXIT
    assert "Traceback" not in daemon.log
    assert not daemon.socket_path.exists()
    return daemon.log


def failed_engine(start_daemon: StartDaemon, package: Path) -> str:
    """The reason in `status`, with the daemon alive, blind, and answering."""
    daemon = start_daemon(with_package(package))
    with daemon.client() as client:
        status = client.status(lambda message: message["engines"]["m"]["state"] == "failed")
        assert status["engines"]["m"]["retry_in_s"] > 0
        assert client.status(lambda message: message["state"] == "blind")["reason"].startswith("camera front")
        client.send({"type": "ping"})
        client.until(lambda message: message["type"] == "pong")
    assert "Traceback" not in daemon.log
    return str(status["engines"]["m"]["reason"])


@pytest.mark.parametrize("spoil", ["missing", "directory", "fifo", "empty"])
def test_fault_25_a_model_that_is_no_file_stops_the_start_and_is_named(
    start_daemon: StartDaemon, package: Path, spoil: str
) -> None:
    file = model_file(package)
    file.unlink()
    if spoil == "directory":
        file.mkdir()
    elif spoil == "fifo":
        os.mkfifo(file)
        assert stat.S_ISFIFO(file.stat().st_mode)
    elif spoil == "empty":
        file.touch()
    assert str(file) in refused_at_start(start_daemon, package)


def test_fault_25_a_package_that_is_not_there_is_named_at_its_place(start_daemon: StartDaemon, tmp_path: Path) -> None:
    log = refused_at_start(start_daemon, tmp_path / "nowhere")
    assert "models.m.package: " in log
    assert str(tmp_path / "nowhere") in log


def test_fault_26_a_model_with_another_checksum_stops_the_start(
    start_daemon: StartDaemon, root: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "package"
    shutil.copytree(root / "models" / "shapes", folder)
    content = bytearray(model_file(folder).read_bytes())
    content[len(content) // 2] ^= 1
    model_file(folder).write_bytes(content)
    log = refused_at_start(start_daemon, folder)
    assert "sha256" in log
    assert "has the checksum" in log


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.001, 0.3, 0.99])
def test_fault_26_a_truncated_model_without_a_checksum_fails_in_the_worker(
    start_daemon: StartDaemon, package: Path, kept: float
) -> None:
    content = model_file(package).read_bytes()
    model_file(package).write_bytes(content[: int(len(content) * kept)])
    assert failed_engine(start_daemon, package)


def test_fault_26_what_is_no_flatbuffer_is_called_so(start_daemon: StartDaemon, package: Path) -> None:
    model_file(package).write_bytes(b"this is no model at all" * 100)
    assert model_file(package).name in failed_engine(start_daemon, package)


@pytest.mark.assets
def test_fault_27_an_edgetpu_file_as_files_cpu_is_told_with_the_remedy(
    start_daemon: StartDaemon, assets: Path, tmp_path: Path
) -> None:
    recipe = {
        "task": "classification",
        "labels": {"offset": 0},
        "input": {
            "resize": "stretch",
            "interpolation": "bilinear",
            "color": "rgb",
            "mean": [128] * 3,
            "std": [128] * 3,
        },
        "output": {"decoder": "scores"},
    }
    file = "mobilenet_v1_0.25_128_quant_edgetpu.tflite"
    package = asset_package(tmp_path / "package", assets, file, "imagenet_labels.txt", recipe)
    log = refused_at_start(start_daemon, package)
    assert "compiled for the Edge TPU; give files.cpu" in log


@pytest.mark.assets
def test_fault_28_a_cpu_model_where_a_tpu_is_preferred_says_which_engine_runs(
    start_daemon: StartDaemon, assets: Path, tmp_path: Path
) -> None:
    package = coco_ssd_package(tmp_path / "coco_ssd", assets)
    config = with_package(package)
    config["models"]["m"]["accelerator"] = "prefer"
    config["cameras"]["front"]["source"] = "synthetic:shapes"
    with start_daemon(config).client() as client:
        assert client.detections(1)[0]["engine"] == "cpu"
        status = client.status(lambda message: message["engines"]["m"]["results"] > 0)
        assert status["engines"]["m"]["engine"] == "cpu"
        assert status["engines"]["m"]["reason"] is not None


def test_fault_30_labels_too_short_give_null_and_one_warning(start_daemon: StartDaemon, package: Path) -> None:
    labels = package / "labels.txt"
    labels.write_text(labels.read_text().splitlines()[0] + "\n")
    manifest = package / "model.yaml"
    manifest.write_text(manifest.read_text().partition("golden:")[0])
    daemon = start_daemon(with_package(package))
    with daemon.client() as client:
        client.until(lambda m: m["type"] == "detections" and any(o["label"] is None for o in m["objects"]))
    assert daemon.whole_log().count("its label is null") == 1


def test_golden_examples_that_fail_degrade_the_state_with_the_numbers(start_daemon: StartDaemon, package: Path) -> None:
    manifest = package / "model.yaml"
    text = manifest.read_text()
    head, golden = text.split("golden:")
    names = (package / "labels.txt").read_text().split()
    expected = next(name for name in names if name in golden)
    wrong = next(name for name in names if name != expected)
    manifest.write_text(head + "golden:" + golden.replace(expected, wrong))
    with start_daemon(with_package(package)).client() as client:
        status = client.status(lambda message: message["state"] == "degraded")
        golden_report = status["engines"]["m"]["golden"]
        assert golden_report["failed"] >= 1
        assert wrong in golden_report["failures"][0]
        assert any(character.isdigit() for character in golden_report["failures"][0])
        assert golden_report["failures"][0] in status["reason"]


def test_the_projects_own_golden_examples_are_reproduced(start_daemon: StartDaemon, root: Path) -> None:
    config = with_package(root / "models" / "shapes")
    with start_daemon(config).client() as client:
        status = client.status(lambda message: message["state"] == "ok")
        assert status["engines"]["m"]["golden"]["failed"] == 0
        assert status["engines"]["m"]["golden"]["passed"] >= 2
        hello_model = json.loads(json.dumps(shapes_model(root)))
        assert hello_model["package"].endswith("shapes")


def poisoned_package(folder: Path, operator: str, mean: float) -> Path:
    """A float "classifier" that is one operator: SQRT of what is negative gives NaN, EXP of a thousand infinity."""
    shape = Tensor("shape", [2], "int32", constant=np.array([1, 12], np.int32))
    picture, result = Tensor("picture", [1, 2, 2, 3], "float32"), Tensor("result", [1, 2, 2, 3], "float32")
    operators = [Operator(operator, [0], [1]), Operator("RESHAPE", [1, 3], [2])]
    folder.mkdir()
    tensors = [picture, result, Tensor("scores", [1, 12], "float32"), shape]
    Graph(tensors, [0], [2], operators).write(folder / "m.tflite")
    recipe = {"mean": [mean] * 3, "std": [1.0] * 3}
    package = {"name": "p", "task": "classification", "files": {"cpu": {"path": "m.tflite"}}, "input": recipe}
    (folder / "model.yaml").write_text(json.dumps({**package, "output": {"decoder": "scores"}, "license": "none"}))
    return folder


@pytest.mark.parametrize(("operator", "mean"), [("SQRT", 1000.0), ("EXP", -1000.0)])
def test_fault_31_poisoned_outputs_drop_the_frames_and_are_named(
    start_daemon: StartDaemon, tmp_path: Path, operator: str, mean: float
) -> None:
    """Every frame is dropped and counted, none is published as "nothing seen", and the reason is logged once."""
    package = poisoned_package(tmp_path / "package", operator, mean)
    daemon = start_daemon(with_package(package))
    with daemon.client() as client:
        dropped = 0
        while dropped < 10:
            message = client.message()
            assert message["type"] != "detections", "a poisoned output was published"
            if message["type"] == "status":
                dropped = message["cameras"]["front"]["dropped"].get("invalid_output", 0)
        assert message["state"] == "blind"
        assert "NaN or infinite" in message["cameras"]["front"]["reason"]
        assert "NaN or infinite" in message["reason"]
    assert daemon.whole_log().count("dropped:") == 1
