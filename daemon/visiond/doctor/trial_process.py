"""The child that opens a stick and invokes a model on it: it may abort, crash or hang, and says before what it does.

Messages: {stage, [runtime, versions]} before each step, then {opened}, {tested}, with seconds {timed} and {compared},
and {failed} with a sentence where something refuses.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Final

from visiond.doctor.agreement import compare
from visiond.doctor.child_side import Tell, begin
from visiond.doctor.trial_order import INVOKE, TrialOrder
from visiond.edgetpu.delegate_options import delegate_options
from visiond.edgetpu.library import find_library, usb_ports
from visiond.edgetpu.stick_lock import StickLock, opening_turn
from visiond.engine.edgetpu import delegate_version
from visiond.engine.golden import prove
from visiond.engine.interpreter import DelegateOrder, Interpreter, open_interpreter
from visiond.engine.preprocess import Preprocessor
from visiond.errors import VisiondError
from visiond.modelkit.package import Package, load_package

_OPENING_PATIENCE_S: Final = 10.0  # for another process's stick
_WARM_INVOKES: Final = 5
_TELL_EVERY_S: Final = 1.0


def main() -> int:
    """Do what the order says; 0, or 69 after a {failed}."""
    raw, tell = begin()
    order = TrialOrder(**raw)
    try:
        tell(stage="locking the stick")
        with StickLock.acquire(order.port, Path(order.sysfs)):
            _run(order, tell)
    except VisiondError as error:
        tell(failed=str(error), kind=getattr(error, "kind", type(error).__name__))
        return 69
    except RuntimeError as error:  # an invoke's; its text is the runtime's own
        tell(failed=" ".join(str(error).split()), kind=INVOKE)
        return 69
    return 0


def _run(order: TrialOrder, tell: Tell) -> None:
    package = load_package(Path(order.folder))
    interpreter = _open(order, package, tell)
    preprocessor = Preprocessor(package.input, interpreter.input)
    tell(stage="running the first invoke")
    invoke_ms = statistics.median(_invoke_ms(interpreter) for _ in range(_WARM_INVOKES))
    tell(stage="running the golden examples")
    golden = asdict(prove(package, interpreter, preprocessor))
    tell(tested={"invoke_ms": invoke_ms, "golden": golden, "engine": interpreter.engine, "remark": interpreter.remark})
    if order.seconds > 0:
        tell(timed=_time(interpreter, order.seconds, tell))
    if order.seconds > 0 and order.cpu_file is not None:
        _compare(order, package, interpreter, tell)
    while order.hold:
        tell(holding=True)
        _for_a_second(interpreter)


def _open(order: TrialOrder, package: Package, tell: Tell) -> Interpreter:
    tell(stage="loading the library")
    library = find_library(order.library) or Path(order.library)
    delegate_version(library)  # first, as it says in words why a library cannot be loaded
    with opening_turn(_OPENING_PATIENCE_S, Path(order.sysfs)):
        ports = usb_ports(library)
        index = ports.index(order.port) if order.port in ports else order.index
        options = delegate_options(index, order.performance, order.usb)
        began_s = time.monotonic()
        tell(stage="loading the runtime")
        interpreter = open_interpreter(
            package.file("edgetpu"),
            order.threads,
            order.runtime,
            DelegateOrder(str(library), options),
            on_chosen=lambda runtime, versions: tell(
                stage="opening the stick and loading the model", runtime=runtime, versions=versions
            ),
            size=package.input.size,
        )
    tell(
        opened={
            "seconds": time.monotonic() - began_s,
            "runtime": interpreter.runtime,
            "why": interpreter.why,
            "library": interpreter.library,
        }
    )
    return interpreter


def _invoke_ms(interpreter: Interpreter) -> float:
    began_ns = time.monotonic_ns()
    interpreter.invoke()
    return (time.monotonic_ns() - began_ns) / 1e6


def _for_a_second(interpreter: Interpreter) -> list[float]:
    """Invoke for a second, at least once, so that the parent hears of us; return what each took in ms."""
    give_up_s = time.monotonic() + _TELL_EVERY_S
    spans_ms = [_invoke_ms(interpreter)]
    while time.monotonic() < give_up_s:
        spans_ms.append(_invoke_ms(interpreter))
    return spans_ms


def _time(interpreter: Interpreter, seconds: float, tell: Tell) -> dict[str, float]:
    """Invoke for so long. `first_ms` and `last_ms` are medians of the first and the last fifth: heat shows there."""
    give_up_s = time.monotonic() + seconds
    spans_ms: list[float] = []
    while time.monotonic() < give_up_s:
        tell(stage=f"invoking, {give_up_s - time.monotonic():.0f} s to go")
        spans_ms += _for_a_second(interpreter)
    fifth, ordered = max(1, len(spans_ms) // 5), sorted(spans_ms)
    return {
        "invokes": len(spans_ms),
        "p50_ms": round(statistics.median(ordered), 3),
        "p99_ms": round(ordered[len(ordered) * 99 // 100], 3),
        "worst_ms": round(ordered[-1], 3),
        "first_ms": round(statistics.median(spans_ms[:fifth]), 3),
        "last_ms": round(statistics.median(spans_ms[-fifth:]), 3),
    }


def _compare(order: TrialOrder, package: Package, interpreter: Interpreter, tell: Tell) -> None:
    assert order.cpu_file is not None
    tell(stage=f"loading the CPU's twin, files.{order.cpu_file}")
    twin = open_interpreter(package.file(order.cpu_file), order.threads, size=package.input.size)
    golden = asdict(prove(package, twin, Preprocessor(package.input, twin.input)))
    twin_ms = statistics.median(_invoke_ms(twin) for _ in range(_WARM_INVOKES))
    tell(stage="comparing it with the stick")
    differences = compare(package, interpreter, twin)
    tell(compared={"runtime": twin.runtime, "invoke_ms": twin_ms, "golden": golden, **asdict(differences)})


if __name__ == "__main__":
    sys.exit(main())
