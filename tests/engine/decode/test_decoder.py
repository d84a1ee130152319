"""Choosing a decoder, and the rules that all of them share."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiond.engine.decode.decoder import (
    SCORE_CEILING,
    SCORE_FLOOR,
    DecodeSettings,
    InvalidOutput,
    clamp_scores,
    given_roles,
    make_decoder,
)
from visiond.engine.decode.kinds import KINDS
from visiond.engine.decode.scores import Scores
from visiond.engine.decode.ssd import SsdPostprocess
from visiond.engine.tensors import TensorInfo
from visiond.errors import ModelError
from visiond.modelkit.labels import Labels
from visiond.modelkit.manifest import DecoderName, OutputSpec

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

SETTINGS = DecodeSettings(Labels(("cat", "dog")), 0.5, 100, (300, 300))


def output(name: str, *shape: int) -> TensorInfo:
    return TensorInfo(0, name, shape, np.dtype("float32"))


SSD = (output("b", 1, 10, 4), output("classes", 1, 10), output("scores", 1, 10), output("n", 1))


def test_the_kind_of_output_chooses() -> None:
    assert isinstance(make_decoder(OutputSpec(decoder="scores"), [output("s", 1, 10)], SETTINGS), Scores)
    assert isinstance(make_decoder(OutputSpec(decoder="ssd_postprocess"), SSD, SETTINGS), SsdPostprocess)


def test_every_name_of_the_format_is_a_kind_that_is_decoded() -> None:
    assert set(KINDS) == set(get_args(DecoderName))
    for name in KINDS:
        with pytest.raises(ModelError, match="decoder " + name if name != "ssd_raw" else "expects"):
            make_decoder(OutputSpec.model_validate({"decoder": name}), [output("odd", 3)], SETTINGS)


@pytest.mark.parametrize(
    ("roles", "text"),
    [
        ({"boxes": 0, "classes": 1, "scores": 2}, "output.roles names boxes, classes, scores; this decoder needs"),
        ({}, "output.roles names nothing; this decoder needs boxes, classes, scores, count"),
        (
            {"boxes": 0, "classes": 1, "scores": 2, "count": 4},
            "points to output 4, but the model has 4, counted from 0",
        ),
        ({"boxes": 0, "classes": 1, "scores": 1, "count": 3}, "gives one output two roles"),
        ({"boxes": 1, "classes": 0, "scores": 2, "count": 3}, "expects boxes \\[1, N, 4\\]"),
        ({"boxes": 0, "classes": 3, "scores": 2, "count": 1}, "expects boxes \\[1, N, 4\\]"),
    ],
)
def test_roles_that_do_not_fit_are_refused(roles: dict[str, int], text: str) -> None:
    with pytest.raises(ModelError, match=text):
        make_decoder(OutputSpec(decoder="ssd_postprocess", roles=roles), SSD, SETTINGS)


def test_no_roles_stay_none() -> None:
    assert given_roles(None, ("scores",), SSD) is None


@patient
@given(st.lists(st.floats(SCORE_FLOOR, SCORE_CEILING), max_size=20))
def test_a_score_that_is_out_by_a_rounding_is_clamped(scores: list[float]) -> None:
    clamped = clamp_scores(np.array(scores, np.float32) * np.float32(0.999))
    assert ((clamped >= 0) & (clamped <= 1)).all()


@patient
@given(
    st.lists(st.floats(0, 1), max_size=5),
    st.sampled_from([float("nan"), float("inf"), float("-inf"), -0.5, 1.1, 1e30]),
    st.lists(st.floats(0, 1), max_size=5),
)
def test_fault_31_a_score_that_is_none_is_refused(before: list[float], poison: float, after: list[float]) -> None:
    with pytest.raises(InvalidOutput, match="scores"):
        clamp_scores(np.array([*before, poison, *after], np.float32))
