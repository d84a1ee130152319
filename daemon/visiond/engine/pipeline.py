"""One frame through the model, and the next one made ready meanwhile.

One thread invokes, always the same one: its caches stay warm. While it is in an invoke (which releases the GIL) a
second thread prepares the next frame in a staging buffer, late enough that it is the newest one when its turn comes.
When the interpreter is idle, the invoking thread takes the frame itself and prepares it straight in the input tensor,
so that nothing is handed over while it is hurried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Result, Stages
from visiond.engine.decode.decoder import Decoder, InvalidOutput
from visiond.engine.geometry import Geometry
from visiond.engine.inbox import Inbox, Taken
from visiond.engine.interpreter import Interpreter
from visiond.engine.preprocess import Preprocessor
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
    """Everything between the inbox and `report`, which gets each frame's Result or FrameDropped."""

    def __init__(
        self,
        inbox: Inbox,
        preprocessor: Preprocessor,
        interpreter: Interpreter,
        decoder: Decoder,
        task: str,
        engine: str,
        invoke_ns: float,
        report: Callable[[Result | FrameDropped], None],
    ) -> None:
        """`task` is the package's; `engine` goes into each Result; `invoke_ns` is what an invoke takes, as measured."""
        self._inbox = inbox
        self._preprocessor = preprocessor
        self._interpreter = interpreter
        self._decoder = decoder
        self._task = task
        self._engine = engine
        self._report = report
        self._staging = np.empty(interpreter.input.shape, interpreter.input.dtype)
        self._busy = False  # the interpreter has a frame
        self._began_ns = 0
        self._invoke_ns = invoke_ns  # running means
        self._prepare_ns = 0.0
        self._ahead: _Prepared | None = None
        self._looking = False  # the second thread has the inbox, from `_look` to `_looked`
        self._look = threading.Semaphore(0)
        self._looked = threading.Semaphore(0)

    def run(self) -> None:
        """Serve until the inbox raises ChannelClosed."""
        threading.Thread(target=self._prepare_ahead, name="ahead", daemon=True).start()
        while True:
            frame = self._next_frame()
            if frame is not None:
                self._busy = self._looking = True
                self._look.release()
                self._report(self._infer(frame))

    def _next_frame(self) -> _Prepared | None:
        """Return what was prepared ahead, else wait for a frame and prepare it; None where one was too old."""
        if self._looking:
            self._busy = self._looking = False
            self._inbox.wake()
            self._looked.acquire()
            ahead, self._ahead = self._ahead, None
            if ahead is not None:
                return ahead
        while (taken := self._inbox.take()) is None:
            self._inbox.wait(None)
        return self._prepare(taken, self._interpreter.input_view())

    def _prepare_ahead(self) -> None:
        """The second thread: at each invoke prepare the next frame, until there is one or the interpreter is idle."""
        while True:
            self._look.acquire()
            while self._busy and self._ahead is None:
                wait_s = self._until_turn_s()
                taken = self._inbox.take() if wait_s == 0.0 else None
                if taken is None:
                    self._inbox.wait(wait_s or None)
                else:
                    self._ahead = self._prepare(taken, self._staging)
            self._looked.release()

    def _until_turn_s(self) -> float:
        """How long the running invoke still takes, less what the next frame's preparation will."""
        due_ns = self._began_ns + self._invoke_ns - self._prepare_ns - _MARGIN_NS
        return max(0.0, (due_ns - time.monotonic_ns()) / 1e9)

    def _prepare(self, taken: Taken, destination: NDArray[Any]) -> _Prepared | None:
        """Turn the pixels into the input tensor's values; None for a frame that is too old."""
        header = taken.frame.header
        try:
            if taken.expired:
                self._report(FrameDropped(taken.camera, header.frame, "expired"))
                return None
            began_ns = time.monotonic_ns()
            pixels = np.frombuffer(taken.frame.pixels, np.uint8).reshape(header.height, header.width, 3)
            geometry = self._preprocessor.write(pixels, destination)
            del pixels  # a slot cannot be released while an array looks at it
        finally:
            self._inbox.release(taken)
        preprocess_ns = time.monotonic_ns() - began_ns
        self._prepare_ns += _SMOOTHING * (preprocess_ns - self._prepare_ns)
        return _Prepared(taken.camera, header, geometry, destination is self._staging, preprocess_ns)

    def _infer(self, frame: _Prepared) -> Result | FrameDropped:
        camera, header = frame.camera, frame.header
        self._began_ns = began_ns = time.monotonic_ns()
        try:
            if frame.staged:
                self._interpreter.set_input(self._staging)
            self._interpreter.invoke()
            outputs = self._interpreter.read_outputs()
        except RuntimeError as error:
            return FrameDropped(camera, header.frame, "invoke_error", str(error))
        invoked_ns = time.monotonic_ns()
        self._invoke_ns += _SMOOTHING * (invoked_ns - began_ns - self._invoke_ns)
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
