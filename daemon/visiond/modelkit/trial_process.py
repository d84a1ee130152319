"""The child that loads one model on the CPU and proves its golden examples: the file, or the runtime, may crash it.

Messages: {stage} before each step, then {golden} with how many were reproduced, or {failed} with a sentence.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from visiond.doctor.child_side import begin
from visiond.engine.golden import prove
from visiond.engine.interpreter import open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.errors import VisiondError
from visiond.modelkit.package import load_package

_THREADS: Final = 1  # a daemon may be at work beside it


def main() -> None:
    """The order: `folder` of the package, `file` of it (cpu or onnx), `runtime` as configured."""
    order, tell = begin()
    try:
        tell(stage="loading the model")
        package = load_package(Path(order["folder"]))
        path, size = package.file(order["file"]), package.input.size
        interpreter = open_interpreter(path, _THREADS, order["runtime"], size=size)
        preprocessor = Preprocessor(package.input, interpreter.input)
        tell(stage="running the golden examples")
        report = prove(package, interpreter, preprocessor)
    except VisiondError as error:
        tell(failed=str(error))
        return
    except RuntimeError as error:  # an invoke's; its text is the runtime's own
        tell(failed=" ".join(str(error).split()))
        return
    tell(golden=report.passed, failures=list(report.failures), runtime=interpreter.runtime)


if __name__ == "__main__":
    main()
