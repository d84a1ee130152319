"""The engine worker: one model, one interpreter, the frames of every camera that feeds it.

load → prove the golden examples → then, until the parent hangs up:
newest frame → preprocess → invoke → dequantize and decode → Result to the parent.
"""

from __future__ import annotations

import os
import selectors
import statistics
import time
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visiond import lifeline
from visiond.channel import Channel, ChannelClosed
from visiond.detection import Result
from visiond.engine.decode.decoder import Decoder, DecodeSettings, make_decoder
from visiond.engine.golden import prove
from visiond.engine.inbox import Inbox
from visiond.engine.interpreter import Interpreter
from visiond.engine.pipeline import Pipeline
from visiond.engine.preprocess import Preprocessor
from visiond.errors import VisiondError
from visiond.frames import FrameHeader
from visiond.messages import DropRing, EngineReady, Fault, FrameDropped, LoadModel, RingOffer, from_json, to_json
from visiond.modelkit.package import Package, load_package

_WARM_INVOKES: Final = 3


class EngineWorker:
    """What runs in the worker's process once the model is loaded."""

    def __init__(self, channel: Channel, pipeline: Pipeline) -> None:
        self._channel = channel
        self._pipeline = pipeline
        self._inbox = Inbox()
        self._selector = selectors.DefaultSelector()
        self._selector.register(channel, selectors.EVENT_READ, self._listen)
        self._selector.register(pipeline.turn, selectors.EVENT_READ, self._next_turn)

    def run(self) -> None:
        """Serve until the parent closes the channel."""
        while True:
            wait_s = self._pipeline.wait_s()
            if wait_s == 0.0 and self._feed():
                continue
            for key, _ in self._selector.select(wait_s or None):
                key.data()

    def _feed(self) -> bool:
        """Prepare the next frame, if one waits; say whether there was one."""
        taken = self._inbox.take()
        if taken is None:
            return False
        camera, frame = taken
        header = frame.header
        try:
            if self._inbox.expired(camera, frame, time.monotonic_ns()):
                send(self._channel, FrameDropped(camera, header.frame, "expired"))
            else:
                pixels = np.frombuffer(frame.pixels, np.uint8).reshape(header.height, header.width, 3)
                self._pipeline.prepare(camera, header, pixels)
                del pixels  # a slot cannot be released while an array looks at it
        finally:
            self._inbox.release(camera, frame)
        return True

    def _listen(self) -> None:
        fields, fds = self._channel.receive()
        message = from_json(fields)
        if isinstance(message, RingOffer):
            self._forget(message.camera)
            doorbell = self._inbox.attach(message, fds)
            self._selector.register(doorbell, selectors.EVENT_READ, lambda: self._inbox.answer(message.camera))
        elif isinstance(message, DropRing):
            self._forget(message.camera)

    def _forget(self, camera: str) -> None:
        doorbell = self._inbox.doorbell(camera)
        if doorbell is not None:
            self._selector.unregister(doorbell)
            self._inbox.detach(camera)

    def _next_turn(self) -> None:
        os.eventfd_read(self._pipeline.turn)


def send(channel: Channel, message: Result | FrameDropped | EngineReady | Fault) -> None:
    """Tell the parent; when it is gone, so is the reason to live."""
    try:
        channel.send(to_json(message))
    except ChannelClosed:
        os._exit(0)  # from whichever thread: nothing here is worth a tidy end, and the invoke may never return


def start(channel: Channel, load: LoadModel) -> EngineWorker:
    """Load the model, run its golden examples, tell the parent that it is ready. Raises VisiondError in words."""
    package = load_package(Path(load.package))
    path = package.file(load.file)
    interpreter = Interpreter(path, load.threads)
    preprocessor = Preprocessor(package.input, interpreter.input)
    golden = prove(package, interpreter, preprocessor)
    invoke_ns = _measure_invoke(interpreter)
    pipeline = Pipeline(
        interpreter,
        preprocessor,
        _decoder(package, interpreter, load),
        package.task,
        load.file,
        invoke_ns,
        lambda outcome: send(channel, outcome),
    )
    _, height, width, _ = interpreter.input.shape
    send(channel, EngineReady(load.file, interpreter.runtime, (width, height), invoke_ns / 1e6, golden))
    return EngineWorker(channel, pipeline)


def _decoder(package: Package, interpreter: Interpreter, load: LoadModel) -> Decoder:
    _, height, width, _ = interpreter.input.shape
    settings = DecodeSettings(package.load_labels(), load.min_score, load.max_objects, (width, height))
    return make_decoder(package.output, interpreter.outputs, settings)


def _measure_invoke(interpreter: Interpreter) -> float:
    """Median of a few invokes in nanoseconds; the first one also pays for what the runtime puts off until then."""
    spans_ns = []
    for _ in range(_WARM_INVOKES):
        began_ns = time.monotonic_ns()
        interpreter.invoke()
        spans_ns.append(time.monotonic_ns() - began_ns)
    return float(statistics.median(spans_ns))


def main(argv: list[str] | None = None) -> None:
    """Entry of `python -m visiond.engine.worker`."""
    channel = lifeline.attach(argv)
    cv2.setNumThreads(1)  # the invoke has the cores; a resize of this size gains nothing from a second one
    try:
        fields, _ = channel.receive()
        load = from_json(fields)
        if not isinstance(load, LoadModel):
            raise ValueError(f"expected LoadModel first, got {load}")
        try:
            worker = start(channel, load)
        except VisiondError as error:
            send(channel, Fault(str(error), permanent=True))
            return
        worker.run()
    except ChannelClosed:
        os._exit(0)  # the invoking thread may be in the middle of its work, or hung


if __name__ == "__main__":
    main()
