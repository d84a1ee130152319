"""The child that imports the runtimes and loads the library to ask for their versions: either may crash.

It opens no stick. Messages: {stage} before each, then {name, version} or {name, fact, remedy}.
"""

from __future__ import annotations

from pathlib import Path

from visiond.doctor.child_side import Tell, begin
from visiond.doctor.report import split
from visiond.doctor.software import LIBRARY, ONNX
from visiond.engine.edgetpu import delegate_version
from visiond.engine.interpreter import open_interpreter
from visiond.engine.runtimes.installed import import_runtime, pip, version_of
from visiond.engine.runtimes.unavailable import RuntimeUnavailable
from visiond.errors import VisiondError


def main() -> None:
    """The order: `names` to look at, `model` a TFLite file to construct an interpreter with, `library` a path."""
    order, tell = begin()
    for name in order["names"]:
        tell(stage=name)
        try:
            tell(name=name, version=_version(name, order["model"], order["library"], tell))
        except RuntimeUnavailable as error:
            tell(name=name, fact=error.fact, remedy=error.remedy)
        except VisiondError as error:
            fact, remedy = split(str(error), "install it again")
            tell(name=name, fact=fact, remedy=remedy)


def _version(name: str, model: str, library: str, tell: Tell) -> str:
    if name == LIBRARY:
        return delegate_version(Path(library)) or "a delegate without a version"
    if name == ONNX:
        module = import_runtime("onnxruntime", "onnxruntime", pip("install onnxruntime"))
        return f"onnxruntime {version_of('onnxruntime', module)}"
    # That it can be imported does not mean that it works: one that wants numpy < 2 fails when it is constructed.
    return open_interpreter(
        Path(model), 1, name, on_chosen=lambda _, versions: tell(stage=name, versions=versions)
    ).runtime


if __name__ == "__main__":
    main()
