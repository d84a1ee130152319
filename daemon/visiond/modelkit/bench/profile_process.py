"""The child that lets a runtime's own profiler tell what each operator takes; native code may end it.

Messages: {stage}, then {source, invokes}: for each invoke a list of [operator, microseconds, by a delegate].
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.doctor.child_side import begin
from visiond.engine.runtimes.installed import import_runtime, pip
from visiond.errors import VisiondError
from visiond.modelkit.bench.litert_profiler import ProfiledModel
from visiond.modelkit.onnx_model import is_channels_first
from visiond.modelkit.package import load_package
from visiond.modelkit.runner import Runner, Variant

_WARM_INVOKES: Final = 5
_MAX_INVOKES: Final = 200

Spans = list[tuple[str, int, bool]]


def main() -> None:
    """The order: the package's `folder`, `file` of it, `runtime` (litert or onnx), `threads`, `xnnpack`, `seconds`."""
    order, tell = begin()
    try:
        tell(stage="profiling")
        invokes = _onnx(order) if order["runtime"] == "onnx" else _litert(order)
    except VisiondError as error:
        tell(failed=str(error))
        return
    source = "ONNX Runtime's profiling" if order["runtime"] == "onnx" else "LiteRT's profiler"
    tell(source=source, invokes=invokes)


def _litert(order: dict[str, Any]) -> list[Spans]:
    path = load_package(Path(order["folder"])).file(order["file"])
    with ProfiledModel(path, order["threads"], order["xnnpack"]) as model:
        return _repeat(lambda: [(span.name, span.span_us, span.delegated) for span in model.invoke()], order["seconds"])


def _onnx(order: dict[str, Any]) -> list[Spans]:
    """ONNX Runtime writes its events to a file, those of the whole session."""
    runtime = import_runtime("onnxruntime", "ONNX Runtime", pip("install onnxruntime"))
    package = load_package(Path(order["folder"]))
    path = package.file(order["file"])
    with Runner(package, Variant("profile", path, "onnx", order["threads"])) as runner:
        picture = runner.interpreter.input.shape
    with tempfile.TemporaryDirectory(prefix="visiond-bench-") as folder:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = order["threads"]
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (tensor,) = session.get_inputs()
        feed = {tensor.name: _zeros(tensor, picture)}
        invokes = len(_repeat(lambda: session.run(None, feed), order["seconds"])) + _WARM_INVOKES
        events = json.loads(Path(session.end_profiling()).read_text())
    return split_events(events, invokes)[_WARM_INVOKES:]


def _zeros(tensor: Any, picture: Sequence[int]) -> NDArray[Any]:
    """An empty picture, [1, height, width, channels], as the file wants it."""
    batch, height, width, channels = picture
    shape = (batch, channels, height, width) if is_channels_first(tuple(tensor.shape)) else tuple(picture)
    kind = tensor.type.removeprefix("tensor(").removesuffix(")")
    return np.zeros(shape, {"float": "float32", "double": "float64"}.get(kind, kind))


def split_events(events: list[dict[str, Any]], invokes: int) -> list[Spans]:
    """Share the operators' events out to the invokes: each has as many, and they come in order."""
    spans = [
        (event["args"]["op_name"], int(event["dur"]), False)
        for event in events
        if event.get("cat") == "Node" and str(event.get("name", "")).endswith("_kernel_time")
    ]
    size = len(spans) // invokes
    return [spans[n * size : (n + 1) * size] for n in range(invokes)]


def _repeat(call: Callable[[], Any], seconds: float) -> list[Any]:
    for _ in range(_WARM_INVOKES):
        call()
    give_up_s = time.monotonic() + seconds
    done = [call()]
    while time.monotonic() < give_up_s and len(done) < _MAX_INVOKES:
        done.append(call())
    return done


if __name__ == "__main__":
    main()
