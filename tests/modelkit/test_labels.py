"""Label files as they are found in the field."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visiond.modelkit.labels import MAX_LABELS, Labels, parse_labels

# Other work shares the cores: how long one example takes says nothing.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

words = st.text(st.characters(whitelist_categories=["L"]), min_size=1, max_size=12)


def names(text: str, offset: int = 0) -> tuple[str | None, ...]:
    return parse_labels(text.encode(), offset).names


@patient
@given(st.lists(words, min_size=1, max_size=30), st.booleans(), st.booleans(), st.booleans())
def test_fault_30_line_ends_and_a_byte_order_mark_do_not_matter(
    labels: list[str], crlf: bool, mark: bool, final: bool
) -> None:
    end = "\r\n" if crlf else "\n"
    content = (end.join(labels) + (end if final else "")).encode("utf-8-sig" if mark else "utf-8")
    assert parse_labels(content, 0).names == tuple(labels)


@patient
@given(st.lists(words, min_size=8, max_size=30), st.integers(-5, 5), st.integers(-10, 50))
def test_fault_30_class_id_plus_offset_is_the_line_and_no_id_is_an_error(
    labels: list[str], offset: int, class_id: int
) -> None:
    line = class_id + offset
    expected = labels[line] if class_id >= 0 and 0 <= line < len(labels) else None
    assert parse_labels("\n".join(labels).encode(), offset).name(class_id) == expected


def test_an_empty_line_and_a_placeholder_keep_their_place() -> None:
    assert names("???\nperson\n\n  \ncat\n") == (None, "person", None, None, "cat")
    assert names("???\nperson\n\n  \ncat\n", 1) == ("person", None, None, "cat")


def test_equal_labels_are_allowed_and_spaces_around_them_are_not_kept() -> None:
    assert names(" tie \ntie\n") == ("tie", "tie")


@pytest.mark.assets
def test_the_coco_file_has_its_label_on_the_line_after_the_class_id(assets: Path) -> None:
    content = (assets / "models" / "coco_ssd_mobilenet_v1_labels.txt").read_bytes()
    labels = parse_labels(content, 1)
    assert len(labels) == 90
    assert [labels.name(class_id) for class_id in (0, 15, 16, 17, 89)] == ["person", "bird", "cat", "dog", "toothbrush"]
    assert labels.name(11) is None  # one of the ten gaps
    assert labels.names.count(None) == 10


@pytest.mark.assets
def test_the_imagenet_file_begins_with_the_background(assets: Path) -> None:
    labels = parse_labels((assets / "models" / "imagenet_labels.txt").read_bytes(), 0)
    assert (len(labels), labels.name(0), labels.name(286)) == (1001, "background", "Egyptian cat")


# Numbered lines.


@pytest.mark.parametrize(
    "text",
    [
        "0  person\n1  bicycle\n3  traffic light\n",
        "0: person\n1: bicycle\n3: traffic light",
        "0\tperson\n1\tbicycle\n3\ttraffic light",
    ],
)
def test_lines_with_numbers_set_off_are_taken_by_them(text: str) -> None:
    assert names(text) == ("person", "bicycle", None, "traffic light")
    assert names(text, 1) == ("bicycle", None, "traffic light")


def test_lines_that_count_from_zero_are_taken_by_their_numbers() -> None:
    assert names("0 person\n1 bicycle\n2 car") == ("person", "bicycle", "car")


@pytest.mark.parametrize(
    "text",
    [
        "1 litre\n2 litre\n3 litre",  # not from 0, and not set off
        "0  person\nbicycle",  # one without a number
        "0  person\n0  bicycle",  # not rising
        "1  bicycle\n0  person",
        "7 up\ncola",
        "2 person tent\n4 person tent",
    ],
)
def test_numbers_that_may_belong_to_the_names_stay_in_them(text: str) -> None:
    assert names(text) == tuple(line.strip() for line in text.split("\n"))


# What is told, and what is refused.


def test_fault_30_ids_beyond_the_end_give_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    labels = Labels(("person", "bicycle"), "labels.txt")
    assert [labels.name(class_id) for class_id in (1, 2, 90, -1)] == ["bicycle", None, None, None]
    assert caplog.messages == [
        "class 2 has no label: labels.txt names 2 classes; its label is null; check labels.path and labels.offset"
    ]


def test_a_package_without_labels_does_not_warn(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert Labels().name(0) is None
    assert not caplog.messages


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"person\nb\xffcycle\n", "line 2 is not UTF-8; save the file as UTF-8"),
        (b"person\n" + b"x" * 129, "the label of class 1 has 129 characters; 128 are allowed"),
        (b"person\nbi\x1b[31mcycle", "line 2 holds a control character; remove it"),
        (b"person\0", "line 1 holds a control character; remove it"),
        (b"0  person\n7  " + b"x" * 129, "the label of class 7 has 129 characters; 128 are allowed"),
        (b"", "it names no class; put one label on each line"),
        (b"\n\n???\n", "it names no class; put one label on each line"),
        (b"x\n" * (MAX_LABELS + 1), f"it has {MAX_LABELS + 1} lines; {MAX_LABELS} are allowed"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_the_line(content: bytes, text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_labels(content, 0)
    assert str(refused.value) == text


def test_an_offset_beyond_the_file_is_refused() -> None:
    with pytest.raises(ValueError, match="names no class"):
        names("person\n", 5)


@patient
@given(st.binary(max_size=300), st.integers(-3, 3))
def test_fault_30_any_bytes_are_labels_or_refused_in_words(content: bytes, offset: int) -> None:
    try:
        labels = parse_labels(content, offset)
    except ValueError as error:
        text = str(error)
    else:
        text = ""
        assert any(labels.names)
        assert all(name is None or 0 < len(name) <= 128 for name in labels.names)
    assert "\n" not in text
    assert not text or any(word in text for word in ("UTF-8", "characters", "control character", "names no class"))
