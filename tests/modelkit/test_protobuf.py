"""Fields of protocol buffers: what Google's own library writes is read, and nothing else leads anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from visiond.modelkit import protobuf
from visiond.modelkit.file_bytes import Damaged, FileBytes, Region


def region(path: Path, content: bytes) -> Region:
    path.write_bytes(content)
    with path.open("rb") as file:
        size = len(content)
        held = FileBytes(file.fileno())
        if size:
            held.read(0, 1)  # the block stays in memory when the file is closed
        return Region(held, 0, size)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m"


WHOLE = st.integers(-(2**63), 2**63 - 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dims=st.lists(WHOLE, max_size=8), name=st.text(max_size=300), raw=st.binary(max_size=300), reals=st.lists(WHOLE))
def test_what_the_official_library_writes(path: Path, dims: list[int], name: str, raw: bytes, reals: list[int]) -> None:
    tensor = TensorProto(dims=dims, name=name, raw_data=raw, int64_data=reals)
    found = list(protobuf.fields(region(path, tensor.SerializeToString())))
    assert [protobuf.number(value) for slot, value in found if slot == 1] == dims
    fields = dict(found)
    assert (protobuf.text(fields[8], 4000) if 8 in fields else "") == name
    held = protobuf.message(fields[9])
    assert held.read(0, held.size) == raw
    if reals:  # packed
        assert protobuf.numbers(fields[7], len(reals)) == reals


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=64))
def test_anything_is_read_or_damaged(path: Path, content: bytes) -> None:
    try:
        for _, value in protobuf.fields(region(path, content)):
            if isinstance(value, Region):
                assert value.size <= len(content)
    except Damaged:
        pass


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x80" * 20, "a number has no end"),
        (b"\x08", "a number has no end"),
        (b"\x00\x01", "has the number 0"),
        (b"\x0b", "is of kind 3"),
        (b"\x0a\x7fabc", "beyond the end"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "beyond the end"),
        (b"\x09abc", "beyond the end"),
    ],
)
def test_what_does_not_fit_is_damage(path: Path, content: bytes, words: str) -> None:
    with pytest.raises(Damaged, match=words):
        list(protobuf.fields(region(path, content)))


def test_a_number_is_no_message_and_a_message_no_number(path: Path) -> None:
    with pytest.raises(Damaged, match="a number stands where a message should"):
        protobuf.message(7)
    with pytest.raises(Damaged, match="a message stands where a number should"):
        protobuf.number(region(path, b"abc"))
