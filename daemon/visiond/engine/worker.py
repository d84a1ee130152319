"""The engine worker: one model, one interpreter, the frames of every camera that feeds it.

load → prove the golden examples → then, until the parent hangs up (pipeline.py):
newest frame (inbox.py) → preprocess → invoke → dequantize and decode → Result to the parent.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Final

import cv2

from visiond import lifeline
from visiond.channel import Channel, ChannelClosed
from visiond.detection import Result
from visiond.engine.decode.decoder import DecodeSettings, make_decoder
from visiond.engine.golden import prove
from visiond.engine.inbox import Inbox
from visiond.engine.interpreter import Interpreter
from visiond.engine.pipeline import Pipeline
from visiond.engine.preprocess import Preprocessor
from visiond.errors import VisiondError
from visiond.messages import EngineReady, Fault, FrameDropped, LoadModel, from_json, to_json
from visiond.modelkit.package import load_package

_WARM_INVOKES: Final = 3


def main() -> None:
    """Serve the model that the first message names, until the parent closes the channel."""
    channel = lifeline.attach()
    threading.excepthook = _end_with_traceback
    cv2.setNumThreads(1)  # the invoke has the cores; a resize of this size gains nothing from a second one
    try:
        load = from_json(channel.receive()[0])
        if not isinstance(load, LoadModel):
            raise TypeError(f"the first message must be LoadModel, not {type(load).__name__}")
        try:
            pipeline = start(channel, load)
        except VisiondError as error:
            tell(channel, Fault(str(error), permanent=True))
            return
        pipeline.run()
    except ChannelClosed:
        os._exit(0)  # the other thread may be in an invoke that never returns


def start(channel: Channel, load: LoadModel) -> Pipeline:
    """Load the model, run its golden examples, tell the parent that it is ready. Raises VisiondError in words."""
    package = load_package(Path(load.package))
    interpreter = Interpreter(package.file(load.file), load.threads)
    preprocessor = Preprocessor(package.input, interpreter.input)
    golden = prove(package, interpreter, preprocessor)
    invoke_ns = _measure_invoke(interpreter)
    _, height, width, _ = interpreter.input.shape
    settings = DecodeSettings(package.load_labels(), load.min_score, load.max_objects, (width, height))
    decoder = make_decoder(package.output, interpreter.outputs, settings)
    tell(channel, EngineReady(load.file, interpreter.runtime, (width, height), invoke_ns / 1e6, golden))
    return Pipeline(
        Inbox(channel),
        preprocessor,
        interpreter,
        decoder,
        task=package.task,
        engine=load.file,
        invoke_ns=invoke_ns,
        report=lambda outcome: tell(channel, outcome),
    )


def tell(channel: Channel, message: Result | FrameDropped | EngineReady | Fault) -> None:
    """Send to the parent; when it is gone, so is the reason to live."""
    try:
        channel.send(to_json(message))
    except ChannelClosed:
        os._exit(0)  # from whichever thread


def _measure_invoke(interpreter: Interpreter) -> float:
    """Median of a few invokes in nanoseconds; the first one also pays for what the runtime puts off until then."""
    spans_ns = []
    for _ in range(_WARM_INVOKES):
        began_ns = time.monotonic_ns()
        interpreter.invoke()
        spans_ns.append(time.monotonic_ns() - began_ns)
    return float(statistics.median(spans_ns))


def _end_with_traceback(uncaught: threading.ExceptHookArgs) -> None:
    """A thread that ends alone would leave a worker that looks alive; the parent shows these as its last words."""
    if uncaught.exc_type is not ChannelClosed:
        sys.excepthook(uncaught.exc_type, uncaught.exc_value or uncaught.exc_type(), uncaught.exc_traceback)
        os._exit(70)
    os._exit(0)


if __name__ == "__main__":
    main()
