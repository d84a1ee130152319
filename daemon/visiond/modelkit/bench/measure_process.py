"""The child that measures one subject: the runtime, the file or the stick's library may end it.

Messages: {stage} before each step, then {opened}; then {slice} with the spans of one round, or, for a drift, {part}
with the spans of about a second, again and again, until the time is over; {failed} with a sentence.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from visiond.cameras.pictures import PictureError, read_picture
from visiond.cameras.scenes import still_scene
from visiond.doctor.child_side import Tell, begin
from visiond.errors import VisiondError
from visiond.messages import StickOrder
from visiond.modelkit.bench.order import Order
from visiond.modelkit.package import Package, load_package
from visiond.modelkit.runner import Picture, Runner, Variant

_WARM_INVOKES: Final = 3
_WARM_S: Final = 0.2
_TELL_EVERY_S: Final = 1.0
_MIN_SCORE: Final = 0.5  # the configuration's defaults: what a daemon would decode
_MAX_OBJECTS: Final = 100
_SCENE: Final = 1


def main() -> None:
    """Do what the order says."""
    raw, tell = begin()
    order = Order.from_json(raw)
    cv2.setNumThreads(1)  # as the engine does
    try:
        tell(stage="loading the package")
        package = load_package(Path(order.folder))
        frame, name = _frame(package, order.size)
        tell(stage="loading the model")
        began_ns = time.perf_counter_ns()
        with Runner(package, _variant(order, package), _MIN_SCORE, _MAX_OBJECTS) as runner:
            _measure(runner, frame, name, order, (time.perf_counter_ns() - began_ns) / 1e6, tell)
    except VisiondError as error:
        tell(failed=str(error))
    except RuntimeError as error:  # an invoke's; its text is the runtime's own
        tell(failed=" ".join(str(error).split()))


def _measure(runner: Runner, frame: Picture, name: str, order: Order, load_ms: float, tell: Tell) -> None:
    interpreter = runner.interpreter
    tell(stage="running the first invoke")
    interpreter.set_input(runner.tensor(frame))
    first_ms = _span_ms(interpreter.invoke)
    tell(
        opened={
            "runtime": interpreter.runtime,
            "library": interpreter.library,
            "engine": interpreter.engine,
            "remark": interpreter.remark,
            "load_ms": load_ms,
            "first_invoke_ms": first_ms,
            "frame": f"{order.size[0]}×{order.size[1]} of {name}",
        }
    )
    gc.collect()
    gc.disable()
    tell(stage="warming up")
    _repeat(interpreter.invoke, _WARM_INVOKES, _WARM_S)
    if order.drift_s > 0:
        _drift(interpreter.invoke, order.drift_s, tell)
        return
    tell(stage="invoking")
    invoke_ms = _repeat(interpreter.invoke, order.invokes, order.seconds)
    tell(stage="taking frames the whole way")
    whole = _whole_way(runner, frame, order)
    tell(slice={"invoke_ms": invoke_ms, **whole, **_memory_mb()})


def _drift(invoke: Callable[[], None], seconds: float, tell: Tell) -> None:
    give_up_s = time.monotonic() + seconds
    while (left_s := give_up_s - time.monotonic()) > 0:
        tell(part=_repeat(invoke, 1, min(_TELL_EVERY_S, left_s)))


def _whole_way(runner: Runner, frame: Picture, order: Order) -> dict[str, list[float]]:
    """Frame after frame through all stages, in half the time of the invokes alone; what each stage took."""
    spans: dict[str, list[float]] = {"preprocess_ms": [], "whole_invoke_ms": [], "decode_ms": []}

    def one_frame() -> None:
        run = runner.run(frame)  # its outputs are not kept: they would count as the process's memory
        stages = (run.preprocess_ms, run.invoke_ms, run.decode_ms)
        for each, span_ms in zip(spans.values(), stages, strict=True):
            each.append(round(span_ms, 4))

    runner.run(frame)
    return {"whole_ms": _repeat(one_frame, max(1, order.invokes // 2), order.seconds / 2), **spans}


def _repeat(call: Callable[[], object], times: int, seconds: float) -> list[float]:
    """Call it so often at least, and so long at least; what each call took in ms."""
    spans_ms: list[float] = []
    give_up_s = time.monotonic() + seconds
    while len(spans_ms) < times or time.monotonic() < give_up_s:
        spans_ms.append(_span_ms(call))
    return spans_ms


def _span_ms(call: Callable[[], object]) -> float:
    began_ns = time.perf_counter_ns()
    call()
    return round((time.perf_counter_ns() - began_ns) / 1e6, 4)


def _variant(order: Order, package: Package) -> Variant:
    stick = None if order.stick is None else StickOrder(**order.stick)
    path = package.file(order.file)
    if order.kernels == "builtin":
        return Variant("bench", path, order.runtime, order.threads, "builtin", stick)
    return Variant("bench", path, order.runtime, order.threads, "xnnpack", stick)


def _frame(package: Package, size: tuple[int, int]) -> tuple[Picture, str]:
    """The first golden picture in the camera's size, else a drawn scene; and what to call it."""
    for example in package.golden:
        try:
            picture, _ = read_picture(package.folder / example.image)
        except PictureError:
            continue
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8), Path(example.image).name
    return still_scene(_SCENE, size)[0], "a drawn scene"


def _memory_mb() -> dict[str, float]:
    """What the process has in memory, and the most that it had: proc(5), status."""
    sizes: dict[str, Any] = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Vm")
    )
    return {
        name: int(sizes[key].split()[0]) / 1024 for name, key in {"rss_mb": "VmRSS", "peak_rss_mb": "VmHWM"}.items()
    }


if __name__ == "__main__":
    main()
