"""`visiond models fetch`: from the web, a mirror or a folder, into a package that loads."""

from __future__ import annotations

import ctypes
import errno
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelkit.mirror import Mirror, slowly
from modelkit.zoo import COMMIT, FILES, LABELS, MODEL, TWIN, Zoo, write_catalogue
from visiond.cli import main
from visiond.errors import UnavailableError
from visiond.modelkit.fetch import staging
from visiond.modelkit.package import load_package

LINES = [
    "  model.tflite: 200 KiB, verified",
    "  model_edgetpu.tflite: 200 KiB, verified",
    "  labels.txt: 8 B, verified",
]


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    with Mirror({f"{COMMIT}/{name}": content for name, content in FILES.items()} | dict(FILES)) as mirror:
        write_catalogue(tmp_path / "catalogue.yaml", mirror.address)
        yield Zoo(tmp_path / "catalogue.yaml", tmp_path / "models", mirror)


class WithoutExchange:
    """The C library on FAT: renameat2 says EINVAL."""

    def renameat2(self, *_: object) -> int:
        ctypes.set_errno(errno.EINVAL)
        return -1


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    return folder


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_package_comes_whole_from_the_catalogues_address(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(zoo.command()) == 0
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{zoo.target} is a whole package; for visiond.yaml:",
        f'models: {{objects: {{package: "{zoo.target}"}}}}',
    ]
    assert told.err.splitlines()[1:] == LINES
    assert names(zoo.parent) == {"pets"}
    assert zoo.is_whole()
    package = load_package(zoo.target)
    package.verify_files()
    assert package.load_labels().names == ("cat", "dog")
    assert package.source == f"{zoo.mirror.address}{COMMIT}/"
    assert [path for path, _ in zoo.mirror.requests] == [f"/{COMMIT}/{name}" for name in FILES]


def test_what_it_prints_is_a_configuration_that_checks(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(zoo.command()) == 0
    config = tmp_path / "visiond.yaml"
    config.write_text(
        "cameras: {front: {source: 'synthetic:shapes', model: objects}}\n" + capsys.readouterr().out.splitlines()[1]
    )
    assert main(["check", "-c", str(config)]) == 0


def test_whole_and_there_is_nothing_to_do(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(zoo.command()) == 0
    asked = len(zoo.mirror.requests)
    assert main(zoo.command()) == 0
    assert capsys.readouterr().out.endswith("is there and whole: nothing to do\n")
    assert len(zoo.mirror.requests) == asked


@pytest.mark.parametrize("layout", [".", "pets"])
def test_a_mirror_may_have_the_files_together_or_by_package(
    zoo: Zoo, layout: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = "" if layout == "." else f"{layout}/"
    with Mirror({f"{prefix}{name}": content for name, content in FILES.items()}) as mirror:
        assert main(zoo.command("--from", mirror.address.rstrip("/"))) == 0
    assert zoo.is_whole()
    assert not zoo.mirror.requests
    assert f"from {mirror.address.rstrip('/')}" in capsys.readouterr().err


@pytest.mark.parametrize("layout", [".", "pets"])
def test_a_stick_may_have_the_files_together_or_by_package(zoo: Zoo, tmp_path: Path, layout: str) -> None:
    fill(tmp_path / "stick" / layout)
    assert main(zoo.command("--from", str(tmp_path / "stick"))) == 0
    assert zoo.is_whole()
    assert not zoo.mirror.requests


def test_a_package_is_a_mirror(zoo: Zoo, tmp_path: Path) -> None:
    """fetch --to STICK at home, fetch --from STICK in the field."""
    assert main(zoo.command()) == 0
    field = tmp_path / "field"
    assert main([*zoo.command("--from", str(zoo.parent)), "--to", str(field)]) == 0
    assert names(field / "pets") == {*FILES, "model.yaml"}


def test_a_wrong_file_on_the_stick_is_not_taken(zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stick = fill(tmp_path / "stick")
    (stick / "model_edgetpu.tflite").write_bytes(TWIN[:-1] + b"?")
    assert main(zoo.command("--from", str(stick))) == 65
    assert "model_edgetpu.tflite from" in (told := capsys.readouterr().err)
    assert "has the git blob id" in told
    assert not zoo.target.exists()
    (stick / "model_edgetpu.tflite").unlink()
    assert main(zoo.command("--from", str(stick))) == 66
    assert "has no model_edgetpu.tflite" in capsys.readouterr().err
    assert not zoo.target.exists()


@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("none", 66, "there is no such folder"),
        (__file__, 66, "is a file; give the folder that it lies in"),
        ("ftp://host/folder", 64, "begins with http:// or https://"),
        ("https://user:secret@host/", 64, "an address with a password in it"),
        ("http://", 64, "is no address"),
        ("http://[::1", 64, "is no address"),
        ("http://a..b/", 64, "is no address"),
        ("http://host:99999/", 64, "is no address"),
        ("http://host/a folder/", 64, "is no address"),
    ],
)
def test_a_wrong_from_is_told(zoo: Zoo, given: str, code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(zoo.command("--from", given)) == code
    printed = capsys.readouterr().err
    assert told in printed
    assert "secret" not in printed
    assert not zoo.parent.exists()


def test_an_unknown_model_is_told(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = zoo.command()
    arguments[2] = "pest"
    assert main(arguments) == 64
    assert "no model 'pest', did you mean pets?" in capsys.readouterr().err


def test_another_folder_of_that_name_stays_unless_told(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.target.mkdir(parents=True)
    (zoo.target / "mine.txt").write_text("mine")
    assert main(zoo.command()) == 64
    assert "is there and is not what the catalogue has" in capsys.readouterr().err
    assert names(zoo.target) == {"mine.txt"}
    assert not zoo.mirror.requests
    assert main(zoo.command("--replace")) == 0
    assert zoo.is_whole()
    assert names(zoo.parent) == {"pets"}


def test_replacing_takes_what_is_good_and_fetches_the_rest(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(zoo.command()) == 0
    (zoo.target / "model.tflite").write_bytes(MODEL[:-1] + b"?")  # a bit that has rotted
    zoo.mirror.requests.clear()
    assert main(zoo.command()) == 64
    assert "model.yaml:5:" in capsys.readouterr().err
    assert main(zoo.command("--replace")) == 0
    assert [path for path, _ in zoo.mirror.requests] == [f"/{COMMIT}/model.tflite"]
    assert zoo.is_whole()


def test_a_failed_replacement_leaves_the_old_one(zoo: Zoo) -> None:
    zoo.target.mkdir(parents=True)
    (zoo.target / "mine.txt").write_text("mine")
    del zoo.mirror.files[f"{COMMIT}/labels.txt"], zoo.mirror.files["labels.txt"]
    assert main(zoo.command("--replace")) == 69
    assert names(zoo.target) == {"mine.txt"}


def test_replacing_works_where_names_cannot_be_exchanged(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.target.mkdir(parents=True)
    (zoo.target / "mine.txt").write_text("mine")

    monkeypatch.setattr(staging.ctypes, "CDLL", lambda *_, **__: WithoutExchange())
    assert main(zoo.command("--replace")) == 0
    assert zoo.is_whole()
    assert names(zoo.parent) == {"pets"}


def test_the_old_one_comes_back_where_the_new_one_cannot_take_its_place(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.target.mkdir(parents=True)
    (zoo.target / "mine.txt").write_text("mine")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if (self, target) == (zoo.staging, zoo.target):
            raise OSError(5, "Input/output error", str(self))
        return rename(self, target)

    monkeypatch.setattr(staging.ctypes, "CDLL", lambda *_, **__: WithoutExchange())
    monkeypatch.setattr(Path, "rename", failing)
    assert main(zoo.command("--replace")) == 69
    assert "Input/output error" in capsys.readouterr().err
    assert names(zoo.target) == {"mine.txt"}


def test_a_recipe_that_makes_no_package_is_found_before_it_is_one(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.path.write_text(zoo.path.read_text().replace("decoder: scores", "decoder: deeplab"))
    assert main(zoo.command()) == 78
    assert "deeplab does not fit task: classification" in capsys.readouterr().err
    assert not zoo.target.exists()


def test_one_process_at_a_time(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    with staging.Staging(zoo.parent, "pets"):
        assert main(zoo.command()) == 75
    assert "is being fetched by another process" in capsys.readouterr().err
    assert not zoo.staging.exists()


def test_leftovers_of_another_catalogue_do_not_get_into_the_package(zoo: Zoo) -> None:
    fill(zoo.staging)
    (zoo.staging / "old.tflite").write_text("old")
    (zoo.staging / "old.tflite.part").write_text("ol")
    (zoo.staging / "folder").mkdir()
    assert main(zoo.command()) == 0
    assert names(zoo.target) == {*FILES, "model.yaml"}
    assert not zoo.mirror.requests  # what was whole in the staging folder was not fetched again


def test_the_proxy_of_the_environment_is_used(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host exists nowhere: only the proxy can have answered."""
    write_catalogue(zoo.path, "http://models.invalid/")
    monkeypatch.setenv("http_proxy", zoo.mirror.address)
    monkeypatch.delenv("no_proxy", raising=False)
    assert main(zoo.command()) == 0
    assert [path for path, _ in zoo.mirror.requests] == [f"http://models.invalid/{COMMIT}/{name}" for name in FILES]
    shutil.rmtree(zoo.target)
    monkeypatch.setenv("no_proxy", "models.invalid")
    assert main(zoo.command()) == 69


def test_labels_that_are_names_become_a_file(zoo: Zoo) -> None:
    text = zoo.path.read_text()
    start, end = text.index("      file: {path: labels"), text.index("    input:")
    zoo.path.write_text(f"{text[:start]}      names: [Katze, 'C\u0026A: \"x\"']\n{text[end:]}")
    assert main(zoo.command()) == 0
    assert load_package(zoo.target).load_labels().names == ("Katze", 'C&A: "x"')


def test_the_offset_of_the_labels_comes_along(zoo: Zoo) -> None:
    zoo.path.write_text(zoo.path.read_text().replace("    input:", "      offset: 1\n    input:"))
    assert main(zoo.command()) == 0
    assert load_package(zoo.target).load_labels().names == ("dog",)


def test_a_model_for_the_edge_tpu_alone_says_what_the_configuration_needs(
    zoo: Zoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.path.write_text("\n".join(line for line in zoo.path.read_text().splitlines() if "cpu:" not in line))
    assert main(zoo.command()) == 0
    models = capsys.readouterr().out.splitlines()[1]
    assert models.endswith(", accelerator: required}}")
    config = tmp_path / "visiond.yaml"
    config.write_text("cameras: {front: {source: 'synthetic:shapes', model: objects}}\n" + models)
    assert main(["check", "-c", str(config)]) == 0


def test_a_folder_that_may_not_be_written(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    zoo.parent.write_text("a file where the folder should be")
    assert main(zoo.command()) == 69
    assert "cannot be written" in capsys.readouterr().err


def test_too_little_room_is_told_before_anything_comes(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(zoo.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=300_000))
    with pytest.raises(UnavailableError, match=r"has 293 KiB left, and 400 KiB are needed; make room"):
        zoo.fetch()
    assert not zoo.mirror.requests
    assert not zoo.staging.exists()


FULL = """
import subprocess, sys
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "small", sys.argv[1]], check=True)
from visiond.cli import main
code = main(sys.argv[2:])
import os
print(sorted(os.listdir(sys.argv[1])), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
def test_a_disk_that_runs_full_meanwhile(zoo: Zoo, root: Path) -> None:
    """The sizes are not known, so only the kernel can tell."""
    write_catalogue(zoo.path, zoo.mirror.address, with_sizes=False)
    zoo.parent.mkdir()
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", FULL, str(zoo.parent), *zoo.command()],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(root / "daemon")},
    )
    assert done.returncode == 69, done.stderr
    assert "cannot be written: No space left on device; make room there" in done.stderr
    assert done.stderr.endswith("['.pets.fetching']\n")


def test_the_json_names_addresses_and_checksums(zoo: Zoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json", "--catalogue", str(zoo.path)]) == 0
    ((model,),) = [json.loads(capsys.readouterr().out)]
    assert model["files"][2]["address"] == f"{zoo.mirror.address}{COMMIT}/labels.txt"
    assert model["files"][2]["bytes"] == len(LABELS)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("rich", reason="rich is not installed (extra: tools)")
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    zoo.mirror.script["model.tflite"].append(slowly(0.4))
    zoo.fetch(out=out)
    assert "━" in out.getvalue()
    assert "/200.0 KiB" in out.getvalue()
    assert all(line in out.getvalue() for line in LINES)


@pytest.mark.parametrize("out", [io.StringIO, Terminal])
def test_without_a_terminal_or_without_rich_there_is_a_line_for_each_file(
    zoo: Zoo, out: type[io.StringIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visiond.modelkit.fetch.progress.find_spec", lambda _: None)
    printed = out()
    zoo.fetch(out=printed)
    assert printed.getvalue().splitlines() == LINES
