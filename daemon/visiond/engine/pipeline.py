"""One frame through the model, and the next one made ready meanwhile.

Two threads do the same work and take turns: while one invokes (which releases the GIL), the other waits for the next
frame and prepares it. So a frame stays in one thread from the ring to the parent, and nothing is handed over while it
is hurried. A frame is prepared straight in the input tensor when the interpreter is idle, and in a staging buffer while
it runs, late enough to be the newest one when its turn comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

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
        self._taking = threading.Lock()  # held from waiting for a frame until the interpreter is free for it
        self._interpreting = threading.Lock()
        self._busy = False  # the interpreter has a frame
        self._began_ns = 0
        self._invoke_ns = invoke_ns  # running means
        self._prepare_ns = 0.0
        self._waits_for_turn = False

    def run(self) -> None:
        """Serve until the inbox raises ChannelClosed."""
        threading.Thread(target=self._serve, name="second", daemon=True).start()
        self._serve()

    def _serve(self) -> None:
        while True:
            with self._taking:
                frame = self._prepare(self._await_frame())
                if frame is None:
                    continue
                self._interpreting.acquire()
                self._busy = True
            self._report(self._infer(frame))

    def _await_frame(self) -> Taken:
        """Wait until it is time for the next frame, and there is one."""
        while True:
            wait_s: float | None = self._until_turn_s()
            if wait_s == 0.0:
                taken = self._inbox.take()
                if taken is not None:
                    return taken
                wait_s = None
            self._waits_for_turn = wait_s is not None
            self._inbox.wait(wait_s)
            self._waits_for_turn = False

    def _until_turn_s(self) -> float:
        """How long the running invoke still takes, less what the next frame's preparation will."""
        if not self._busy:
            return 0.0
        due_ns = self._began_ns + self._invoke_ns - self._prepare_ns - _MARGIN_NS
        return max(0.0, (due_ns - time.monotonic_ns()) / 1e9)

    def _prepare(self, taken: Taken) -> _Prepared | None:
        """Turn the pixels into the input tensor's values; None for a frame that is too old."""
        header = taken.frame.header
        try:
            if taken.expired:
                self._report(FrameDropped(taken.camera, header.frame, "expired"))
                return None
            began_ns = time.monotonic_ns()
            staged = self._busy
            destination = self._staging if staged else self._interpreter.input_view()
            pixels = np.frombuffer(taken.frame.pixels, np.uint8).reshape(header.height, header.width, 3)
            geometry = self._preprocessor.write(pixels, destination)
            # The runtime refuses to invoke, and the ring to release, while an array looks at their memory.
            del destination, pixels
        finally:
            self._inbox.release(taken)
        preprocess_ns = time.monotonic_ns() - began_ns
        self._prepare_ns += _SMOOTHING * (preprocess_ns - self._prepare_ns)
        return _Prepared(taken.camera, header, geometry, staged, preprocess_ns)

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
        finally:
            invoked_ns = self._finish(began_ns)
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

    def _finish(self, began_ns: int) -> int:
        """Hand the interpreter on; return when the invoke ended."""
        invoked_ns = time.monotonic_ns()
        self._invoke_ns += _SMOOTHING * (invoked_ns - began_ns - self._invoke_ns)
        self._busy = False
        self._interpreting.release()
        if self._waits_for_turn:
            self._inbox.wake()
        return invoked_ns
