"""The socket's place: folder, file, group."""

import grp
import os
import socket
from pathlib import Path

import pytest

from visiond.doctor.report import Finding
from visiond.doctor.running import Running
from visiond.doctor.socket_place import socket_findings


def look(path: Path, group: str | None = None, running: Running | None = None) -> dict[str, Finding]:
    return {finding.name: finding for finding in socket_findings(path, group, running)}


def test_a_free_place_is_ok(tmp_path: Path) -> None:
    assert [finding.state for finding in look(tmp_path / "v.sock").values()] == ["ok", "ok"]


def test_a_stale_socket_is_told_and_left_alone(short_folder: Path) -> None:
    path = short_folder / "v.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    finding = look(path)["socket"]
    assert finding.state == "ok"
    assert "nobody listens" in finding.seen
    assert path.exists()


def test_what_is_no_socket_must_be_moved(tmp_path: Path) -> None:
    path = tmp_path / "v.sock"
    path.write_text("precious")
    finding = look(path)["socket"]
    assert (finding.state, finding.remedy) == ("fail", f"move it away (sudo mv {path} {path}.old)")
    link = tmp_path / "link.sock"
    link.symlink_to(path)
    assert "symbolic link" in str(look(link)["socket"].cause)


def test_a_folder_that_everybody_may_write_to_fails(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    assert look(tmp_path / "v.sock")["folder"].remedy == f"sudo chmod o-w {tmp_path}"
    tmp_path.chmod(0o1777)
    assert look(tmp_path / "v.sock")["folder"].state == "ok"


def test_a_folder_that_cannot_be_made_is_a_warning(tmp_path: Path) -> None:
    assert look(tmp_path / "run" / "v.sock")["folder"].state == "ok"
    finding = look(tmp_path / "gone" / "run" / "v.sock")["folder"]
    assert (finding.state, "sudo mkdir" in str(finding.remedy)) == ("warn", True)


def test_the_group_must_exist(tmp_path: Path) -> None:
    mine = grp.getgrgid(os.getgid()).gr_name
    assert look(tmp_path / "v.sock", mine)["group"].state == "ok"
    missing = look(tmp_path / "v.sock", "nosuchgroup")["group"]
    assert (missing.state, missing.remedy) == ("fail", "sudo groupadd --system nosuchgroup")


@pytest.mark.parametrize(
    ("group", "remedy"),
    [
        ("visiond", "it is for the group visiond; join it (sudo usermod -aG visiond $USER), then log in again"),
        ("root", "it belongs to root alone; set socket.group in the daemon's configuration and join that group"),
    ],
)
def test_who_may_not_connect_is_told_the_group(
    short_folder: Path, monkeypatch: pytest.MonkeyPatch, group: str, remedy: str
) -> None:
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group((group, "x", 1, [])))
    path = short_folder / "v.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        running = Running(path, None, None, "no permission")
        assert look(path, running=running)["socket"].state == "ok"
        monkeypatch.setattr(os, "access", lambda *_: False)
        finding = look(path, running=running)["socket"]
    assert finding.state == "fail"
    assert str(finding.remedy).startswith(remedy)
