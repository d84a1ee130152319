"""Preprocessing parity: the input tensor that the device makes, against each training convention's, value by value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

import numpy as np
from numpy.typing import NDArray

from visiond.engine.preprocess import Preprocessor, Recipe
from visiond.engine.tensors import TensorInfo, quantize
from visiond.modelkit.manifest import InputRecipe, Interpolation
from visiond.modelkit.runner import Picture
from visiond.modelkit.verify.conventions import Convention, conventions

_ALIKE: Final = 0.01  # of a pixel level: real inputs differ in their last bits


@dataclass(frozen=True, slots=True)
class ConventionParity:
    """How near the device's input tensors are to a convention's, over all pictures.

    `equal` is the share of equal values, 0 to 1; the differences are in quanta of the input tensor, in pixel levels
    where it holds real values.
    """

    name: str
    what: str
    equal: float
    max_quanta: float
    mean_quanta: float

    @property
    def is_exact(self) -> bool:
        """Whether every value is equal."""
        return self.equal == 1.0


def preprocessing_parity(recipe: Recipe, info: TensorInfo, pictures: Sequence[Picture]) -> list[ConventionParity]:
    """Compare the device's pipeline with every convention, the nearest first; `info` is the model's input."""
    values = _tensors(recipe, info, pictures)
    found = [_parity(convention, recipe, info, pictures, values) for convention in conventions()]
    return sorted(found, key=lambda each: (each.mean_quanta, -each.equal))


def best_interpolation(
    name: str, recipe: InputRecipe, info: TensorInfo, pictures: Sequence[Picture]
) -> tuple[str, ConventionParity]:
    """Return which `interpolation` of the package format comes nearest to a convention, and how near."""
    convention = next(each for each in conventions() if each.name == name)
    found = []
    for interpolation in get_args(Interpolation):
        other = recipe.model_copy(update={"interpolation": interpolation})
        found.append((interpolation, _parity(convention, other, info, pictures, _tensors(other, info, pictures))))
    return min(found, key=lambda each: each[1].mean_quanta)


def differences(
    convention: Convention, recipe: Recipe, info: TensorInfo, picture: Picture, values: NDArray[Any]
) -> NDArray[np.float64]:
    """Return |device - convention| of one picture, (height, width, channels), in quanta or pixel levels."""
    _, height, width, _ = info.shape
    real = (convention.pixels(picture, recipe, (width, height)) - np.asarray(recipe.mean)) / np.asarray(recipe.std)
    gaps: NDArray[np.float64] = np.abs(values[0].astype(np.float64) - quantize(real, info).astype(np.float64))
    if info.dtype.kind != "f":
        return gaps
    levels = gaps * np.asarray(recipe.std)
    return np.asarray(np.where(levels < _ALIKE, 0.0, levels))


def _tensors(recipe: Recipe, info: TensorInfo, pictures: Sequence[Picture]) -> list[NDArray[Any]]:
    """What the device makes of the pictures."""
    preprocessor = Preprocessor(recipe, info)
    values = [np.empty(info.shape, info.dtype) for _ in pictures]
    for tensor, picture in zip(values, pictures, strict=True):
        preprocessor.write(picture, tensor)
    return values


def _parity(
    convention: Convention,
    recipe: Recipe,
    info: TensorInfo,
    pictures: Sequence[Picture],
    values: Sequence[NDArray[Any]],
) -> ConventionParity:
    gaps = np.concatenate(
        [
            differences(convention, recipe, info, picture, tensor).ravel()
            for picture, tensor in zip(pictures, values, strict=True)
        ]
    )
    return ConventionParity(
        convention.name, convention.what, float((gaps == 0).mean()), float(gaps.max()), float(gaps.mean())
    )
