"""Whether the wall clock is synchronized, also where the kernel may not be asked."""

from pathlib import Path

import pytest

from visiond import clock


class Kernel:
    """Answers adjtimex(2) as it is told to."""

    def __init__(self, answer: int) -> None:
        self.answer = answer

    def adjtimex(self, _: object) -> int:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "marker", "synced"),
    [
        (0, False, True),  # TIME_OK
        (5, True, False),  # TIME_ERROR: set by hand since, whatever timesyncd has said
        (-1, True, True),  # EPERM, as below ProtectClock=
        (-1, False, False),
    ],
)
def test_the_kernel_is_asked_and_else_the_marker(
    answer: int, marker: bool, synced: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "_libc", lambda: Kernel(answer))
    path = tmp_path / "synchronized"
    if marker:
        path.touch()
    assert clock.wall_synced(path) is synced


def test_this_kernel_answers() -> None:
    assert clock.wall_synced() in (True, False)
