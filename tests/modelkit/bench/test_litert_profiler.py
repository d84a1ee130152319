"""The operators' times from LiteRT itself, in a process of its own: a signature that is wrong would end the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from visiond.modelkit.bench.profile import profile
from visiond.modelkit.bench.report import Subject
from visiond.modelkit.inspection import inspect_file

pytestmark = pytest.mark.slow

CODE = """
import json, statistics, sys, time
from pathlib import Path
from visiond.modelkit.bench.litert_profiler import ProfiledModel
path, threads, xnnpack = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "1"
with ProfiledModel(path, threads, xnnpack) as model:
    runs = []
    for _ in range(25):
        began = time.perf_counter()
        spans = model.invoke()
        runs.append((sum(span.span_us for span in spans) / 1000, (time.perf_counter() - began) * 1000))
names = [span.name for span in spans]
print(json.dumps({"names": names, "delegated": [span.delegated for span in spans], "runs": runs}))
"""


def profiled(root: Path, path: Path, threads: int, xnnpack: bool) -> dict[str, Any]:
    command = [sys.executable, "-c", CODE, str(path), str(threads), str(int(xnnpack))]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_without_xnnpack_its_operators_are_those_of_the_file(root: Path) -> None:
    path = root / "models" / "shapes" / "shapes.tflite"
    found = profiled(root, path, 1, xnnpack=False)
    counted = {name: found["names"].count(name) for name in set(found["names"])}
    assert counted == dict(inspect_file(path, None).operators)
    assert not any(found["delegated"])


@pytest.mark.assets
@pytest.mark.parametrize("model", ["coco_ssd_mobilenet_v1_1.0_quant", "movenet_single_pose_lightning_ptq"])
@pytest.mark.parametrize("xnnpack", [True, False])
def test_the_operators_make_up_the_invoke(root: Path, assets: Path, model: str, xnnpack: bool) -> None:
    """COCO SSD's outputs have no shape in the file; MoveNet's operators are partly XNNPACK's, partly not."""
    found = profiled(root, assets / "models" / f"{model}.tflite", 1, xnnpack)
    shares = sorted(operators_ms / invoke_ms for operators_ms, invoke_ms in found["runs"])
    assert 0.5 < shares[-1] <= 1.001  # the rest is buffers, and what lies between two operators; the quietest run
    assert any(found["delegated"]) == xnnpack


@pytest.mark.assets
def test_what_cannot_be_profiled_is_a_remark(assets: Path, tmp_path: Path) -> None:
    (tmp_path / "tpu.tflite").symlink_to(assets / "models" / "mobilenet_v1_0.25_128_quant_edgetpu.tflite")
    (tmp_path / "model.yaml").write_text(
        "name: compiled\ntask: classification\nfiles: {cpu: {path: tpu.tflite}}\n"
        "input: {mean: [0, 0, 0], std: [1, 1, 1]}\noutput: {decoder: scores}\n"
    )
    found = profile(tmp_path, Subject("cpu", "litert", 1, "xnnpack", None), 0.1)
    assert found.operators == ()
    assert found.remark is not None
    assert "LiteRT's profiler does not take this model" in found.remark
