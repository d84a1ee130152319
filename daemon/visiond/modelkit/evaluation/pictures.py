"""Pictures for an evaluation: found, opened, and checked before hours of work rely on them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Final

from visiond.cameras.pictures import SUFFIXES, PictureError, read_picture
from visiond.errors import DataError, NoInputError
from visiond.modelkit.runner import Picture

_MOST_NAMED: Final = 5  # of bad pictures


class PictureProblem(DataError):
    """A picture of a dataset does not open: no model's fault."""


def open_picture(path: Path) -> Picture:
    """Return a picture as BGR. Raises PictureProblem in words where it does not open."""
    try:
        return read_picture(path)[0]
    except PictureError as error:
        raise PictureProblem(f"{path} {_why_not(path, error)}; copy it again, or take it out") from error


def check_pictures(
    paths: Collection[Path], sizes: Mapping[Path, tuple[int, int]], on_progress: Callable[[int, int], None]
) -> None:
    """Open each one, before hours of work. `sizes`: the width and height that some have to have.

    Raises PictureProblem that names all the bad ones, or the first five.
    """
    bad = []
    for number, path in enumerate(paths):
        try:
            height, width = read_picture(path)[0].shape[:2]
            if sizes.get(path, (width, height)) != (width, height):
                told = "×".join(map(str, sizes[path]))
                bad.append(f"{path} has {width}×{height} pixels, its annotations are for {told}: annotate it as it is")
        except PictureError as error:
            bad.append(f"{path} {_why_not(path, error)}")
        on_progress(number + 1, len(paths))
    if bad:
        others = len(bad) - _MOST_NAMED
        more = f", and {others} more of {len(paths)} that cannot be used" if others > 0 else ""
        them = "it" if len(bad) == 1 else "them"
        raise PictureProblem(f"{', '.join(bad[:_MOST_NAMED])}{more}; copy {them} again, or take {them} out")


def _why_not(path: Path, error: PictureError) -> str:
    return f"is no picture that can be used ({error})" if path.exists() else "does not exist"


def pictures_in(folder: Path) -> tuple[Path, ...]:
    """Return the pictures of a folder by name, those of its folders too. Raises NoInputError, DataError in words."""
    if not folder.is_dir():
        raise NoInputError(f"{folder} is no folder; give a folder with pictures")
    found = tuple(sorted(each for each in folder.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file()))
    if not found:
        raise DataError(f"{folder} holds no picture; put some there ({' '.join(SUFFIXES)})")
    return found
