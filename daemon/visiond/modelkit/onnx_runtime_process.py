"""The child that asks the installed ONNX Runtime what it makes of a model: the file, or the runtime, may crash it.

Messages: {stage} before each step, then {version, missing}, and {loads} with null or the sentence of the refusal; or
{fact, remedy} where there is no runtime.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from visiond.doctor.child_side import begin
from visiond.engine.interpreter import open_interpreter
from visiond.engine.runtimes.onnx_operators import missing_operators, runtime_operators
from visiond.engine.runtimes.unavailable import RuntimeUnavailable
from visiond.errors import VisiondError
from visiond.modelkit.onnx_file import open_onnx


def main() -> None:
    """The order: `path` of the model."""
    order, tell = begin()
    path = Path(order["path"])
    try:
        tell(stage="asking ONNX Runtime for its operators")
        has = runtime_operators()
        with open_onnx(path) as model:
            missing = missing_operators(model, has)
            is_open = any(value.is_open for value in model.inputs)
        tell(version=has.version, missing=[asdict(each) for each in missing])
        if missing or is_open:  # what it is served at, the package says
            return
        tell(stage="loading the model")
        open_interpreter(path, 1, "onnx")
        tell(loads=None)
    except RuntimeUnavailable as error:
        tell(fact=error.fact, remedy=error.remedy)
    except VisiondError as error:
        tell(loads=str(error))


if __name__ == "__main__":
    main()
