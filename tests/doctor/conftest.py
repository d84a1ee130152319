"""A package with twins, a simulated stick that answers as the CPU does, and an examination of both."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edgetpu_sim.simulator import Simulator
from visiond.cameras.pictures import read_picture
from visiond.doctor.examination import Examination
from visiond.doctor.models import read_setup
from visiond.doctor.report import Finding
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.modelkit.package import load_package

COMPILED = b"edgetpu-custom-op"  # behind a model's end it changes nothing, and it is what a compiled one holds


def ignore(_: str) -> None:
    """Nobody watches the progress."""


@dataclass
class Place:
    """A folder with a configuration; `settings` are of its one model, and may be changed before it is examined."""

    folder: Path
    package: Path
    simulator: Simulator
    settings: dict[str, Any] = field(default_factory=dict)
    cameras: dict[str, Any] = field(default_factory=dict)
    edgetpu: dict[str, Any] = field(default_factory=dict)

    @property
    def socket(self) -> Path:
        return self.folder / "v.sock"

    def write(self) -> Path:
        path = self.folder / "visiond.yaml"
        model = {"package": str(self.package), "accelerator": "prefer", "threads": 1, **self.settings}
        cameras = self.cameras or {"front": {"source": "synthetic:shapes", "model": "objects"}}
        path.write_text(
            json.dumps(
                {
                    "socket": {"path": str(self.socket)},
                    "cameras": cameras,
                    "models": {"objects": model},
                    "edgetpu": {**self.simulator.config(), **self.edgetpu},
                }
            )
        )
        return path

    def examine(
        self, seconds: float | None = None, person: Any = None, deadline_s: float = 30.0
    ) -> dict[tuple[str, str], Finding]:
        """Every finding by group and name."""
        setup = read_setup(self.write())
        examination = Examination(setup, self.socket, seconds, person, ignore, deadline_s)
        return {(finding.group, finding.name): finding for finding in examination.findings()}


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory, root: Path) -> tuple[Path, dict[str, bytes]]:
    """The built-in model as a package with files.edgetpu and one golden example, and the CPU's outputs for that."""
    built_in = root / "models" / "shapes"
    folder = tmp_path_factory.mktemp("packages") / "twins"
    folder.mkdir()
    for name in ("shapes.tflite", "labels.txt", "golden1.png"):
        (folder / name).write_bytes((built_in / name).read_bytes())
    (folder / "shapes_edgetpu.tflite").write_bytes((built_in / "shapes.tflite").read_bytes() + COMPILED)
    lines = (built_in / "model.yaml").read_text().splitlines()
    files = "  cpu: {path: shapes.tflite}\n  edgetpu: {path: shapes_edgetpu.tflite}"
    kept = [files if line.startswith("  cpu:") else line for line in lines if "golden2" not in line]
    (folder / "model.yaml").write_text("\n".join(line for line in kept if "golden3" not in line) + "\n")
    package = load_package(folder)
    interpreter = open_interpreter(package.file("cpu"), 1)
    picture, _ = read_picture(folder / "golden1.png")
    Preprocessor(package.input, interpreter.input).write(picture, interpreter.input_view())
    interpreter.invoke()
    outputs = zip(interpreter.outputs, interpreter.read_outputs(), strict=True)
    return folder, {info.name: array.tobytes() for info, array in outputs}


@pytest.fixture
def place(
    short_folder: Path, twins: tuple[Path, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch, root: Path
) -> Iterator[Place]:
    """One stick in the bootloader, which computes what the CPU does for the golden picture."""
    package, outputs = twins
    monkeypatch.setenv("PYTHONPATH", str(root / "daemon"))
    with Simulator(short_folder / "sticks") as simulator:
        for name, value in simulator.environment().items():
            monkeypatch.setenv(name, value)
        simulator.stick(0).claim("all")
        simulator.stick(0).output_set(outputs)
        yield Place(short_folder, package, simulator)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="vd-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)
