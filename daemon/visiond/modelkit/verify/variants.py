"""Which ways there are to run a package here, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from visiond.errors import DataError, NoInputError, UnavailableError
from visiond.messages import StickOrder
from visiond.modelkit.onnx_file import open_onnx
from visiond.modelkit.package import Package
from visiond.modelkit.runner import Variant
from visiond.modelkit.tflite_file import open_model

_MODULES: Final = {"litert": "ai_edge_litert", "tflite-runtime": "tflite_runtime", "onnx": "onnxruntime"}
ONNX: Final = "onnx"
_ON_CPU: Final = ("litert", "tflite-runtime")


def reference_of(package: Package, given: Path | None) -> Variant:
    """Return what all variants are compared with: `given`, else the package's own float model, else plain kernels.

    Its own float model is files.onnx, where files.cpu is quantized, or where there is no files.cpu; the plain kernels
    are those of files.cpu's runtime. Raises NoInputError, DataError, UnavailableError in words.
    """
    runtimes = installed()
    if given is not None:
        if not given.is_file():
            raise NoInputError(f"{given} does not exist; give --reference the float .tflite or .onnx of this model")
        runtime = ONNX if given.suffix == ".onnx" else "auto"
        _require_model(given, runtime)
        return Variant(f"reference {given.name}", given.absolute(), runtime, kernels="builtin")
    is_alone = package.files.cpu is None
    if package.files.onnx is not None and (is_alone or (ONNX in runtimes and _is_quantized(package.file("cpu")))):
        return Variant("reference onnx", package.file("onnx"), ONNX)
    if package.files.cpu is not None:
        return Variant("reference kernels", package.file("cpu"), _first(runtimes, _ON_CPU), kernels="reference")
    raise UnavailableError(
        f"{package.name} has files.edgetpu alone, and nothing to compare it with; add files.cpu, the model it was "
        "compiled from, or give --reference"
    )


def variants_of(package: Package, stick: StickOrder | None) -> Iterator[Variant]:
    """Yield each way to run the package here: file, runtime, XNNPACK on and off, ONNX, and the Edge TPU `stick`."""
    runtimes = installed()
    for runtime in _ON_CPU:
        if runtime in runtimes and package.files.cpu is not None:
            path = package.file("cpu")
            yield Variant(f"cpu {runtime}", path, runtime)
            yield Variant(f"cpu {runtime} no XNNPACK", path, runtime, kernels="builtin")
    if package.files.onnx is not None:
        yield Variant("onnx", package.file("onnx"), ONNX)
    if stick is not None:
        yield Variant(f"edgetpu {stick.device}", package.file("edgetpu"), "auto", stick=stick)


def installed() -> tuple[str, ...]:
    """Return the runtimes that can be imported; whether they work shows when they run."""
    return tuple(runtime for runtime, module in _MODULES.items() if find_spec(module) is not None)


def _require_model(given: Path, runtime: str) -> None:
    """Say at once what else it is (.keras, say); the runtime would name bytes only, and after the first minute."""
    try:
        with open_onnx(given) if runtime == ONNX else open_model(given):
            pass
    except DataError as error:
        raise DataError(f"--reference takes the float .tflite or .onnx: {error}") from error


def _is_quantized(path: Path) -> bool:
    """Whether a .tflite file's constants are quantized: most operators have a tensor with a scale."""
    with open_model(path) as model:
        scaled = sum(bool(tensor.scales) for tensor in model.tensors)
        return scaled * 2 > len(model.tensors)


def _first(runtimes: tuple[str, ...], wanted: tuple[str, ...]) -> str:
    return next((runtime for runtime in wanted if runtime in runtimes), "auto")
