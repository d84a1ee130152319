"""Where things are when nobody says so."""

import os
from pathlib import Path

import pytest

from visiond import places
from visiond.errors import ConfigError
from visiond.places import SYSTEM_SOCKET, default_models_path, default_path, default_socket_path, running_socket_path


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> int:
    """A user that is not root and has no session; `tmp_path` is this process's own."""
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    return 54321


@pytest.fixture
def session(user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That user's $XDG_RUNTIME_DIR."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid or 54321)
    if os.getuid() == 0:
        os.chown(folder, user, -1)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def test_the_configuration_is_where_the_environment_says_or_in_etc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISIOND_CONFIG", raising=False)
    assert default_path() == Path("/etc/visiond/visiond.yaml")
    monkeypatch.setenv("VISIOND_CONFIG", "")
    assert default_path() == Path("/etc/visiond/visiond.yaml")
    monkeypatch.setenv("VISIOND_CONFIG", "/srv/v.yaml")
    assert default_path() == Path("/srv/v.yaml")


@pytest.mark.usefixtures("user")
def test_the_service_listens_where_systemd_has_made_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/visiond:/run/other")
    assert default_socket_path() == SYSTEM_SOCKET


@pytest.mark.usefixtures("user")
def test_root_listens_in_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/0")
    assert default_socket_path() == SYSTEM_SOCKET


def test_a_user_listens_in_the_sessions_folder(session: Path) -> None:
    assert default_socket_path() == session / "visiond.sock"


@pytest.mark.parametrize("folder", ["", "relative", "/does/not/exist", "/tmp"])
def test_without_a_usable_session_a_user_has_a_folder_in_tmp(
    folder: str, user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
    assert default_socket_path() == Path(f"/tmp/visiond-{user}/visiond.sock")


def test_a_session_folder_too_deep_for_a_socket_is_not_used(
    user: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir(mode=0o700)
    monkeypatch.setattr(places, "_is_own", lambda folder: folder == deep)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert default_socket_path() == Path(f"/tmp/visiond-{user}/visiond.sock")


def test_a_folder_in_tmp_that_somebody_else_has_made_is_not_trusted(user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "lexists", lambda path: path == Path(f"/tmp/visiond-{user}"))
    with pytest.raises(ConfigError, match=f"/tmp/visiond-{user} is not a folder that only this user may write to"):
        default_socket_path()


def test_a_folder_is_ones_own_only_if_nobody_else_may_write_there(tmp_path: Path) -> None:
    folder, link = tmp_path / "f", tmp_path / "link"
    folder.mkdir(mode=0o700)
    link.symlink_to(folder)
    assert places._is_own(folder)
    assert not places._is_own(link)
    assert not places._is_own(tmp_path / "none")
    folder.chmod(0o770)
    assert not places._is_own(folder)


def test_a_client_looks_for_its_users_daemon_first_and_then_for_the_systems(
    session: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "system.sock"
    monkeypatch.setattr(places, "SYSTEM_SOCKET", system)
    own = session / "system.sock"
    assert running_socket_path() == own
    system.touch()
    assert running_socket_path() == system
    own.touch()
    assert running_socket_path() == own


def test_models_are_those_of_the_checkout_or_of_the_installation(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert default_models_path() == root / "models"
    monkeypatch.setattr(places, "__file__", str(tmp_path / "lib" / "site-packages" / "visiond" / "places.py"))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    assert default_models_path() == tmp_path / "share" / "visiond" / "models"
