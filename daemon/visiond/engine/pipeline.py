"""One frame through its model, the next one made ready and the last one decoded meanwhile.

One thread invokes, always the same one: its caches stay warm. While it is in an invoke (which releases the GIL) a
second thread prepares the next frame in a staging buffer, late enough that it is the newest one when its turn comes.
When a next frame is ready as an invoke ends, its own goes first and the second thread decodes what the last one gave:
the accelerator does not wait for Python. When the interpreter is idle, the invoking thread does all of it itself, so
that nothing is handed over while a single frame is hurried.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from visiond.detection import Result, Stages
from visiond.engine.decode.decoder import InvalidOutput
from visiond.engine.geometry import Geometry
from visiond.engine.inbox import Inbox, Taken
from visiond.engine.loaded import LoadedModel
from visiond.engine.turns import Turns, turns_per_round
from visiond.errors import VisiondError
from visiond.frames import FrameHeader
from visiond.messages import FrameDropped

MAX_FAILED_INVOKES: Final = 3  # in a row; a new process may do better than this one
MAX_INVALID_OUTPUTS: Final = 30  # in a row, of an accelerator: a second of a camera; the CPU may do better
_FOUND_AS: Final = {"detection": "objects", "pose": "objects", "classification": "classes", "segmentation": "segments"}
_MARGIN_NS: Final = 2_000_000  # by which the next frame is ready before its turn


class InvokesFail(VisiondError):
    """Several invokes in a row have failed."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A frame that is ready to be invoked; `staged` when it lies in the staging buffer and not in the tensor."""

    camera: str
    model: LoadedModel
    header: FrameHeader
    geometry: Geometry
    staged: bool
    preprocess_ns: int


@dataclass(frozen=True, slots=True)
class _Invoked:
    """What an invoke gave for a frame: copies of the outputs, or the runtime's `error`."""

    frame: _Prepared
    swapped: bool
    began_ns: int
    ended_ns: int
    outputs: list[NDArray[Any]]
    error: str | None


class Pipeline:
    """Everything between the inbox and `report`, which gets each frame's Result or FrameDropped, from either thread."""

    def __init__(
        self,
        inbox: Inbox,
        turns: Turns,
        models: Mapping[str, LoadedModel],
        report: Callable[[Result | FrameDropped], None],
    ) -> None:
        """`models` by name, as the rings of the inbox name them; `turns` is the inbox's own."""
        self._inbox = inbox
        self._turns = turns
        self._models = models
        self._report = report
        self._last = list(models.values())[-1]  # that was invoked: each was, when it was loaded
        self._nonsense = ""  # what was wrong with an accelerator's last invalid output
        self._running = False  # an invoke is under way
        self._due_ns = 0.0  # when it will end, by the running means
        self._undecoded: _Invoked | None = None
        self._decoded = threading.Event()  # the second thread has reported what it was given: results keep their order
        self._decoded.set()
        self._ahead: _Prepared | None = None
        self._looking = False  # the second thread has the inbox, from `_look` to `_looked`
        self._look = threading.Semaphore(0)
        self._looked = threading.Semaphore(0)

    def run(self) -> None:
        """Serve until the inbox raises ChannelClosed; raises InvokesFail."""
        threading.Thread(target=self._beside, name="beside", daemon=True).start()
        frame: _Prepared | None = None
        while True:
            if frame is None:
                frame = self._wait_for_frame()
            invoked = self._invoke(frame)
            frame = self._prepared_ahead(invoked)

    # the invoking thread

    def _wait_for_frame(self) -> _Prepared:
        while True:
            while (taken := self._inbox.take()) is None:
                self._inbox.wait(None)
            frame = self._prepare(taken, self._models[taken.model].interpreter.input_view())
            if frame is not None:
                return frame

    def _invoke(self, frame: _Prepared) -> _Invoked:
        model, swapped = frame.model, self._last is not frame.model
        self._last = model
        if frame.staged:
            model.interpreter.set_input(model.staging)
        outputs, error = [], None
        began_ns = time.monotonic_ns()
        self._due_ns = began_ns + model.expected_ns(swapped)
        self._running = self._looking = True
        self._look.release()
        try:
            model.interpreter.invoke()
            ended_ns = time.monotonic_ns()
            outputs = model.interpreter.read_outputs()
        except RuntimeError as failure:
            ended_ns, error = time.monotonic_ns(), str(failure)
        self._running = False
        return _Invoked(frame, swapped, began_ns, ended_ns, outputs, error)

    def _prepared_ahead(self, invoked: _Invoked) -> _Prepared | None:
        """See to what an invoke gave; return the next frame if the second thread has one ready."""
        self._count_failures(invoked)
        if self._looked.acquire(blocking=False):  # it is ready, or it was too old: go on with it, decode beside it
            self._looking = False
            ahead, self._ahead = self._ahead, None
            if ahead is not None:
                self._undecoded = invoked
                self._decoded.clear()
                return ahead
        self._decoded.wait()
        self._finish(invoked)
        if self._looking:
            self._looking = False
            self._inbox.wake()
            self._looked.acquire()
            ahead, self._ahead = self._ahead, None
            return ahead
        return None

    def _count_failures(self, invoked: _Invoked) -> None:
        model = invoked.frame.model
        if invoked.error is None:
            model.failed = 0
            if model.invalid >= MAX_INVALID_OUTPUTS:
                raise InvokesFail(f"{MAX_INVALID_OUTPUTS} outputs in a row make no sense: {self._nonsense}")
            return
        model.failed += 1
        if model.failed == MAX_FAILED_INVOKES:
            self._decoded.wait()
            self._finish(invoked)
            raise InvokesFail(f"{MAX_FAILED_INVOKES} invokes in a row have failed: {invoked.error}")

    def _turns_per_round(self) -> int:
        served = [self._models[model] for _, model in self._inbox.cameras]
        names = {model.name for model in served}
        if len(names) < 2:
            return 1
        swaps_ns = sum(self._models[name].swap_ns for name in names)
        return turns_per_round(swaps_ns, sum(model.invoke_ns for model in served))

    # the second thread

    def _beside(self) -> None:
        """At each invoke decode the last one's outputs, then prepare the next frame if one comes before its end."""
        while True:
            self._look.acquire()
            undecoded, self._undecoded = self._undecoded, None
            if undecoded is not None:
                self._finish(undecoded)
                self._decoded.set()
            while self._looking and self._ahead is None:
                wait_s = self._until_turn_s()
                taken = self._inbox.take() if wait_s == 0.0 else None
                if taken is None:
                    self._inbox.wait(wait_s or None)
                else:
                    self._ahead = self._prepare(taken, self._models[taken.model].staging)
            self._looked.release()

    def _until_turn_s(self) -> float:
        """How long the running invoke still takes, less what the next frame's preparation will."""
        if not self._running:
            return 0.0
        prepare_ns = max(model.prepare_ns for model in self._models.values())
        return max(0.0, (self._due_ns - prepare_ns - _MARGIN_NS - time.monotonic_ns()) / 1e9)

    # either thread

    def _prepare(self, taken: Taken, destination: NDArray[Any]) -> _Prepared | None:
        """Turn the pixels into the input tensor's values; None for a frame that is too old."""
        header, model = taken.frame.header, self._models[taken.model]
        try:
            if taken.expired:
                self._tell(FrameDropped(taken.camera, header.frame, "expired"))
                return None
            began_ns = time.monotonic_ns()
            pixels = np.frombuffer(taken.frame.pixels, np.uint8).reshape(header.height, header.width, 3)
            geometry = model.preprocessor.write(pixels, destination)
            del pixels  # a slot cannot be released while an array looks at it
        finally:
            self._inbox.release(taken)
        preprocess_ns = time.monotonic_ns() - began_ns
        model.count_prepare(preprocess_ns)
        return _Prepared(taken.camera, model, header, geometry, destination is model.staging, preprocess_ns)

    def _finish(self, invoked: _Invoked) -> None:
        """Decode, and report."""
        frame, model = invoked.frame, invoked.frame.model
        camera, header = frame.camera, frame.header
        if invoked.error is not None:
            self._tell(FrameDropped(camera, header.frame, "invoke_error", invoked.error))
            return
        model.count_invoke(invoked.ended_ns - invoked.began_ns, invoked.swapped)
        if len(self._models) > 1:
            self._turns.turns_per_round = self._turns_per_round()
        began_ns = time.monotonic_ns()
        try:
            found = model.decoder(invoked.outputs, frame.geometry)
        except InvalidOutput as error:
            if model.interpreter.engine == "edgetpu":
                model.invalid, self._nonsense = model.invalid + 1, str(error)
            self._tell(FrameDropped(camera, header.frame, "invalid_output", str(error)))
            return
        model.invalid = 0
        stages = Stages(
            wait=(invoked.began_ns - header.captured_ns - frame.preprocess_ns) / 1e6,
            preprocess=frame.preprocess_ns / 1e6,
            invoke=(invoked.ended_ns - invoked.began_ns) / 1e6,
            decode=(time.monotonic_ns() - began_ns) / 1e6,
        )
        what: dict[str, Any] = {_FOUND_AS[model.task]: found, "swapped": invoked.swapped}
        engine = model.interpreter.engine
        self._tell(Result(camera, header.frame, header.captured_ns, engine, stages, **what))

    def _tell(self, outcome: Result | FrameDropped) -> None:
        self._report(outcome)
        self._inbox.answered(outcome.camera)
