"""Datasets: pictures of which it is known what is in them.

Labelled folders (one folder a class, named as in the package's labels) for classification, COCO's json for detection.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiond.cameras.pictures import SUFFIXES
from visiond.errors import DataError, NoInputError, UsageError
from visiond.modelkit.evaluation.coco_json import read_coco
from visiond.modelkit.labels import Labels


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A picture of one class; several ids where the labels give it to several (ImageNet has two cranes)."""

    path: Path
    class_ids: frozenset[int]


@dataclass(frozen=True, slots=True)
class LabelledFolders:
    """Pictures with one class each."""

    path: Path
    pictures: tuple[LabelledPicture, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The pictures' files."""
        return tuple(each.path for each in self.pictures)


@dataclass(frozen=True, slots=True)
class CocoPicture:
    """A picture of a COCO file, by its `image_id`; boxes there are in pixels of it.

    `size` is its width and height as the file has them, None where it does not tell.
    """

    path: Path
    image_id: int
    size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class CocoDataset:
    """Pictures with boxes. `truth` is what pycocotools takes, its category ids replaced by the package's class ids."""

    path: Path
    pictures: tuple[CocoPicture, ...]
    truth: dict[str, Any]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The pictures' files."""
        return tuple(each.path for each in self.pictures)


Dataset = LabelledFolders | CocoDataset


def load_dataset(path: Path, labels: Labels, task: str, most: int | None = None) -> Dataset:
    """Read what is at `path`: a folder of folders, or a COCO json; `most` pictures of it, evenly drawn, None for all.

    Raises UsageError for a task that is not measured so, NoInputError where nothing is there, DataError in words.
    """
    if task == "classification":
        return _evenly(load_folders(path, labels), most)
    if task == "detection":
        return _evenly(load_coco(path, labels), most)
    raise UsageError(
        f"--dataset measures classification (labelled folders) and detection (COCO json), not {task}; "
        "compare the variants on --pictures instead"
    )


def load_folders(path: Path, labels: Labels) -> LabelledFolders:
    """Read a folder whose folders are classes. Raises NoInputError and DataError in words."""
    if path.is_file():
        raise UsageError(
            f"{path} is a file, and classification is measured on a folder with one folder of pictures for each class; "
            "COCO's json is for detection"
        )
    if not path.is_dir():
        raise NoInputError(f"{path} is no folder; give a folder with one folder of pictures for each class")
    folders = sorted(each for each in path.iterdir() if each.is_dir() and not each.name.startswith("."))
    ids = _class_ids(labels)
    unknown = [each.name for each in folders if _plain(each.name) not in ids]
    if unknown:
        raise DataError(f"{path}: {_unknown('folder', unknown, ids)}")
    found = tuple(
        LabelledPicture(picture, frozenset(ids[_plain(folder.name)]))
        for folder in folders
        for picture in sorted(folder.iterdir())
        if picture.suffix.lower() in SUFFIXES
    )
    if not found:
        raise DataError(
            f"{path} holds no labelled picture; put {' '.join(SUFFIXES)} files into one folder for each class in it"
        )
    return LabelledFolders(path, found)


def load_coco(path: Path, labels: Labels) -> CocoDataset:
    """Read COCO's json (`images`, `annotations`, `categories`); its pictures lie beside it, or below `images`.

    Categories are matched to the labels by name. Raises NoInputError and DataError in words.
    """
    if path.is_dir():
        path = _only_json(path)
    content = read_coco(path)
    ids = _class_ids(labels)
    used = {each["category_id"] for each in content["annotations"]}
    names = {each["id"]: str(each["name"]) for each in content["categories"]}
    unknown = sorted(names.get(each, f"id {each}") for each in used if _plain(names.get(each, "")) not in ids)
    if unknown:
        raise DataError(f"{path}: {_unknown('category', unknown, ids)}")
    class_of = {each: min(ids[_plain(name)]) for each, name in names.items() if _plain(name) in ids}
    annotations = [each | {"category_id": class_of[each["category_id"]]} for each in content["annotations"]]
    categories = [{"id": class_id, "name": labels.name(class_id)} for class_id in sorted(set(class_of.values()))]
    truth = content | {"annotations": annotations, "categories": categories}
    pictures = tuple(
        CocoPicture(_beside(path, each["file_name"]), each["id"], _size(each)) for each in content["images"]
    )
    return CocoDataset(path, pictures, truth)


def sizes_told(dataset: Dataset | None) -> dict[Path, tuple[int, int]]:
    """Return width and height of the pictures of which the dataset says it: its boxes are right for these alone."""
    pictures = dataset.pictures if isinstance(dataset, CocoDataset) else ()
    return {each.path: each.size for each in pictures if each.size is not None}


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _evenly(dataset: Dataset, most: int | None) -> Dataset:
    """Every n-th picture, so that each class keeps its share."""
    count = len(dataset.pictures)
    if most is None or count <= most:
        return dataset
    chosen = [number * count // most for number in range(most)]
    if isinstance(dataset, LabelledFolders):
        return LabelledFolders(dataset.path, tuple(dataset.pictures[each] for each in chosen))
    pictures = tuple(dataset.pictures[each] for each in chosen)
    kept = {each.image_id for each in pictures}
    truth = dataset.truth | {
        "images": [each for each in dataset.truth["images"] if each["id"] in kept],
        "annotations": [each for each in dataset.truth["annotations"] if each["image_id"] in kept],
    }
    return CocoDataset(dataset.path, pictures, truth)


def _class_ids(labels: Labels) -> dict[str, list[int]]:
    """Return the ids of each name, as `_plain` has it. Raises DataError where there are no labels."""
    ids: dict[str, list[int]] = {}
    for class_id, name in enumerate(labels.names):
        if name is not None:
            ids.setdefault(_plain(name), []).append(class_id)
    if not ids:
        raise DataError("the package names no labels, so a dataset's names mean nothing to it; give it labels")
    return ids


def _plain(name: str) -> str:
    """A folder cannot hold a slash, and tools write spaces as underscores."""
    return " ".join(name.casefold().replace("_", " ").replace("/", " ").split())


def _unknown(what: str, names: list[str], known: Iterable[str]) -> str:
    known = list(known)
    words = []
    for name in names[:5]:
        near = difflib.get_close_matches(_plain(name), known, 1)
        words.append(f"'{name}' (the nearest label is '{near[0]}')" if near else f"'{name}'")
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return (
        f"the {what} {', '.join(words)}{more} is none of the package's {len(known)} labels; "
        f"rename it, or correct the label file"
    )


def _only_json(folder: Path) -> Path:
    found = sorted(folder.glob("*.json"))
    if not found:
        raise DataError(
            f"{folder} holds no json, and detection is measured on COCO's annotation file; put it there, beside its "
            "pictures, or give it itself (folders of labelled pictures are for classification)"
        )
    if len(found) > 1:
        many = ", ".join(each.name for each in found)
        raise DataError(f"{folder} holds {len(found)} json files ({many}); give the one that is COCO's itself")
    return found[0]


def _beside(path: Path, name: str) -> Path:
    for folder in (path.parent, path.parent / "images"):
        if (folder / name).exists():
            return folder / name
    return path.parent / name
