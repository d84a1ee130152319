"""Interpreter: one model on one runtime, behind the few calls that the engine needs.

runtimes/tflite.py has the one for TFLite models (LiteRT, tflite-runtime, pycoral; on the CPU or with a delegate),
runtimes/onnx.py the one for ONNX. A new runtime offers these members and gets a line in runtimes/choice.py.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from visiond.engine.edgetpu import DelegateFailed, DelegateOrder
from visiond.engine.runtimes.choice import open_with
from visiond.engine.runtimes.chosen import Chosen, untold
from visiond.engine.runtimes.kernels import Kernels
from visiond.engine.runtimes.unavailable import RuntimeUnavailable
from visiond.engine.tensors import TensorInfo

__all__ = ["DelegateFailed", "DelegateOrder", "Interpreter", "Kernels", "RuntimeUnavailable", "open_interpreter"]


class Interpreter(Protocol):
    """A loaded model with its tensors allocated. Not thread-safe but for `invoke`, which releases the GIL.

    The parsers check a file's structure, yet a damaged file may still crash them or the kernels, and an accelerator's
    library may abort or hang: load models only in a process that may die.
    """

    @property
    def runtime(self) -> str:
        """The runtime's name and version."""

    @property
    def why(self) -> str:
        """Why this runtime was taken, in one short sentence."""

    @property
    def engine(self) -> str:
        """What really computes: cpu or edgetpu; cpu too where a delegate was loaded and took no operator."""

    @property
    def library(self) -> str | None:
        """The delegate library's own version text; None without a delegate, or where it tells none."""

    @property
    def remark(self) -> str | None:
        """What a user should know of this model on this engine, with the remedy."""

    @property
    def input(self) -> TensorInfo:
        """The picture: [1, height, width, channels], whatever the order is in the file."""

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """The outputs, in the file's order."""

    def input_view(self) -> NDArray[Any]:
        """Return the input's own memory, of its shape and dtype, to be filled in place.

        A TFLite runtime refuses to invoke while any view of its memory lives: pass this straight on, as in
        `preprocessor.write(frame, interpreter.input_view())`, or `del` it.
        """

    def set_input(self, values: NDArray[Any]) -> None:
        """Copy `values`, of the input's shape and dtype, into the input tensor."""

    def invoke(self) -> None:
        """Run the model once; raises RuntimeError when the runtime, an operator or the delegate fails."""

    def read_outputs(self) -> list[NDArray[Any]]:
        """Return each output in the order of `outputs`, quantized as it is; the next invoke does not touch them.

        Raises RuntimeError when an output has another shape than it was announced with, or none.
        """


def open_interpreter(
    path: Path,
    threads: int,
    runtime: str = "auto",
    delegate: DelegateOrder | None = None,
    avoid: Collection[str] = (),
    on_chosen: Chosen = untold,
    kernels: Kernels = "xnnpack",
    size: tuple[int, int] | None = None,
) -> Interpreter:
    """Load the model at `path` with `threads` threads on the CPU, and on `delegate` where one is ordered.

    `runtime`: litert, tflite-runtime, pycoral, onnx, or auto: the first one that is installed, works, and is not in
    `avoid`. `on_chosen` is called with the runtime's name, as in this list, and the versions in words, before anything
    that may crash: with the runtime's before a model or a library is loaded, again with the delegate library's before
    the stick is opened. `kernels` compute what is left to the CPU: xnnpack, or, for comparisons, builtin (XNNPACK off)
    or reference (plain and slow); ONNX Runtime has its own. Raises ModelError for the model's fault, which is
    permanent, and DelegateFailed or RuntimeUnavailable for the accelerator's and the runtime's, which may be mended
    while we run; all in words.
    """
    return open_with(path, threads, runtime, delegate, avoid, on_chosen, kernels, size)
