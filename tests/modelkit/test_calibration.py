"""Calibration range against preprocessing: the same arithmetic as the engine's, and what is worth a remark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.engine.tensors import Quantization, TensorInfo, pixel_table
from visiond.modelkit.calibration import calibration_remark, pixel_levels
from visiond.modelkit.tflite_file import open_model
from visiond.modelkit.tflite_model import TensorFacts

IMAGENET = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def facts(dtype: str, scale: float | None, zero_point: int | None) -> TensorFacts:
    return TensorFacts(0, "in", (1, 4, 4, 3), dtype, scale, zero_point, 0 if scale is None else 1)


@given(
    st.sampled_from(["uint8", "int8", "int16"]),
    st.floats(2**-13, 2.0, width=32),
    st.integers(-128, 255),
    st.floats(-10, 255),
    st.floats(0.01, 300),
)
def test_levels_are_those_that_the_engine_writes(
    dtype: str, scale: float, zero_point: int, mean: float, std: float
) -> None:
    info = TensorInfo(0, "in", (1, 4, 4, 1), np.dtype(dtype), Quantization(scale, zero_point))
    low, high = facts(dtype, scale, zero_point).levels or (0, 0)
    ours = [min(max(level, low), high) for level in pixel_levels(mean, std, facts(dtype, scale, zero_point))]
    assert ours == pixel_table([mean], [std], info)[:, 0].tolist()


@given(
    st.floats(-1e308, 1e308), st.floats(5e-324, 1e308), st.floats(2**-149, 2**127, width=32), st.integers(-(2**63), 0)
)
def test_absurd_numbers_are_survived(mean: float, std: float, scale: float, zero_point: int) -> None:
    text = calibration_remark([mean], [std], facts("int8", scale, zero_point))
    assert text is None or "levels are used" in text


@pytest.mark.parametrize(
    ("dtype", "scale", "zero_point", "mean", "std"),
    [
        ("uint8", 1 / 128, 128, [128] * 3, [128] * 3),
        ("uint8", 1 / 128, 128, [127.5] * 3, [127.5] * 3),  # 255 is cut, by one level
        ("uint8", 1 / 127.5, 127, [127.5] * 3, [127.5] * 3),
        ("int8", 1 / 255, -128, [0] * 3, [255] * 3),
        ("uint8", 1 / 255, 0, [0] * 3, [255] * 3),
        ("uint8", None, None, [0] * 3, [1] * 3),  # MoveNet: raw pixels
        ("int8", 0.018658, -14, *IMAGENET),
        ("float32", None, None, [0] * 3, [255] * 3),
    ],
)
def test_ranges_that_fit_are_not_remarked_on(
    dtype: str, scale: float | None, zero_point: int | None, mean: list[float], std: list[float]
) -> None:
    assert calibration_remark(mean, std, facts(dtype, scale, zero_point)) is None


@pytest.mark.assets
def test_the_published_yolov8n_uses_55_of_256_levels(assets: Path) -> None:
    with open_model(assets / "models" / "yolov8n_full_integer_quant.tflite") as model:
        text = calibration_remark([0] * 3, [255] * 3, model.input_tensors[0])
    assert text is not None
    assert "calibrated for -2.127 to 2.631 (ImageNet's, nearly), and pixels come to 0.000 to 1.000" in text
    assert "55 of 256 levels are used;" in text
    assert "mean: [123.675, 116.28, 103.53] and std: [58.395, 57.12, 57.375]" in text


def test_half_of_the_range_is_remarked_on() -> None:
    text = calibration_remark([0] * 3, [255] * 3, facts("uint8", 1 / 128, 128))
    assert text is not None
    assert "(-1 to 1, nearly)" in text
    assert "128 of 256 levels are used" in text
    assert "cut off" not in text


def test_pixels_beyond_the_range_are_counted() -> None:
    text = calibration_remark([127.5] * 3, [127.5] * 3, facts("uint8", 1 / 255, 0))
    assert text is not None
    assert "127 of 256 pixel values are cut off" in text  # below zero, but for the one that rounds to it


def test_pictures_that_were_too_dark_are_a_cause_where_pixels_are_cut_off() -> None:
    """The preprocessing was right; the brightest pixel of all pictures was 231."""
    text = calibration_remark([0] * 3, [255] * 3, facts("int8", 231 / 255 / 255, -128))
    assert text is not None
    assert "cut off; calibrate the model again with pictures that have gone through" in text
    assert "and with brighter, darker, more varied ones (--representative) where they had, or " in text
    wide = calibration_remark([0] * 3, [255] * 3, facts("uint8", 1 / 128, 128))
    assert wide is not None
    assert "more varied" not in wide  # no picture makes a range wider than pixels are


def test_an_input_of_raw_values_wants_raw_pixels() -> None:
    text = calibration_remark([127.5] * 3, [127.5] * 3, facts("uint8", None, None))
    assert text is not None
    assert "calibrated for 0 to 255, for it has no scale" in text
    assert "2 of 256 levels are used" in text


def test_a_range_that_is_nobodys_gets_no_guess() -> None:
    text = calibration_remark([0] * 3, [255] * 3, facts("uint8", 0.05, 7))
    assert text is not None
    assert "or give the mean and std that it was calibrated with" in text
    assert "nearly" not in text


def test_the_worst_channel_counts() -> None:
    text = calibration_remark([0, 0, 0], [255, 255, 2550], facts("int8", 1 / 255, -128))
    assert text is not None
    assert " 27 of 256 levels" in text  # 0 to 25.5, of which the last ones round up
