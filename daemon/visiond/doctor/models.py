"""Configuration and model packages: what `visiond check` finds, and what only shows when an accelerator fails."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from visiond.config import Config, Model, load_config
from visiond.doctor.report import Finding, State, ok, split, wrong
from visiond.edgetpu.device_name import DeviceName, parse_devices
from visiond.errors import VisiondError
from visiond.modelkit.package import EDGETPU_OPERATOR, Package, load_package


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model that is to run on a stick: its package has files.edgetpu, its policy allows it."""

    name: str
    settings: Model
    package: Package

    @property
    def devices(self) -> tuple[DeviceName, ...]:
        """The sticks that it may use."""
        return parse_devices(self.settings.device)

    @property
    def is_required(self) -> bool:
        """Whether nothing runs without a stick."""
        return self.settings.accelerator == "required"


@dataclass(slots=True)
class Setup:
    """What could be read, and what was wrong with the rest; `config` is None where the file cannot be used."""

    path: Path
    config: Config | None = None
    packages: dict[str, Package] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The models that want a stick."""
        if self.config is None:
            return ()
        each = [Wanted(name, self.config.models[name], package) for name, package in self.packages.items()]
        return tuple(w for w in each if w.settings.accelerator != "never" and w.package.files.edgetpu is not None)


def read_setup(path: Path) -> Setup:
    """Read the configuration and every package that it uses; nothing is raised, all of it is findings."""
    setup = Setup(path)
    try:
        setup.config = load_config(path)
    except VisiondError as error:
        remedy = f"correct it, then run visiond check -c {path}"
        setup.findings += [
            wrong("configuration", "file", "fail", f"{path} cannot be used", line, remedy)
            for line in str(error).splitlines()
        ]
        return setup
    count = len(setup.config.cameras)
    setup.findings.append(ok("configuration", "file", f"{path}: no errors, {count} camera{'s' if count != 1 else ''}"))
    for name in sorted({camera.model for camera in setup.config.cameras.values()}):
        package, found = _model(name, setup.config)
        setup.findings += found
        if package is not None:
            setup.packages[name] = package
    return setup


def _model(name: str, config: Config) -> tuple[Package | None, list[Finding]]:
    settings, title = config.models[name], f"model {name}"
    try:
        package = load_package(config.models.folder(name))
        package.verify_files()
    except VisiondError as error:
        seen = f"{config.models.folder(name)} cannot be used"
        remedy = f"correct the package, or name another one as models.{name}.package"
        return None, [wrong("models", title, "fail", seen, line, remedy) for line in str(error).splitlines()]
    files = package.files
    present = [key for key in ("cpu", "edgetpu", "onnx") if getattr(files, key) is not None]
    seen = f"{package.name}, files: {', '.join(present)}; accelerator: {settings.accelerator}"
    problems = list(_file_problems(title, seen, package, settings))
    problems += list(_golden_problems(title, seen, package))
    if all(problem.state != "fail" for problem in problems):
        problems += list(_remarks(title, seen, package))
    return package, problems or [ok("models", title, seen, files=present, accelerator=settings.accelerator)]


def _file_problems(title: str, seen: str, package: Package, settings: Model) -> Iterator[Finding]:
    if missing := package.missing_files(settings.accelerator, settings.runtime):
        yield wrong("models", title, "fail", seen, missing, "add the file, or change the model's accelerator")
    elif settings.accelerator == "prefer" and package.files.edgetpu is None:
        cause = "accelerator: prefer, and the package has no files.edgetpu: it runs on the CPU"
        remedy = "compile files.cpu with edgetpu_compiler and add it as files.edgetpu, or set accelerator: never"
        yield wrong("models", title, "warn", seen, cause, remedy)
    if package.files.edgetpu is not None and not _is_compiled(package.file("edgetpu")):
        path = package.file("edgetpu")
        cause = f"{path} holds no operator for the Edge TPU: it would run on the CPU"
        state: State = "fail" if settings.accelerator == "required" else "warn"
        remedy = f"edgetpu_compiler {package.file('cpu') if package.files.cpu else path}, and name its output there"
        yield wrong("models", title, state, seen, cause, remedy)


def _golden_problems(title: str, seen: str, package: Package) -> Iterator[Finding]:
    for line in package.golden_problems():
        yield wrong("models", title, "warn", seen, line, f"put the picture into {package.folder}")
    if not package.golden:
        cause = "the package has no golden examples, so that nothing shows whether a stick computes correctly"
        remedy = f"add a picture and what must be found in it as golden: in {package.folder / 'model.yaml'}"
        yield wrong("models", title, "warn", seen, cause, remedy)


def _remarks(title: str, seen: str, package: Package) -> Iterator[Finding]:
    """What works and is probably not meant; `visiond models inspect` shows the numbers behind it."""
    for line in package.remark_lines():
        cause, remedy = split(line, f"visiond models inspect {package.folder}/…")
        yield wrong("models", title, "warn", seen, cause, remedy)


def _is_compiled(path: Path) -> bool:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(EDGETPU_OPERATOR) >= 0
