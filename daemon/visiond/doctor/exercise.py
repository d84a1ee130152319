"""What `visiond doctor --exercise` says of a stick that has worked for some seconds: pace, heat, agreement."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from visiond.doctor.report import Finding, ok, skipped, wrong
from visiond.doctor.stick_states import RECOMPILE
from visiond.doctor.trial import Trial
from visiond.doctor.trial_order import TrialOrder

SLOWER: Final = 1.5  # last fifth over first fifth: noise stays well below
LEAST_IOU: Final = 0.8
# On average over all values: one that is rounded the other way, every second time. LiteRT 2.3.0's own two sets of CPU
# kernels (reference and XNNPACK) differ by up to 0.06 on average on MobileNet v1 and v2 and YOLOv8n. Single values
# say nothing: of these two sets, they are up to 6, 2 and 80 quanta apart.
MOST_MEAN_QUANTA: Final = 0.5


def exercise_findings(order: TrialOrder, trial: Trial) -> Iterator[Finding]:
    """Yield nothing for what the trial did not come to: its end says why."""
    name = f"{order.model} on port {order.port}"
    timed, compared = trial.told.get("timed"), trial.told.get("compared")
    if timed is not None:
        yield _pace(name, timed, order.seconds)
    if compared is not None:
        yield _agreement(name, compared)
        if timed is not None:
            yield _gain(name, timed, compared)
    elif timed is not None and order.cpu_file is None:
        yield skipped("exercise", f"{name}, agreement", "the package has no twin for the CPU to compare with")


def _pace(name: str, timed: Mapping[str, Any], seconds: float) -> Finding:
    title = f"{name}, pace"
    seen = (
        f"{timed['invokes']} invokes in {seconds:g} s, p50 {timed['p50_ms']:.2f} ms, p99 {timed['p99_ms']:.2f} ms, "
        f"longest {timed['worst_ms']:.2f} ms"
    )
    if timed["last_ms"] > SLOWER * timed["first_ms"]:
        cause = (
            f"it became slower while it worked, from {timed['first_ms']:.1f} to {timed['last_ms']:.1f} ms: most likely "
            "the stick is hot, which it does not tell"
        )
        remedy = "give it air, or set edgetpu.performance: medium; see board for the supply"
        return wrong("exercise", title, "warn", seen, cause, remedy, **timed)
    return ok("exercise", title, seen, **timed)


def _agreement(name: str, compared: Mapping[str, Any]) -> Finding:
    title = f"{name}, agreement"
    parts = []
    if compared["max_quanta"] is not None:
        parts.append(f"quantized outputs differ by {compared['max_quanta']:.1f} quanta at most, "
                     f"{compared['mean_quanta']:.3f} on average (limit {MOST_MEAN_QUANTA})")  # fmt: skip
    if compared["max_real"] is not None:
        parts.append(f"others by {compared['max_real']:.4g} at most, {compared['mean_real']:.4g} on average")
    if compared["top_iou"] is not None:
        parts.append(f"best boxes overlap with IoU {compared['top_iou']:.2f} or more (limit {LEAST_IOU})")
    missing = f"{compared['top_differs']} times in {compared['pictures']} pictures"
    parts.append(f"the best label is missing {missing} (limit 0)")
    seen = f"with the CPU's twin ({compared['runtime']}): " + "; ".join(parts)
    apart = compared["top_iou"] is not None and compared["top_iou"] < LEAST_IOU
    if compared["golden"]["failed"]:
        cause = f"the CPU's twin does not reproduce the golden examples: {compared['golden']['failures'][0]}"
        return wrong("exercise", title, "fail", seen, cause, "correct files.cpu or the examples", **compared)
    if compared["top_differs"] or apart:
        cause = (
            "stick and CPU do not find the same: files.edgetpu was compiled from another model than files.cpu, or the "
            "stick computes wrongly"
        )
        return wrong(
            "exercise",
            title,
            "fail",
            seen,
            cause,
            RECOMPILE,
            **compared,
        )
    if (compared["mean_quanta"] or 0.0) > MOST_MEAN_QUANTA:
        cause = "the outputs are further apart than rounding explains, although the same was found"
        return wrong("exercise", title, "warn", seen, cause, RECOMPILE, **compared)
    return ok("exercise", title, seen, **compared)


def _gain(name: str, timed: Mapping[str, Any], compared: Mapping[str, Any]) -> Finding:
    times = compared["invoke_ms"] / timed["p50_ms"]
    pace = f"{times:.1f} times as fast" if times >= 1 else f"{1 / times:.1f} times slower"
    seen = f"{timed['p50_ms']:.1f} ms on the stick, {compared['invoke_ms']:.1f} ms on the CPU: {pace}"
    if times < 1:
        cause = "the stick is slower than the CPU: it may be on USB 2, or the model too small to gain from it"
        remedy = "see usb for the speed; or set the model's accelerator: never"
        return wrong("exercise", f"{name}, gain", "warn", seen, cause, remedy, times=times)
    return ok("exercise", f"{name}, gain", seen, times=times)
