import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond.edgetpu.holders import describe, node_holder, parse_lock_holder

LOCKS = """\
1: POSIX  ADVISORY  WRITE 511 00:17:1234 0 EOF
2: FLOCK  ADVISORY  WRITE 4190 00:17:1234 0 EOF
2: -> FLOCK  ADVISORY  WRITE 4191 00:17:1234 0 EOF
3: FLOCK  ADVISORY  READ 77 103:02:1234 0 EOF
4: FLOCK  ADVISORY  WRITE 0 00:17:99 0 EOF
5: FLOCK  ADVISORY  WRITE -1 00:17:98 0 EOF
"""


@pytest.mark.parametrize(
    ("major", "minor", "inode", "pid"),
    [(0, 0x17, 1234, 4190), (0x103, 2, 1234, 77), (0, 0x17, 99, None), (0, 0x17, 98, None), (0, 0x17, 123, None)],
)
def test_the_holder_of_a_flock_and_nobody_else(major: int, minor: int, inode: int, pid: int | None) -> None:
    assert parse_lock_holder(LOCKS, major, minor, inode) == pid


words = st.text(st.characters(exclude_categories=["Cs", "Nd"]))


@given(st.lists(words), st.lists(words), st.integers(1, 1 << 22), st.integers(0, 1 << 63))
def test_the_holder_is_found_among_any_other_lines(before: list[str], after: list[str], pid: int, inode: int) -> None:
    line = f"7: FLOCK  ADVISORY  WRITE {pid} 08:01:{inode} 0 EOF"
    assert parse_lock_holder("\n".join(before + after), 8, 1, inode) is None
    assert parse_lock_holder("\n".join([*before, line, *after]), 8, 1, inode) == pid


def test_the_open_node_of_a_real_process(tmp_path: Path) -> None:
    node = tmp_path / "003"
    node.touch()
    assert node_holder(node) is None
    with node.open():
        assert node_holder(node, first=(os.getpid(),)) == os.getpid()
        assert node_holder(node) == os.getpid()


def test_a_process_is_called_by_its_name_and_never_by_its_arguments(tmp_path: Path) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    assert describe(os.getpid()) == f"process {os.getpid()} ({name})"
    assert describe(12, tmp_path) == "process 12"
    assert describe(None) == "a process that this user cannot see"
