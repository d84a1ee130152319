"""Files that are written whole or not at all, wherever the name leads."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from visiond.cli import main
from visiond.errors import UnavailableError
from visiond.modelkit.fetch.part_file import remedy
from visiond.modelkit.verify import verb
from visiond.modelkit.verify.files import check_writable, is_folder, write_whole


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "page.html", tmp_path / "elsewhere" / "real.html"
    target.parent.mkdir()
    target.write_text("before")
    link.symlink_to(target)
    check_writable(link)
    write_whole(link, b"now")
    assert link.is_symlink()
    assert target.read_text() == "now"
    assert sorted(tmp_path.rglob("*")) == sorted([link, target, target.parent]), "nothing is left beside"


@contextmanager
def closed_folder(mode: int) -> Iterator[Path]:
    """A folder of these permissions, and a user to whom they apply: root may enter and write everywhere."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        path = Path(parent) / "closed"
        path.mkdir()
        path.chmod(mode)
        ours = os.geteuid()
        if ours == 0:
            os.seteuid(65534)
        try:
            yield path
        finally:
            os.seteuid(ours)
            path.chmod(0o755)


def test_a_folder_that_may_not_be_entered_is_a_sentence() -> None:
    with closed_folder(0) as folder:
        assert not is_folder(folder / "page.html")
        with pytest.raises(UnavailableError, match="Permission denied; check the folder and its permissions, or look"):
            check_writable(folder / "page.html", "or look elsewhere")


def test_a_link_to_nothing_makes_its_target(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    write_whole(tmp_path / "link", b"now")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "now"


def test_a_pipe_stays_one_and_its_reader_gets_it(tmp_path: Path) -> None:
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    check_writable(pipe)  # returns without a reader
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write_whole(pipe, b"now")
    reader.join(10)
    assert read == [b"now"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_what_is_there_stays_until_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("before")
    check_writable(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_told_before_and_at_the_end() -> None:
    with closed_folder(0o555) as folder:
        for path, reason in (
            (folder / "page.html", "Permission denied"),
            (folder / "none" / "page.html", "No such file or directory"),
            (folder / ("x" * 256), "File name too long"),
        ):
            for attempt in (check_writable, lambda path: write_whole(path, b"now")):
                with pytest.raises(UnavailableError) as caught:
                    attempt(path)
                text = str(caught.value)
                assert text.startswith(f"{path} cannot be written: {reason}")
                assert text.endswith("; check the folder and its permissions, or give another place")
        assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "make room there"),
        (errno.EDQUOT, "make room there"),
        (errno.EACCES, "check the folder and its permissions"),
        (errno.EROFS, "check the folder and its permissions"),
    ],
)
def test_the_remedy_is_that_of_the_reason(number: int, words: str) -> None:
    assert remedy(OSError(number, os.strerror(number))) == words


@pytest.mark.parametrize(
    ("option", "asked"),
    [
        (["--html", "/sys/kernel/page.html"], "/sys/kernel/page.html"),
        (["--record", "--pictures", "{package}"], "{package}/model.yaml"),
    ],
)
def test_a_verification_asks_before_it_begins(
    root: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: list[str],
    asked: str,
) -> None:
    """Root may write nearly everywhere: that the package is read-only is only said."""
    package = root / "models" / "shapes"

    def refuse(path: Path, *_: str) -> None:
        raise UnavailableError(f"{path} cannot be written")

    monkeypatch.setattr(verb, "check_writable", refuse)
    arguments = [each.replace("{package}", str(package)) for each in option]
    assert main(["models", "verify", str(package), *arguments]) == 69
    assert capsys.readouterr().err == f"{asked.replace('{package}', str(package))} cannot be written\n"


@pytest.mark.slow
def test_a_report_whose_page_cannot_be_written_is_printed_all_the_same(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def verify(*given: Any) -> object:
        folder.rmdir()  # between the check and the end
        return real_verify(*given)

    real_verify = verb.verify
    monkeypatch.setattr(verb, "verify", verify)
    page = str(folder / "page.html")
    assert main(["models", "verify", str(root / "models" / "shapes"), "--html", page]) == 69
    printed = capsys.readouterr()
    assert "Outputs against the reference" in printed.out
    assert "written" not in printed.out
    assert f"{page} cannot be written: No such file or directory; check the folder" in printed.err
