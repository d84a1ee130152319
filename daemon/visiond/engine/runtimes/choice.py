"""Which runtime runs a model, and why that one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from visiond.engine.runtimes.chosen import Chosen, OnVersions
from visiond.engine.runtimes.installed import pip
from visiond.engine.runtimes.unavailable import RuntimeUnavailable
from visiond.errors import ModelError

if TYPE_CHECKING:
    from visiond.engine.edgetpu import DelegateOrder
    from visiond.engine.interpreter import Interpreter
    from visiond.engine.runtimes.kernels import Kernels
    from visiond.engine.runtimes.model_file import PictureSize
    from visiond.engine.runtimes.tflite_libraries import TfliteLibrary

AUTO: Final = "auto"
ONNX: Final = "onnx"
ON_CPU: Final = ("litert", "tflite-runtime")  # LiteRT is 3 to 7 times as fast on x86-64
# With a delegate, what libedgetpu's builds were made for comes first: Google's 16.0 pairs with TFLite up to 2.11.1,
# feranick's 16.0TF2.17 with tflite-runtime 2.11.1 to 2.17.1; with LiteRT 2 nobody has shown one at work.
WITH_DELEGATE: Final = ("pycoral", "tflite-runtime", "litert")
RUNTIMES: Final = (*ON_CPU, "pycoral", ONNX)


def open_with(
    path: Path,
    threads: int,
    runtime: str,
    delegate: DelegateOrder | None,
    avoid: Collection[str],
    on_chosen: Chosen,
    kernels: Kernels = "xnnpack",
    size: PictureSize | None = None,
) -> Interpreter:
    """See `visiond.engine.interpreter.open_interpreter`."""
    passed_over: list[str] = []
    for name in _candidates(path, runtime, delegate):
        try:
            if name in avoid:
                raise RuntimeUnavailable(f"{name} is set aside because it crashed", "see `visiond status`")
            why, on_versions = _why(runtime, passed_over), partial(on_chosen, name)
            return _open(name, path, threads, delegate, why, on_versions, kernels, size)
        except RuntimeUnavailable as error:
            if runtime != AUTO:
                raise
            passed_over.append(error.fact)
            cause = error
    raise RuntimeUnavailable(
        f"no runtime can run {path.name}: {'; '.join(passed_over)}",
        pip("install onnxruntime" if path.suffix == ".onnx" else "install ai-edge-litert"),
    ) from cause


def _candidates(path: Path, runtime: str, delegate: DelegateOrder | None) -> tuple[str, ...]:
    if runtime not in (AUTO, *RUNTIMES):
        raise ValueError(f"no such runtime: {runtime!r}; one of {', '.join((AUTO, *RUNTIMES))}")
    is_onnx = path.suffix == ".onnx"
    if is_onnx and delegate is not None:
        raise ModelError(f"{path.name} cannot run on the Edge TPU, which takes TFLite only; give it as files.onnx")
    if runtime == AUTO:
        return (ONNX,) if is_onnx else ON_CPU if delegate is None else WITH_DELEGATE
    if (runtime == ONNX) != is_onnx:
        remedy = "runtime: onnx" if is_onnx else "a TFLite runtime"
        raise ModelError(f"{path.name} cannot run with runtime: {runtime}; set {remedy}, or runtime: auto")
    return (runtime,)


def _why(runtime: str, passed_over: list[str]) -> str:
    if runtime != AUTO:
        return f"runtime: {runtime} is configured"
    return f"auto: {'; '.join(passed_over) or 'the first choice for this model'}"


def _open(
    name: str,
    path: Path,
    threads: int,
    delegate: DelegateOrder | None,
    why: str,
    on_versions: OnVersions,
    kernels: Kernels,
    size: PictureSize | None,
) -> Interpreter:
    """Import what this runtime needs, and nothing of another one."""
    if name == ONNX:
        from visiond.engine.runtimes.onnx import OnnxInterpreter

        return OnnxInterpreter(path, threads, why, on_versions, size)
    from visiond.engine.runtimes import tflite_libraries
    from visiond.engine.runtimes.tflite import TfliteInterpreter

    libraries: Mapping[str, Callable[[], TfliteLibrary]] = {
        "litert": tflite_libraries.litert,
        "tflite-runtime": tflite_libraries.tflite_runtime,
        "pycoral": tflite_libraries.pycoral,
    }
    return TfliteInterpreter(path, threads, libraries[name](), why, on_versions, delegate, kernels, size)
