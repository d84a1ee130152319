"""Which of the pictures that could be golden examples are taken."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from visiond.modelkit.verify import record
from visiond.modelkit.verify.record import spread

label_sets = st.lists(st.frozensets(st.sampled_from("abcd"), min_size=1), max_size=12)


def test_each_class_has_its_turn() -> None:
    found = [{"a"}, {"a"}, {"a"}, {"b"}, {"b"}, {"c"}]
    assert spread(list(enumerate(found)), lambda each: each[1], 3) == [(0, {"a"}), (3, {"b"}), (5, {"c"})]
    assert spread(list(enumerate(found)), lambda each: each[1], 5) == [
        (0, {"a"}),
        (1, {"a"}),
        (3, {"b"}),
        (4, {"b"}),
        (5, {"c"}),
    ]


@given(label_sets, st.integers(0, 13))
def test_as_many_as_there_are_in_their_order(found: list[frozenset[str]], most: int) -> None:
    chosen = [number for number, _ in spread(list(enumerate(found)), lambda each: each[1], most)]
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(most, len(found))
    labels = {label for each in found for label in each}
    assert len({label for number in chosen for label in found[number]}) >= min(most, len(labels), len(chosen))


def test_pictures_of_one_name_in_several_folders_have_names_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "golden-1.png").touch()
    assert record._free_name(tmp_path, "1.png", {"golden-1-1.png"}) == "golden-1-2.png"
    assert record._free_name(tmp_path, "2.png", set()) == "golden-2.png"
