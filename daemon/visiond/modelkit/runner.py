"""Runner: one form of a package's model, on one runtime, with the very stages that frames go through.

The workshop's verbs compare variants by it. Native code may crash: verify/ and bench/ run them in processes that
may die.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from visiond.edgetpu.stick_lock import opening_turn
from visiond.engine.decode.decoder import Found, InvalidOutput
from visiond.engine.decode.of_package import package_decoder
from visiond.engine.geometry import Geometry
from visiond.engine.interpreter import Interpreter, Kernels, open_interpreter
from visiond.engine.preprocess import Preprocessor, Recipe
from visiond.engine.stick import claim_stick, delegate_order
from visiond.engine.tensors import dequantize
from visiond.messages import StickOrder
from visiond.modelkit.package import Package

MIN_SCORE: Final = 0.02
MAX_OBJECTS: Final = 300
_OPENING_PATIENCE_S: Final = 10.0  # for another process's stick

Picture = NDArray[np.uint8]  # (height, width, 3), BGR


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run a model: `path` is the file, a package's own or another; `name` is what a report calls it.

    `runtime`: litert, tflite-runtime, pycoral, onnx or auto. `kernels` (of TFLite, on the CPU): xnnpack, builtin
    (XNNPACK off) or reference. `stick` is the Edge TPU to use, None for the CPU.
    """

    name: str
    path: Path
    runtime: str = "auto"
    threads: int = 1
    kernels: Kernels = "xnnpack"
    stick: StickOrder | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """What one picture gave: `outputs` as the interpreter has them, and `found`, best first.

    `problem` says why nothing could be decoded; `found` is empty then.
    """

    outputs: list[NDArray[Any]]
    found: Found
    preprocess_ms: float
    invoke_ms: float
    decode_ms: float
    problem: str | None = None


class Runner:
    """A loaded variant. Close it, or use it in a `with`: an Edge TPU stays locked until then."""

    def __init__(
        self, package: Package, variant: Variant, min_score: float = MIN_SCORE, max_objects: int = MAX_OBJECTS
    ) -> None:
        """Raises VisiondError in words: ModelError, RuntimeUnavailable, DelegateFailed, StickBusy."""
        self.package = package
        self.variant = variant
        with ExitStack() as failing:
            lock = claim_stick(variant.stick)
            if lock is not None:
                failing.callback(lock.release)
            self.interpreter = _open(variant, package.input.size)
            self._decoder = package_decoder(package, self.interpreter, min_score, max_objects)
            self._preprocessor = Preprocessor(package.input, self.interpreter.input)
            failing.pop_all()
        self._lock = lock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the stick back."""
        if self._lock is not None:
            self._lock.release()

    def set_thresholds(self, min_score: float, max_objects: int) -> None:
        """Decode with others from now on."""
        self._decoder = package_decoder(self.package, self.interpreter, min_score, max_objects)

    def preprocessor(self, recipe: Recipe) -> Preprocessor:
        """Return one for another recipe than the package's, for `run`. Raises ModelError where it does not fit."""
        return Preprocessor(recipe, self.interpreter.input)

    def tensor(self, picture: Picture) -> NDArray[Any]:
        """Return the input tensor that a picture becomes: the input's shape and dtype."""
        values = np.empty(self.interpreter.input.shape, self.interpreter.input.dtype)
        self._preprocessor.write(picture, values)
        return values

    def run(self, picture: Picture, preprocessor: Preprocessor | None = None) -> Run:
        """Prepare (by the package's recipe, or by `preprocessor`), invoke, decode.

        Raises RuntimeError when the invoke fails.
        """
        began_ns = time.perf_counter_ns()
        geometry = (preprocessor or self._preprocessor).write(picture, self.interpreter.input_view())
        return self._invoke(geometry, began_ns)

    def run_tensor(self, values: NDArray[Any], geometry: Geometry | None = None) -> Run:
        """Invoke on values of the input's shape and dtype. Raises RuntimeError when the invoke fails."""
        began_ns = time.perf_counter_ns()
        self.interpreter.set_input(values)
        return self._invoke(geometry or Geometry(), began_ns)

    def dequantized(self, outputs: list[NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the real values of what an invoke gave, each with its own output's parameters."""
        return [dequantize(raw, info) for raw, info in zip(outputs, self.interpreter.outputs, strict=True)]

    def _invoke(self, geometry: Geometry, began_ns: int) -> Run:
        prepared_ns = time.perf_counter_ns()
        self.interpreter.invoke()
        invoked_ns = time.perf_counter_ns()
        outputs = self.interpreter.read_outputs()
        found: Found = ()
        problem = None
        try:
            found = self._decoder(outputs, geometry)
        except InvalidOutput as error:
            problem = str(error)
        decoded_ns = time.perf_counter_ns()
        spans_ms = ((prepared_ns - began_ns) / 1e6, (invoked_ns - prepared_ns) / 1e6, (decoded_ns - invoked_ns) / 1e6)
        return Run(outputs, found, *spans_ms, problem)


def _open(variant: Variant, size: tuple[int, int] | None) -> Interpreter:
    if variant.stick is None:
        return open_interpreter(variant.path, variant.threads, variant.runtime, kernels=variant.kernels, size=size)
    with opening_turn(_OPENING_PATIENCE_S, Path(variant.stick.sysfs)):
        order = delegate_order(variant.stick)
        return open_interpreter(variant.path, variant.threads, variant.runtime, order, size=size)
