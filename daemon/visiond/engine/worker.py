"""The engine worker: one model on the CPU, or all the models of one Edge TPU; the frames of the cameras that feed them.

lock the stick → load each model → prove its golden examples → then, until the parent hangs up (pipeline.py):
newest frame (inbox.py) → preprocess → invoke → dequantize and decode → Result to the parent.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import cv2

from visiond import lifeline
from visiond.channel import Channel, ChannelClosed
from visiond.edgetpu.stick_lock import StickBusy, opening_turn
from visiond.engine.decode.of_package import package_decoder
from visiond.engine.edgetpu import DelegateFailed, DelegateOrder
from visiond.engine.golden import prove
from visiond.engine.inbox import Inbox
from visiond.engine.interpreter import Interpreter, RuntimeUnavailable, open_interpreter
from visiond.engine.loaded import LoadedModel
from visiond.engine.pipeline import InvokesFail, Pipeline
from visiond.engine.preprocess import Preprocessor
from visiond.engine.stick import claim_stick, delegate_order
from visiond.engine.turns import Turns
from visiond.errors import ModelError, VisiondError
from visiond.messages import (
    NO_LIBRARY,
    NO_RUNTIME,
    STICK_BUSY,
    EngineReady,
    EngineStage,
    Fault,
    LoadModel,
    Message,
    ModelReady,
    StartEngine,
    from_json,
    to_json,
)
from visiond.modelkit.package import load_package

_WARM_INVOKES: Final = 3
_OPENING_PATIENCE_S: Final = 10.0  # for another worker's stick: re-enumeration takes 2 to 3 s
# A thread that asks for the GIL gets it after so long at the latest (CPython's default is 5 ms): the invoking thread
# must not wait behind the one that decodes.
_SWITCH_INTERVAL_S: Final = 0.0002


def main() -> None:
    """Serve the models that the first message names, until the parent closes the channel."""
    channel = lifeline.attach()
    threading.excepthook = _end_with_traceback
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    cv2.setNumThreads(1)  # the invoke has the cores; a resize of this size gains nothing from a second one
    try:
        order = from_json(channel.receive()[0])
        if not isinstance(order, StartEngine):
            raise TypeError(f"the first message must be StartEngine, not {type(order).__name__}")
        try:
            lock = claim_stick(order.stick)  # noqa: F841 - kept until the process ends
            start(channel, order).run()
        except VisiondError as error:
            tell(channel, Fault(str(error), permanent=isinstance(error, ModelError), kind=_kind_of(error)))
    except ChannelClosed:
        os._exit(0)  # the other thread may be in an invoke that never returns


def start(channel: Channel, order: StartEngine) -> Pipeline:
    """Load the models, run their golden examples, tell the parent that they are ready. Raises VisiondError in words."""
    delegate = None
    models, reports = {}, []
    with ExitStack() as opening:
        if order.stick is not None:
            opening.enter_context(opening_turn(_OPENING_PATIENCE_S, Path(order.stick.sysfs)))
            tell(channel, EngineStage(f"asking {order.stick.library} which sticks there are"))
            delegate = delegate_order(order.stick)
        for load in order.models:
            models[load.name], report = _load(channel, load, order, delegate)
            reports.append(report)
            opening.close()  # the stick is open: the next worker may open its own
    tell(channel, EngineReady(tuple(reports)))
    turns = Turns()
    return Pipeline(Inbox(channel, turns), turns, models, lambda outcome: tell(channel, outcome))


def tell(channel: Channel, message: Message) -> None:
    """Send to the parent; when it is gone, so is the reason to live."""
    try:
        channel.send(to_json(message))
    except ChannelClosed:
        os._exit(0)  # from whichever thread


def _kind_of(error: VisiondError) -> str | None:
    """What the parent must know of a failure to hold back, or to go on with, the right thing."""
    if isinstance(error, RuntimeUnavailable):
        return NO_RUNTIME
    if isinstance(error, DelegateFailed) and error.kind == NO_LIBRARY:
        return NO_LIBRARY
    return STICK_BUSY if isinstance(error, StickBusy) else None


def _load(
    channel: Channel, load: LoadModel, order: StartEngine, delegate: DelegateOrder | None
) -> tuple[LoadedModel, ModelReady]:
    """One model, from its file to a first measured invoke."""
    package = load_package(Path(load.package))

    def about_to(runtime: str, versions: str) -> None:
        doing = "loading" if order.stick is None else f"opening the Edge TPU {order.stick.device} and loading"
        tell(channel, EngineStage(f"{doing} {load.name}", runtime, versions))

    interpreter = open_interpreter(
        package.file(load.file),
        load.threads,
        load.runtime,
        delegate,
        order.avoid,
        on_chosen=about_to,
        size=package.input.size,
    )
    preprocessor = Preprocessor(package.input, interpreter.input)
    tell(channel, EngineStage(f"the first invoke of {load.name}"))
    try:
        golden = prove(package, interpreter, preprocessor)
    except RuntimeError as error:
        raise InvokesFail(f"an invoke of the golden examples has failed: {error}") from error
    invoke_ns = _measure_invoke(interpreter)
    _, height, width, _ = interpreter.input.shape
    decoder = package_decoder(package, interpreter, load.min_score, load.max_objects)
    report = ModelReady(
        name=load.name,
        engine=interpreter.engine,
        runtime=interpreter.runtime,
        why=interpreter.why,
        library=interpreter.library,
        input_size=(width, height),
        invoke_ms=invoke_ns / 1e6,
        golden=golden,
        remark=interpreter.remark,
    )
    return LoadedModel(load.name, package.task, preprocessor, interpreter, decoder, invoke_ns), report


def _measure_invoke(interpreter: Interpreter) -> float:
    """Median of a few invokes in nanoseconds; the first one also pays for what the runtime puts off until then."""
    spans_ns = []
    for _ in range(_WARM_INVOKES):
        began_ns = time.monotonic_ns()
        try:
            interpreter.invoke()
        except RuntimeError as error:
            raise InvokesFail(f"the first invoke has failed: {error}") from error
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
