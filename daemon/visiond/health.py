"""The daemon's state in one word and one sentence: ok, degraded, or blind. Pure functions over what `status` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

BLIND_AFTER_S: Final = 1.0


def blind_after_ms(period_s: float | None) -> float:
    """How old the last result may be: a second, or three periods of a camera that is slower than that."""
    return 1000 * max(BLIND_AFTER_S, 3 * (period_s or 0.0))


def is_blind(camera: Mapping[str, Any], period_s: float | None) -> bool:
    """Whether the camera's part of `status` shows no result that is young enough."""
    age_ms = camera["result_age_ms"]
    return age_ms is None or age_ms > blind_after_ms(period_s)


def overall(
    cameras: Mapping[str, Mapping[str, Any]],
    engines: Mapping[str, Mapping[str, Any]],
    blind: set[str],
) -> tuple[str, str | None]:
    """Return the state and the reason for it: what is wrong with which camera or engine, and what to do.

    `cameras` and `engines` are those parts of `status`; `blind` names the cameras without a young result.
    """
    reasons = [_why_blind(name, cameras[name], engines[cameras[name]["model"]]) for name in sorted(blind)]
    if reasons:
        return "blind", "; ".join(reasons)
    reasons = [f"engine {name}: {why}" for name, engine in engines.items() if (why := _why_degraded(engine))]
    if reasons:
        return "degraded", "; ".join(reasons)
    return "ok", None


def _why_blind(name: str, camera: Mapping[str, Any], engine: Mapping[str, Any]) -> str:
    if camera["state"] != "streaming":
        return f"camera {name} is {camera['state']}" + (f": {camera['reason']}" if camera["reason"] else "")
    if engine["state"] != "ready":
        why = f": {engine['reason']}" if engine["reason"] else ""
        state = "has failed" if engine["state"] == "failed" else f"is {engine['state']}"
        return f"camera {name}: its model {camera['model']} {state}{why}"
    if camera["result_age_ms"] is None and not camera["reason"]:
        return f"camera {name}: no result yet"
    why = f": {camera['reason']}" if camera["reason"] else " although camera and model are at work"
    return f"camera {name}: no result within {BLIND_AFTER_S:.0f} s{why}"


def _why_degraded(engine: Mapping[str, Any]) -> str | None:
    if engine["degraded"]:
        return str(engine["reason"])
    if engine["slow"]:
        return str(engine["slow"])
    golden = engine["golden"]
    if golden is not None and golden["failed"]:
        return f"golden examples not reproduced: {golden['failed']}; {golden['failures'][0]}"
    return None
