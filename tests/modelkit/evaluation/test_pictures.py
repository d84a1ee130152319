"""Pictures of an evaluation: each is opened before anything relies on it, and all the bad ones are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelkit.evaluation.drawn import picture
from visiond.modelkit.evaluation.pictures import PictureProblem, check_pictures, open_picture


def test_a_picture_that_does_not_open(tmp_path: Path) -> None:
    cut = picture(tmp_path / "cut.png", (200, 200))
    cut.write_bytes(cut.read_bytes()[:60])
    for path, words in ((cut, "is no picture that can be used"), (tmp_path / "gone.png", "does not exist")):
        with pytest.raises(PictureProblem, match=words):
            open_picture(path)


def test_all_the_bad_pictures_are_named_at_once(tmp_path: Path) -> None:
    paths = [picture(tmp_path / f"{number}.png", (200, 200)) for number in range(8)]
    told: list[tuple[int, int]] = []
    check_pictures(paths, {}, lambda done, of: told.append((done, of)))
    assert told == [(done, 8) for done in range(1, 9)]
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    paths[4].unlink()
    with pytest.raises(
        PictureProblem, match=r"1\.png is no picture .*, .*4\.png does not exist; copy them again, or take"
    ):
        check_pictures(paths, {}, lambda _done, _of: None)
    for path in paths:
        path.write_bytes(b"")
    with pytest.raises(PictureProblem) as error:
        check_pictures(paths, {}, lambda _done, _of: None)
    assert str(error.value).count("is no picture") == 5
    assert "and 3 more of 8 that cannot be used" in str(error.value)
