"""The references of training conventions; tests/convert compares them with the frameworks themselves."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import Quantization, TensorInfo
from visiond.modelkit.manifest import Convention as ConventionName
from visiond.modelkit.manifest import InputRecipe, Interpolation, Resize
from visiond.modelkit.verify import resampling
from visiond.modelkit.verify.conventions import conventions
from visiond.modelkit.verify.preprocessing import best_interpolation, preprocessing_parity
from visiond.modelkit.verify.probes import noise, ramps

AXES = [
    resampling.nearest_centre,
    resampling.nearest_corner,
    resampling.bilinear,
    resampling.bilinear_antialias,
    resampling.bicubic_antialias,
    resampling.bicubic_tensorflow,
    resampling.bicubic_torch,
    resampling.area,
]


def info(width: int, height: int, dtype: str = "uint8") -> TensorInfo:
    quantization = None if dtype == "float32" else Quantization(1.0, 0)
    return TensorInfo(0, "picture", (1, height, width, 3), np.dtype(dtype), quantization)


def recipe(**changes: Any) -> InputRecipe:
    return InputRecipe.model_validate({"mean": (0.0,) * 3, "std": (1.0,) * 3, **changes})


@pytest.mark.parametrize("axis", AXES)
@given(st.integers(1, 90), st.integers(1, 90))
def test_weights_add_up_and_keep_a_flat_picture_flat(axis: resampling.Axis, length: int, wanted: int) -> None:
    weights = axis(length, wanted)
    assert weights.shape == (wanted, length)
    np.testing.assert_allclose(weights.sum(axis=1), 1)


@pytest.mark.parametrize("axis", AXES)
def test_the_same_size_changes_nothing(axis: resampling.Axis) -> None:
    np.testing.assert_allclose(axis(17, 17), np.eye(17), atol=1e-12)


def test_bilinear_by_hand() -> None:
    """Four pixels to two: their centres lie at 0.5 and 2.5. Antialiased, the triangle is two pixels wide."""
    np.testing.assert_allclose(resampling.bilinear(4, 2), [[0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5]])
    np.testing.assert_allclose(
        resampling.bilinear_antialias(4, 2), np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7, atol=1e-12
    )
    np.testing.assert_allclose(resampling.area(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


@pytest.mark.parametrize("name", ["pil_bilinear", "pil_bicubic"])
@given(st.tuples(*[st.integers(1, 70)] * 4), st.integers(0, 1 << 30))
def test_the_devices_pil_resizes_equal_pillow_on_every_pixel(
    name: str, sizes: tuple[int, int, int, int], seed: int
) -> None:
    width, height, new_width, new_height = sizes
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    method = {"pil_bilinear": Image.Resampling.BILINEAR, "pil_bicubic": Image.Resampling.BICUBIC}[name]
    theirs = np.asarray(Image.fromarray(picture[:, :, ::-1].copy()).resize((new_width, new_height), method))
    ours = np.empty((1, new_height, new_width, 3), np.uint8)
    Preprocessor(recipe(interpolation=name), info(new_width, new_height)).write(picture, ours)
    np.testing.assert_array_equal(ours[0], theirs)


@pytest.mark.parametrize("resize", get_args(Resize))
@pytest.mark.parametrize("interpolation", get_args(Interpolation))
def test_each_recipe_of_the_device_is_exactly_its_own_librarys_convention(resize: str, interpolation: str) -> None:
    library = (
        interpolation.replace("pil_", "torchvision_pil_") if "pil_" in interpolation else f"opencv_{interpolation}"
    )
    pictures = [noise()[:301, :403], ramps()]
    found = preprocessing_parity(recipe(resize=resize, interpolation=interpolation), info(96, 96), pictures)
    exact = {each.name for each in found if each.is_exact}
    assert library in exact, [(each.name, each.max_quanta) for each in found[:3]]
    assert found[0].is_exact


def test_no_antialias_and_antialias_are_worlds_apart() -> None:
    """The commonest mistake: OpenCV's bilinear for a training with Pillow's."""
    found = {each.name: each for each in preprocessing_parity(recipe(), info(96, 96), [noise()])}
    assert found["tensorflow_bilinear"].max_quanta <= 1
    assert found["torchvision_pil_bilinear"].mean_quanta > 10
    name, best = best_interpolation("torchvision_pil_bilinear", recipe(), info(96, 96), [noise()])
    assert (name, best.is_exact) == ("pil_bilinear", True)


@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize("color", ["rgb", "bgr", "gray"])
def test_every_type_of_input_and_every_colour(dtype: str, color: str) -> None:
    channels = 1 if color == "gray" else 3
    own = InputRecipe.model_validate(
        {"mean": (127.5,) * channels, "std": (127.5,) * channels, "color": color, "interpolation": "pil_bilinear"}
    )
    quantization = Quantization(1 / 127.5, 0) if dtype == "int8" else None
    tensor = TensorInfo(0, "picture", (1, 48, 64, channels), np.dtype(dtype), quantization)
    found = {each.name: each for each in preprocessing_parity(own, tensor, [noise()])}
    assert found["tensorflow_bilinear_antialias"].max_quanta <= 2, "rounding"
    if color != "gray":  # grey is made before the resize there, after it here: both round
        assert found["pillow_bilinear"].is_exact
    else:
        assert found["pillow_bilinear"].max_quanta <= 2


def test_model_yaml_can_name_each_convention() -> None:
    assert list(get_args(ConventionName)) == [each.name for each in conventions()]


def test_a_recipe_is_no_manifest() -> None:
    """Stages take any object with a recipe's names."""
    own = SimpleNamespace(
        resize="stretch", interpolation="area", shorter_side=None, color="rgb", mean=(0.0,) * 3, std=(1.0,) * 3, pad=0
    )
    assert preprocessing_parity(own, info(64, 48), [noise()])[0].name == "opencv_area"
