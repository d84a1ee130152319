"""libedgetpu and the runtimes: what is installed, in which version, and whether it works in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from visiond.config import Config
from visiond.doctor.child import Ended, Message, converse
from visiond.doctor.models import Setup
from visiond.doctor.report import Finding, State, ok, skipped, wrong
from visiond.edgetpu.library import find_library, library_problem
from visiond.engine.runtimes.installed import pip
from visiond.modelkit.package import Package
from visiond.places import default_models_path

PROBE_DEADLINE_S: Final = 40.0  # importing a runtime takes some seconds on a slow card
_MODULE: Final = "visiond.doctor.software_process"
LIBRARY: Final = "library"  # names for it, beside those of the runtimes
ONNX: Final = "onnx"
AUTO: Final = "auto"
_TFLITE: Final = ("litert", "tflite-runtime", "pycoral")


def software_findings(
    setup: Setup, library: str, stick_is_there: bool, deadline_s: float = PROBE_DEADLINE_S
) -> Iterator[Finding]:
    """Look at the library's file, then ask library and runtimes for their versions."""
    found = find_library(library)
    problem = library_problem(found or Path(library))
    names = [*_TFLITE, ONNX] + ([LIBRARY] if problem is None else [])
    answers = _ask(names, setup, found, deadline_s)
    if problem is not None:
        yield _library_problem(library, problem, setup, stick_is_there)
    else:
        yield _library(found, answers[LIBRARY])
    config = setup.config
    needed = {} if config is None else _needed(config, setup.packages)
    for name in (*_TFLITE, ONNX):
        yield _runtime(name, answers[name], needed.get(name))
    if not any("version" in answers[name] for name in _TFLITE):
        cause = "no runtime for TFLite models works here"
        yield wrong("runtimes", "TFLite", "fail", "none", cause, pip("install ai-edge-litert"))


def _needed(config: Config, packages: Mapping[str, Package]) -> dict[str, str]:
    """Return what needs each runtime: a model that names it, or one that has nothing else for the CPU than ONNX."""
    needed: dict[str, str] = {}
    for name, package in packages.items():
        settings = config.models[name]
        # A package without files.onnx lacks that, whatever is installed: group models says so.
        if settings.runtime != ONNX or package.files.onnx is not None:
            needed[settings.runtime] = f"models.{name}.runtime: {settings.runtime}"
        if settings.runtime == AUTO and settings.accelerator != "required" and package.cpu_file(AUTO) == ONNX:
            needed[ONNX] = f"models.{name} has files.onnx for the CPU, and no files.cpu"
    return needed


def _ask(names: Sequence[str], setup: Setup, library: Path | None, deadline_s: float) -> dict[str, Message]:
    """Return the answer for each name; a child that dies over one is started again for the rest."""
    answers: dict[str, Message] = {}
    left = list(names)
    while left:
        stages: list[str] = []
        order = {"names": left, "model": str(_any_model(setup)), "library": str(library)}

        def hear(message: Message, stages: list[str] = stages) -> None:
            if "stage" in message:
                stages.append(message["stage"])
            else:
                answers[message["name"]] = message

        ended = converse(_MODULE, order, deadline_s, hear)
        left = [name for name in left if name not in answers]
        if left:
            culprit = stages[-1] if stages and stages[-1] in left else left[0]
            answers[culprit] = _crashed(culprit, ended)
            left.remove(culprit)
    return answers


def _crashed(name: str, ended: Ended) -> dict[str, Any]:
    said = f": {ended.words}" if ended.words else ""
    what = "the library" if name == LIBRARY else name
    return {
        "name": name,
        "fact": f"the process that loaded {what} {ended.how}{said}",
        "remedy": f"install {what} again",
    }


def _any_model(setup: Setup) -> Path:
    """A small TFLite file, to construct an interpreter with: the built-in model's, else one of the configuration's."""
    built_in = default_models_path() / "shapes" / "shapes.tflite"
    if built_in.exists():
        return built_in
    given = [package.file("cpu") for package in setup.packages.values() if package.files.cpu is not None]
    return given[0] if given else built_in


def _library(path: Path | None, answer: Mapping[str, Any]) -> Finding:
    if "version" in answer:
        return ok("library", "libedgetpu", f"{path}: {answer['version']}", path=str(path), version=answer["version"])
    return wrong("library", "libedgetpu", "fail", str(path), answer["fact"], answer["remedy"], path=str(path))


def _library_problem(library: str, problem: str, setup: Setup, stick_is_there: bool) -> Finding:
    cause, _, remedy = problem.partition(": ")  # as `library_problem` writes it
    if not setup.wanted and not stick_is_there:
        return skipped("library", "libedgetpu", f"{cause}; no stick is there, and no model wants one")
    needed = stick_is_there or any(model.is_required for model in setup.wanted)
    state: State = "fail" if needed else "warn"
    return wrong("library", "libedgetpu", state, f"{library} cannot be used", cause, remedy)


def _runtime(name: str, answer: Mapping[str, Any], needed: str | None) -> Finding:
    """`needed` says what cannot do without it."""
    if "version" in answer:
        return ok("runtimes", name, f"{answer['version']} works", version=answer["version"])
    if needed is not None:
        return wrong("runtimes", name, "fail", needed, answer["fact"], answer["remedy"])
    if answer["fact"].endswith("is not installed"):
        return skipped("runtimes", name, "not installed")
    return wrong("runtimes", name, "warn", "installed, and does not work", answer["fact"], answer["remedy"])
