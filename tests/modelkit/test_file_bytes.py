"""FileBytes and Region: nothing is read beyond a part, and no more than a model can need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from visiond.modelkit import file_bytes
from visiond.modelkit.file_bytes import Damaged, FileBytes, Region

SIZE = 3 << 20


@pytest.fixture
def content(tmp_path: Path) -> Iterator[FileBytes]:
    path = tmp_path / "f"
    path.write_bytes((bytes(range(251)) * (SIZE // 251 + 1))[:SIZE])
    with path.open("rb") as file:
        yield FileBytes(file.fileno())


@pytest.mark.parametrize(("position", "length"), [(0, 4), (65_534, 4), (1 << 20, 200_000), (SIZE - 3, 3), (7, 0)])
def test_bytes_are_those_of_the_file_also_across_blocks(content: FileBytes, position: int, length: int) -> None:
    assert content.read(position, length) == bytes(each % 251 for each in range(position, position + length))


@pytest.mark.parametrize(("position", "length"), [(-1, 4), (SIZE - 3, 4), (SIZE + 1, 0), (0, -1), (1 << 70, 1)])
def test_nothing_is_read_beyond_the_file(content: FileBytes, position: int, length: int) -> None:
    with pytest.raises(Damaged, match="beyond its end"):
        content.read(position, length)


@pytest.mark.parametrize(("position", "length"), [(-1, 4), (7, 4), (11, 0), (0, -1), (1 << 70, 1)])
def test_nothing_is_read_beyond_a_part_though_the_file_goes_on(content: FileBytes, position: int, length: int) -> None:
    part = Region(content).part(100, 10)
    assert part.read(6, 4) == bytes([106, 107, 108, 109])
    with pytest.raises(Damaged, match="beyond the end of a part of 10"):
        part.read(position, length)
    with pytest.raises(Damaged, match="beyond the end of 10"):
        part.part(position, length)


def test_no_more_is_read_than_a_model_can_need(content: FileBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(file_bytes.MAX_READ_BYTES >> 20):
        content.read(0, 1 << 20)
    with pytest.raises(Damaged, match="over and over"):
        content.read(0, 1)
    monkeypatch.setattr(file_bytes, "_MAX_READS", 5)
    few = FileBytes(content._descriptor)
    for _ in range(5):
        few.read(0, 1)
    with pytest.raises(Damaged, match="over and over"):
        few.read(0, 1)
