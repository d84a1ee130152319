"""One frame through the model, and the next one made ready meanwhile.

Two threads share the interpreter. The caller's thread takes frames and prepares them; the invoking thread invokes,
decodes and reports. `invoke` releases the GIL, so both run. A frame is prepared straight in the input tensor when the
interpreter is idle, and in a staging buffer while it runs, late enough that it is the newest one when its turn comes.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Result, Stages
from visiond.engine.decode.decoder import Decoder, InvalidOutput
from visiond.engine.interpreter import Interpreter
from visiond.engine.preprocess import Geometry, Preprocessor
from visiond.frames import FrameHeader
from visiond.messages import FrameDropped

_SMOOTHING: Final = 0.2  # weight of the last frame in the running means
_MARGIN_NS: Final = 2_000_000  # by which the next frame is ready before its turn


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A frame that is ready to be invoked; `staged` when it lies in the staging buffer and not in the tensor."""

    camera: str
    header: FrameHeader
    geometry: Geometry
    staged: bool
    preprocess_ns: int


class Pipeline:
    """`prepare` feeds it, `report` gets each Result or FrameDropped, `turn` (an eventfd) says when to look again."""

    def __init__(
        self,
        interpreter: Interpreter,
        preprocessor: Preprocessor,
        decoder: Decoder,
        task: str,
        engine: str,
        invoke_ns: float,
        report: Callable[[Result | FrameDropped], None],
    ) -> None:
        self._interpreter = interpreter
        self._preprocessor = preprocessor
        self._decoder = decoder
        self._task = task
        self._engine = engine
        self._report = report
        self._staging = np.empty(interpreter.input.shape, interpreter.input.dtype)
        self._todo: queue.SimpleQueue[_Prepared | None] = queue.SimpleQueue()
        self._staged = False  # a prepared frame waits for its invoke
        self._invoking = False
        self._invoke_began_ns = 0
        self._invoke_ns = invoke_ns  # running mean; the first one was measured at the start
        self._prepare_ns = 0.0
        self.turn = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="invoke", daemon=True)
        self._thread.start()

    def wait_s(self) -> float | None:
        """How long to wait before the next frame should be taken: 0 is now, None is until `turn` says so."""
        if self._staged:
            return None
        if not self._invoking:
            return 0.0
        due_ns = self._invoke_began_ns + self._invoke_ns - self._prepare_ns - _MARGIN_NS
        return max(0.0, (due_ns - time.monotonic_ns()) / 1e9)

    def prepare(self, camera: str, header: FrameHeader, pixels: NDArray[np.uint8]) -> None:
        """Turn `pixels` ((height, width, 3) BGR) into the input tensor's values and queue the frame for its invoke.

        Call only when `wait_s()` is 0; `pixels` is not needed any more on return.
        """
        began_ns = time.monotonic_ns()
        staged = self._invoking
        destination = self._staging if staged else self._interpreter.input_view()
        geometry = self._preprocessor.write(pixels, destination)
        del destination  # the runtime refuses to invoke while a view of its tensors lives
        preprocess_ns = time.monotonic_ns() - began_ns
        self._prepare_ns += _SMOOTHING * (preprocess_ns - self._prepare_ns)
        self._staged = True
        self._todo.put(_Prepared(camera, header, geometry, staged, preprocess_ns))

    def close(self) -> None:
        """Let the invoke that runs finish, and end the thread."""
        self._todo.put(None)
        self._thread.join()
        os.close(self.turn)

    def _run(self) -> None:
        while (frame := self._todo.get()) is not None:
            self._report(self._infer(frame))

    def _infer(self, frame: _Prepared) -> Result | FrameDropped:
        camera, header = frame.camera, frame.header
        if frame.staged:
            self._interpreter.set_input(self._staging)
        began_ns = self._begin()
        try:
            self._interpreter.invoke()
            outputs = self._interpreter.read_outputs()
        except RuntimeError as error:
            self._finish()
            return FrameDropped(camera, header.frame, "invoke_error", str(error))
        invoked_ns = self._finish()
        try:
            found = self._decoder(outputs, frame.geometry)
        except InvalidOutput as error:
            return FrameDropped(camera, header.frame, "invalid_output", str(error))
        stages = Stages(
            wait=(began_ns - header.captured_ns - frame.preprocess_ns) / 1e6,
            preprocess=frame.preprocess_ns / 1e6,
            invoke=(invoked_ns - began_ns) / 1e6,
            decode=(time.monotonic_ns() - invoked_ns) / 1e6,
        )
        objects, classes = (None, found) if self._task == "classification" else (found, None)
        return Result(camera, header.frame, header.captured_ns, self._engine, stages, objects, classes)  # type: ignore[arg-type]

    def _begin(self) -> int:
        self._invoke_began_ns = time.monotonic_ns()
        self._invoking, self._staged = True, False
        os.eventfd_write(self.turn, 1)
        return self._invoke_began_ns

    def _finish(self) -> int:
        now_ns = time.monotonic_ns()
        self._invoke_ns += _SMOOTHING * (now_ns - self._invoke_began_ns - self._invoke_ns)
        self._invoking = False
        os.eventfd_write(self.turn, 1)
        return now_ns
