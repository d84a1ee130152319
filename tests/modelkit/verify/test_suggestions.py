"""Suggested tolerances: they hold, they could break, and what is left out or not looked at is said."""

from __future__ import annotations

from dataclasses import replace

from modelkit.verify.test_tolerances import FOUND, OUTPUT, REFERENCE, variant
from visiond.modelkit.manifest import Tolerances
from visiond.modelkit.verify.preprocessing import ConventionParity
from visiond.modelkit.verify.suggestions import drawn_alone, not_suggested, suggested
from visiond.modelkit.verify.tolerances import broken_by_variant

DRAWN = replace(OUTPUT, max_quanta=90.0, mean_quanta=25.8)
REAL, NAMES = ("cat.jpg",), ("noise", "ramps")


def test_what_is_suggested_holds() -> None:
    found = suggested((variant(),), (ConventionParity("opencv_area", "", 1, 0, 0),), "detection")
    limits = Tolerances.model_validate(found)
    assert list(broken_by_variant(limits, variant(), REFERENCE, None)) == []
    assert limits.convention == "opencv_area"


def test_what_could_never_break_is_left_out_with_the_reason() -> None:
    lost = variant(findings=replace(FOUND, top1=None, objects=12, unmatched=3, min_iou=0.0))
    assert "min_iou" not in suggested((variant(), lost), (), "detection")
    (why,) = not_suggested((variant(), lost))
    assert why.startswith("min_iou is not suggested: only one of cpu and the reference finds 3 of 12 objects")
    apart = variant(findings=replace(FOUND, top1=0.05))
    assert "min_top1_agreement" not in suggested((apart,), (), "classification")
    (why,) = not_suggested((apart,))
    assert "the reference's first class in 5% of the pictures" in why
    assert list(not_suggested((variant(),))) == []


def test_ranked_rows_suggest_nothing_as_they_break_nothing() -> None:
    assert "mean_quanta" not in suggested((variant(outputs=(replace(DRAWN, kind="ranked"),)),), (), "detection")


def test_the_real_pictures_are_what_is_suggested_from_and_what_only_the_drawn_break_is_said() -> None:
    both = (variant(outputs=(DRAWN,), judged=(OUTPUT,)),)
    found = suggested(both, (), "detection")
    assert (found["max_quanta"], found["mean_quanta"]) == (7.0, 0.8)
    largest, mean = drawn_alone(Tolerances.model_validate(found), both, REAL, NAMES)
    assert largest.startswith("max_quanta: 7 does not hold with the drawn pictures (noise, ramps): 90 of cpu, output")
    assert mean.startswith("mean_quanta: 0.8 does not hold with the drawn pictures (noise, ramps): 25.8 of cpu, output")


def test_nothing_is_said_of_drawn_pictures_that_are_judged_or_hold() -> None:
    strict, loose = (Tolerances.model_validate({"mean_quanta": most}) for most in (0.1, 30.0))
    both = (variant(outputs=(DRAWN,), judged=(OUTPUT,)),)
    assert list(drawn_alone(loose, both, REAL, NAMES)) == []
    assert list(drawn_alone(strict, both, REAL, NAMES)) == [], "the real ones break it too"
    assert list(drawn_alone(strict, (variant(outputs=(DRAWN,)),), (), NAMES)) == [], "there are no others"


def test_the_reference_itself_suggests_nothing_of_how_alike_they_are() -> None:
    same = variant(is_reference=True)
    assert set(suggested((same,), (), "detection")) == {"min_accuracy"}
    assert set(suggested((same, variant()), (), "detection")) > {"min_accuracy", "max_quanta", "min_iou"}
