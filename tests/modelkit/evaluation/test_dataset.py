"""Datasets: what is read, and what is refused in a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelkit.evaluation.drawn import picture
from visiond.errors import DataError, NoInputError, UsageError, VisiondError
from visiond.modelkit.evaluation.dataset import CocoDataset, load_dataset, sizes_told
from visiond.modelkit.evaluation.pictures import PictureProblem, check_pictures
from visiond.modelkit.labels import Labels

LABELS = Labels(["background", "hot dog", "crane", None, "crane"])


def coco(folder: Path, **changes: Any) -> Path:
    picture(folder / "images" / "a.png", (40, 30))
    content = {
        "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 30}],
        "annotations": [{"image_id": 7, "category_id": 52, "bbox": [4, 3, 20, 15]}],
        "categories": [{"id": 52, "name": "hot dog"}, {"id": 53, "name": "pizza"}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_folders_are_classes(tmp_path: Path) -> None:
    picture(tmp_path / "Hot_Dog" / "b.png")
    picture(tmp_path / "crane" / "a.jpg")
    (tmp_path / "crane" / "notes.txt").write_text("")
    found = load_dataset(tmp_path, LABELS, "classification")
    assert [(each.name, ids) for each, ids in zip(found.paths, [{1}, {2, 4}], strict=True)] == [
        ("b.png", {1}),
        ("a.jpg", {2, 4}),
    ]
    assert [set(each.class_ids) for each in found.pictures] == [{1}, {2, 4}], "two classes of one name: either is right"


def test_a_folder_that_is_no_label_is_named_with_the_nearest(tmp_path: Path) -> None:
    picture(tmp_path / "hotdog" / "a.png")
    picture(tmp_path / "xyzzy" / "a.png")
    with pytest.raises(DataError, match=r"'hotdog' \(the nearest label is 'hot dog'\), 'xyzzy' is none of the package"):
        load_dataset(tmp_path, LABELS, "classification")


def test_fewer_pictures_are_drawn_evenly(tmp_path: Path) -> None:
    for name in ("hot dog", "crane"):
        for number in range(10):
            picture(tmp_path / name / f"{number}.png")
    found = load_dataset(tmp_path, LABELS, "classification", most=4)
    assert sorted(each.parent.name for each in found.paths) == ["crane", "crane", "hot dog", "hot dog"]


def test_coco_is_matched_by_name_and_its_ids_become_the_packages(tmp_path: Path) -> None:
    found = load_dataset(coco(tmp_path), LABELS, "detection")
    assert found.paths == (tmp_path / "images" / "a.png",)
    assert not hasattr(found, "class_ids")
    (annotation,) = found.truth["annotations"]  # type: ignore[union-attr]
    assert (annotation["category_id"], annotation["area"], annotation["iscrowd"]) == (1, 300, 0)
    assert load_dataset(tmp_path, LABELS, "detection").paths == found.paths, "a folder with one json"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": None}, "has no list 'images'"),
        ({"images": []}, "names no images"),
        ({"annotations": [{"image_id": 7, "category_id": 53, "bbox": [0, 0, 1, 2]}]}, "'pizza' is none of"),
        ({"annotations": [{"image_id": 8, "category_id": 52, "bbox": [0, 0, 1, 1]}]}, "image 8, which is none"),
        ({"annotations": [{"image_id": 7, "category_id": 52, "bbox": [0, 0, 1]}]}, "bbox is [0, 0, 1]"),
        (
            {"annotations": [{"image_id": 7, "category_id": 52, "bbox": [0.1, 0.1, 0.5, 0.6]}]},
            "look like fractions of the picture; give [x, y, width, height] in pixels",
        ),
        ({"annotations": [{"image_id": 7, "bbox": [0, 0, 1, 1]}]}, "annotations[0] has no category_id"),
        ({"categories": [{"id": "x", "name": "hot dog"}]}, "no whole number"),
    ],
)
def test_what_is_not_cocos_is_refused_with_the_place(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as error:
        load_dataset(coco(tmp_path, **changes), LABELS, "detection")
    assert words in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_what_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "folders").mkdir()
    cases: list[tuple[Path, str, type[VisiondError], str]] = [
        (tmp_path / "none", "classification", NoInputError, "is no folder"),
        (tmp_path / "folders", "classification", DataError, "holds no labelled picture"),
        (tmp_path / "none.json", "detection", NoInputError, "cannot be read"),
        (tmp_path / "bad.json", "detection", DataError, "is no JSON"),
        (tmp_path / "list.json", "detection", DataError, "categories; give COCO's annotation file of boxes"),
        (tmp_path / "list.json", "classification", UsageError, "is a file, and .*; COCO's json is for detection"),
        (tmp_path / "folders", "detection", DataError, "holds no json, and detection is measured on COCO's"),
        (tmp_path, "detection", DataError, r"holds 2 json files \(bad.json, list.json\); give the one"),
        (tmp_path, "pose", UsageError, "not pose"),
    ]
    for path, task, kind, words in cases:
        with pytest.raises(kind, match=words):
            load_dataset(path, LABELS, task)


def test_one_small_box_in_a_corner_is_no_fraction(tmp_path: Path) -> None:
    boxes = ([0, 0, 1, 1], [10, 10, 20, 15])
    annotations = [{"image_id": 7, "category_id": 52, "bbox": box} for box in boxes]
    found = load_dataset(coco(tmp_path, annotations=annotations), LABELS, "detection")
    assert isinstance(found, CocoDataset)
    assert len(found.truth["annotations"]) == 2


def test_annotations_of_a_picture_that_had_another_size_are_found_before_the_work(tmp_path: Path) -> None:
    """Their boxes would be measured against, and nothing would fit."""
    found = load_dataset(coco(tmp_path), LABELS, "detection")
    check_pictures(found.paths, sizes_told(found), lambda _done, _of: None)
    picture(tmp_path / "images" / "a.png", (80, 60))
    with pytest.raises(PictureProblem, match=r"a\.png has 80×60 pixels, its annotations are for 40×30"):
        check_pictures(found.paths, sizes_told(found), lambda _done, _of: None)
    coco(tmp_path, images=[{"id": 7, "file_name": "a.png"}])
    picture(tmp_path / "images" / "a.png", (80, 60))
    assert sizes_told(load_dataset(tmp_path, LABELS, "detection")) == {}
