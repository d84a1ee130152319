"""The daemon's state follows from its parts, and names the one that is to be mended."""

from typing import Any

import pytest

from visiond.health import is_blind, overall


def camera(state: str = "streaming", reason: str | None = None, result_age_ms: float | None = 20.0) -> dict[str, Any]:
    return {"state": state, "reason": reason, "model": "objects", "result_age_ms": result_age_ms}


def engine(
    state: str = "ready",
    reason: str | None = None,
    degraded: bool = False,
    failures: int = 0,
    slow: str | None = None,
) -> dict[str, Any]:
    golden = {"passed": 1, "failed": failures, "failures": ["cat.jpg: best cat 0.41"] * failures}
    return {"state": state, "reason": reason, "degraded": degraded, "golden": golden, "slow": slow}


def test_all_is_well() -> None:
    assert overall({"front": camera()}, {"objects": engine()}, blind=set()) == ("ok", None)


@pytest.mark.parametrize(
    ("a_camera", "an_engine", "reason"),
    [
        (
            camera("absent", "/dev/video0 does not exist"),
            engine(),
            "camera front is absent: /dev/video0 does not exist",
        ),
        (
            camera(),
            engine("failed", "killed: the invoke hangs"),
            "camera front: its model objects has failed: killed: …",
        ),
        (
            camera(),
            engine("unavailable", "usb:0: no Coral Edge TPU is plugged in"),
            "camera front: its model objects is unavailable: usb:0: no Coral Edge TPU is plugged in",
        ),
        (camera(), engine(), "camera front: no result within 1 s although camera and model are at work"),
    ],
)
def test_blind_names_the_camera_and_the_cause(a_camera: Any, an_engine: Any, reason: str) -> None:
    state, why = overall({"front": a_camera}, {"objects": an_engine}, blind={"front"})
    assert state == "blind"
    assert why is not None
    assert why.startswith(reason.rstrip("…"))


def test_degraded_names_the_engine_and_the_numbers() -> None:
    on_cpu = engine(reason="runs on the CPU", degraded=True)
    assert overall({"front": camera()}, {"objects": on_cpu}, set()) == ("degraded", "engine objects: runs on the CPU")
    slow = engine(reason="not this", slow="an invoke takes 30 ms, 3.0 times as long as at first")
    assert overall({"front": camera()}, {"objects": slow}, set()) == (
        "degraded",
        "engine objects: an invoke takes 30 ms, 3.0 times as long as at first",
    )
    state, why = overall({"front": camera()}, {"objects": engine(failures=1)}, set())
    assert (state, why) == (
        "degraded",
        "engine objects: golden examples not reproduced: 1; cat.jpg: best cat 0.41",
    )


@pytest.mark.parametrize(
    ("age_ms", "period_s", "blind"),
    [
        (None, 0.1, True),
        (900, 0.1, False),
        (1100, 0.1, True),
        (1100, None, True),
        (5000, 2.0, False),
        (6100, 2.0, True),
    ],
)
def test_blind_is_a_second_without_a_result_or_three_periods_of_a_slow_camera(
    age_ms: float | None, period_s: float | None, blind: bool
) -> None:
    assert is_blind(camera(result_age_ms=age_ms), period_s) is blind
