"""Where the socket may be, who owns it, and who is let in."""

import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from numbered_daemon import NumberedDaemon, numbered_daemon
from raw_client import RawClient
from visiond.errors import AlreadyRunningError, ConfigError, VisiondError


def refusal(path: Path, kind: type[VisiondError] = ConfigError, **options: Any) -> str:
    """The one sentence with which a server refuses to start there."""
    daemon = NumberedDaemon(path, **options)
    try:
        with pytest.raises(kind) as caught:
            daemon.start()
    finally:
        daemon.end()
    text = str(caught.value)
    assert "\n" not in text
    return text


def races(path: Path, rounds: int, rivals: int) -> list[list[dict[str, Any]]]:
    tests = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "racers.py"), str(path), str(rounds), str(rivals)],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
        env={"PYTHONPATH": f"{tests}:{tests.parent / 'daemon'}"},
    )
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_mode_and_group_are_set_before_anyone_can_connect(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = grp.getgrgid(os.getgid()).gr_name
    modes_at_listen = []
    real_listen = socket.socket.listen

    def listen(self: socket.socket, backlog: int) -> None:
        modes_at_listen.append(stat.S_IMODE(path.stat().st_mode))
        real_listen(self, backlog)

    monkeypatch.setattr(socket.socket, "listen", listen)
    before = os.umask(0o022)
    try:
        with numbered_daemon(path, group=group, mode=0o640):
            assert stat.S_IMODE(path.stat().st_mode) == 0o640
            assert path.stat().st_gid == os.getgid()
        assert os.umask(0o022) == 0o022, "the umask is as it was"
    finally:
        os.umask(before)
    assert modes_at_listen == [0o640]


def test_the_last_folder_is_made_where_that_is_wanted(folder: Path) -> None:
    path = folder / "run" / "visiond.sock"
    with numbered_daemon(path, create_folder=True):
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o750
    assert "cannot be created (No such file" in refusal(folder / "a" / "b" / "visiond.sock", create_folder=True)


@pytest.mark.slow
def test_fault_40_a_stale_socket_is_replaced_a_hundred_times(path: Path) -> None:
    """Each daemon is killed with SIGKILL and leaves socket and lock file behind."""
    for (answer,) in races(path, rounds=100, rivals=1):
        assert answer["code"] == 0, answer["text"]
    assert path.exists()
    with numbered_daemon(path), RawClient(path) as client:
        client.welcomed()
    assert list(path.parent.iterdir()) == []


@pytest.mark.slow
def test_fault_41_of_those_that_start_at_once_exactly_one_wins(path: Path) -> None:
    """A hundred races, two rivals each, over the leavings of the round before."""
    for answers in races(path, rounds=100, rivals=2):
        (winner,) = [answer for answer in answers if answer["code"] == 0]
        (loser,) = [answer for answer in answers if answer["code"] != 0]
        assert loser["code"] == 75
        assert f"already running, pid {winner['pid']};" in loser["text"]


def test_fault_41_the_second_daemon_names_the_first_and_leaves_it_alone(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        identity = path.stat().st_ino
        text = refusal(path, AlreadyRunningError)
        assert text == (f"socket.path: {path}: already running, pid {os.getpid()}; stop it first, or give another path")
        assert path.stat().st_ino == identity
        daemon.publish()
        assert client.next("detections")["seq"] == 0
    with RawClient(path) as client:
        client.welcomed()


def test_fault_41_a_listener_without_a_lock_file_is_no_less_alive(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        other.bind(os.fspath(path))
        other.listen(0)
        assert f"already running, pid {os.getpid()} listens there" in refusal(path, AlreadyRunningError)
        assert path.is_socket()
        probes = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(8)]
        for probe in probes:
            probe.setblocking(False)
            probe.connect_ex(os.fspath(path))
        assert "already running" in refusal(path, AlreadyRunningError), "a full backlog is a sign of life too"
        for probe in probes:
            probe.close()


def test_fault_41_the_lock_file_goes_with_the_daemon_and_a_left_one_locks_nobody_out(path: Path) -> None:
    lock = path.with_name("visiond.sock.lock")
    lock.write_text("1\n")
    with numbered_daemon(path):
        assert lock.read_text() == f"{os.getpid()}\n"
    assert not lock.exists()


def test_fault_42_a_path_that_is_too_long(folder: Path) -> None:
    path = folder / ("x" * (108 - len(os.fsencode(folder)) - 1))
    assert "has 108 bytes; a socket's path may have 107: shorten it" in refusal(path)
    fits = Path(str(path)[:-1])
    with numbered_daemon(fits), RawClient(fits) as client:
        client.welcomed()


def test_fault_42_a_folder_that_is_missing(folder: Path) -> None:
    text = refusal(folder / "missing" / "visiond.sock")
    assert f"the folder {folder / 'missing'} cannot be used (No such file or directory); create it (mkdir" in text
    (folder / "file").touch()
    assert "is not a folder" in refusal(folder / "file" / "visiond.sock")


def test_fault_42_a_folder_where_everyone_may_write(folder: Path, path: Path) -> None:
    folder.chmod(0o777)
    assert f"every user may write in {folder}" in refusal(path)
    folder.chmod(0o1777)
    with numbered_daemon(path):
        assert path.is_socket()
    folder.chmod(0o700)


@pytest.mark.parametrize("kind", ["file", "folder", "fifo", "link", "dangling link"])
def test_fault_42_what_is_no_socket_is_never_removed(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        target = path.with_name("precious.sock")
        if kind == "link":
            target.write_text("precious")
        path.symlink_to(target)
    before = path.lstat()
    text = refusal(path)
    assert ("symbolic link" if "link" in kind else "no socket, it was left alone") in text
    assert os.path.samestat(before, path.lstat())
    assert not path.with_name("visiond.sock.lock").exists()


def test_fault_42_a_socket_of_another_kind_is_never_removed(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(os.fspath(path))
        assert "remove it if no daemon owns it" in refusal(path)
        assert path.is_socket()


def test_fault_42_a_lock_file_that_is_a_link_is_not_followed(path: Path) -> None:
    victim = path.with_name("victim")
    victim.write_text("precious")
    path.with_name("visiond.sock.lock").symlink_to(victim)
    assert "lock file" in refusal(path)
    assert victim.read_text() == "precious"


def test_fault_42_at_the_end_only_the_own_socket_is_removed(path: Path) -> None:
    with numbered_daemon(path):
        path.unlink()
        path.write_text("somebody else's")
    assert path.read_text() == "somebody else's"


def test_fault_43_a_group_that_does_not_exist(path: Path) -> None:
    text = refusal(path, group="no-such-group")
    assert "there is no group 'no-such-group'; create it (sudo groupadd --system no-such-group)" in text
    assert list(path.parent.iterdir()) == []


def as_nobody(code: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run this code, which calls become_nobody() when it has imported all it needs: nobody may not read our Python."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    nobody = pwd.getpwnam("nobody")
    become = f"""
import os, sys
def become_nobody():
    os.setgroups([])
    os.setgid({nobody.pw_gid})
    os.setuid({nobody.pw_uid})
"""
    return subprocess.run([sys.executable, "-I", "-c", become + code, *arguments], capture_output=True, text=True)


CONNECT = """
import socket
become_nobody()
s = socket.socket(socket.AF_UNIX)
try:
    s.connect(sys.argv[1])
    print(s.recv(7))
except OSError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize(
    ("folder_mode", "mode", "outcome"),
    [(0o755, 0o660, "PermissionError"), (0o750, 0o666, "PermissionError"), (0o755, 0o666, """b'{"type"'""")],
)
def test_fault_43_who_is_not_in_the_group_is_not_let_in(
    folder: Path, path: Path, folder_mode: int, mode: int, outcome: str
) -> None:
    folder.chmod(folder_mode)
    with numbered_daemon(path, mode=mode):
        assert as_nobody(CONNECT, str(path)).stdout.strip() == outcome


def test_fault_43_a_member_of_the_group_is_let_in(folder: Path, path: Path) -> None:
    nobodys_group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another group")
    folder.chmod(0o755)
    with numbered_daemon(path, group=nobodys_group):
        assert as_nobody(CONNECT, str(path)).stdout.strip() == """b'{"type"'"""


def test_fault_43_a_daemon_that_may_not_use_the_place_says_what_to_do(folder: Path) -> None:
    """As nobody: a folder that is not ours, and a group that we are not a member of."""
    project = Path(__file__).parent.parent.parent
    code = """
import asyncio
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from visiond.errors import VisiondError
from visiond.publish.unix_socket import UnixSocketServer
asyncio.run(asyncio.sleep(0))
become_nobody()
for path, group in ((sys.argv[1] + "/closed/x.sock", None), (sys.argv[1] + "/open/x.sock", "root")):
    server = UnixSocketServer(Path(path), group=group, mode=0o660, max_clients=1, hello=dict, status=dict)
    try:
        asyncio.run(server.start())
    except VisiondError as error:
        print(error.exit_code, error)
"""
    folder.chmod(0o755)
    (folder / "closed").mkdir(mode=0o755)
    (folder / "open").mkdir()
    (folder / "open").chmod(0o1777)
    done = as_nobody(code, str(folder), str(project / "daemon"))
    closed, unowned = done.stdout.splitlines()
    assert closed.startswith("78 socket.path: the lock file ")
    assert "let the daemon's user write in that folder" in closed
    assert unowned.startswith("78 socket.group: ")
    assert "cannot be given to the group 'root' (Operation not permitted); make the daemon's user a member" in unowned
    assert list((folder / "open").iterdir()) == []
    assert done.stderr == ""
