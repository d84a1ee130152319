"""The pictures that variants are compared on: given ones, the package's golden ones, and drawn ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from visiond.errors import ConfigError
from visiond.modelkit.evaluation.pictures import pictures_in
from visiond.modelkit.package import Package
from visiond.modelkit.runner import Picture

_SIZE: Final = (480, 640)
_SEED: Final = 7


@dataclass(frozen=True, slots=True)
class Probe:
    """A picture's file; `is_drawn`: made here, so that what is found in it means nothing."""

    name: str
    path: Path
    is_drawn: bool


def probes_of(package: Package, pictures: Path | None, most: int, scratch: Path) -> tuple[Probe, ...]:
    """Return `most` pictures of a folder, evenly taken, else the golden ones; and two drawn ones, put into `scratch`.

    Raises NoInputError or DataError in words for a folder without pictures, ConfigError at model.yaml's line for a
    golden picture that is not there.
    """
    if pictures is not None:
        found = pictures_in(pictures)
        paths = found if len(found) <= most else tuple(found[n * len(found) // most] for n in range(most))
    else:
        problems = package.golden_problems()
        if problems:
            raise ConfigError("\n".join(problems))
        paths = tuple(dict.fromkeys(package.folder / example.image for example in package.golden))[:most]
    real = tuple(Probe(path.name, path, False) for path in paths)
    return real + tuple(_drawn(name, picture, scratch) for name, picture in (("noise", noise()), ("ramps", ramps())))


def noise() -> Picture:
    """Every pixel by chance: the hardest for a resize."""
    return np.random.default_rng(_SEED).integers(0, 256, (*_SIZE, 3), np.uint8)


def ramps() -> Picture:
    """Every level of each channel, in another direction each: shows ranges, colours and what is cut off."""
    height, width = _SIZE
    across = np.linspace(0, 255, width)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.rint(np.stack([across, down, 255 - across], axis=2)).astype(np.uint8)


def _drawn(name: str, picture: Picture, scratch: Path) -> Probe:
    path = scratch / f"{name}.png"
    cv2.imwrite(str(path), picture)
    return Probe(name, path, True)
