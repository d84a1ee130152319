"""LoadedModel: one model of an engine worker with everything that its frames pass through, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.engine.decode.decoder import Decoder
from visiond.engine.interpreter import Interpreter
from visiond.engine.preprocess import Preprocessor

_SMOOTHING: Final = 0.2  # weight of the last frame in the running means


@dataclass(slots=True)
class LoadedModel:
    """A model that is ready for frames. The running means in nanoseconds are the pipeline's to keep.

    `invoke_ns` is what an invoke takes when the model was the last one to run; `swap_ns` what another one before adds.
    `failed` invokes and `invalid` outputs are counted in a row, for each model: another one on the stick may do well.
    """

    name: str
    task: str
    preprocessor: Preprocessor
    interpreter: Interpreter
    decoder: Decoder
    invoke_ns: float
    swap_ns: float = 0.0
    prepare_ns: float = 0.0
    failed: int = 0
    invalid: int = 0
    staging: NDArray[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.staging = np.empty(self.interpreter.input.shape, self.interpreter.input.dtype)

    def count_prepare(self, span_ns: int) -> None:
        """A frame took this long to be prepared."""
        self.prepare_ns += _SMOOTHING * (span_ns - self.prepare_ns)

    def count_invoke(self, span_ns: int, swapped: bool) -> None:
        """An invoke took this long; `swapped`: another model had run before."""
        if swapped:
            self.swap_ns += _SMOOTHING * (max(0.0, span_ns - self.invoke_ns) - self.swap_ns)
        else:
            self.invoke_ns += _SMOOTHING * (span_ns - self.invoke_ns)

    def expected_ns(self, swapped: bool) -> float:
        """How long the next invoke will take."""
        return self.invoke_ns + (self.swap_ns if swapped else 0.0)
