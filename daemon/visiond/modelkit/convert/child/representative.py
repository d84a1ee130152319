"""The representative pictures as input tensors: read and prepared by the engine's own code, as on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visiond.engine.preprocess import Preprocessor
from visiond.engine.tensors import TensorInfo
from visiond.errors import DataError, ModelError
from visiond.modelkit.evaluation.pictures import open_picture, pictures_in
from visiond.modelkit.manifest import InputRecipe

TensorShape = tuple[int, int, int, int]


def chosen_pictures(folder: Path, count: int) -> tuple[Path, ...]:
    """Return `count` pictures of the folder and its folders, or all, at even distances: of labelled ones some of each.

    Raises NoInputError, DataError in words.
    """
    found = pictures_in(folder)
    if len(found) <= count:
        return found
    return tuple(found[index * len(found) // count] for index in range(count))


class Representative:
    """Pictures that become float32 tensors of one shape by one recipe, each time they are asked for."""

    def __init__(self, recipe: InputRecipe, shape: TensorShape, pictures: Sequence[Path]) -> None:
        """Raises DataError where the recipe and the shape contradict each other."""
        info = TensorInfo(0, "input", shape, np.dtype(np.float32))
        try:
            self._preprocessor = Preprocessor(recipe, info)
        except ModelError as error:
            raise DataError(str(error)) from error
        self._shape = shape
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def tensors(self, tell: Callable[[int, int], None]) -> Iterator[NDArray[np.float32]]:
        """Yield (1, height, width, channels) for each; `tell(done, of)` after it.

        Raises DataError that names a picture which does not open.
        """
        for done, path in enumerate(self._pictures, start=1):
            tensor = np.empty(self._shape, np.float32)
            self._preprocessor.write(open_picture(path), tensor)
            yield tensor
            tell(done, len(self._pictures))
