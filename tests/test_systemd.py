"""What is told to systemd and when, what it hands over, its signals, and its unit files."""

import asyncio
import configparser
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiond import errors
from visiond.systemd import Notifier, Signals, SystemdLife
from visiond.systemd.progress import MOST_LAG_S, MOST_OVERDUE_S, standstill

PATIENCE_S = 10.0
CHECK_S = 0.25


class Manager:
    """A stand-in for systemd's end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(PATIENCE_S)

    def word(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def drain(self) -> list[dict[str, str]]:
        """All that are there, without waiting."""
        found = []
        self._socket.setblocking(False)
        try:
            while True:
                found.append(self.word())
        except BlockingIOError:
            return found
        finally:
            self._socket.settimeout(PATIENCE_S)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    monkeypatch.chdir(tmp_path)  # a Unix socket's path has at most 107 bytes
    made = Manager("notify")
    yield made
    made.close()


# notify


@pytest.mark.parametrize("address", ["notify", "@visiond-test-{pid}"])
def test_a_word_is_one_datagram(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    manager = Manager(address.format(pid=os.getpid()))
    notifier = Notifier(manager.address)
    notifier.tell("READY=1", "STATUS=ok")
    assert manager.word() == {"READY": "1", "STATUS": "ok"}
    notifier.close()
    manager.close()


def test_what_systemd_has_set_is_taken_out_of_the_environment() -> None:
    """A worker that inherited it could speak in the daemon's name."""
    environment = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid()), "PATH": "/bin"}
    assert Notifier.from_environment(environment).watchdog_s == 10.0
    assert environment == {"PATH": "/bin"}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"WATCHDOG_PID": str(os.getpid())},
        {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "ten"},
    ],
)
def test_without_a_watchdog_for_this_process_none_is_pinged(environment: dict[str, str]) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/x", **environment}).watchdog_s is None


def test_fault_60_no_notify_socket_is_no_trouble(caplog: pytest.LogCaptureFixture) -> None:
    Notifier.from_environment({}).tell("READY=1")
    assert caplog.text == ""


@pytest.mark.parametrize("kind", ["missing", "nobody", "a file", "nonsense", "too long"])
def test_fault_60_a_wrong_notify_socket_is_told_of_once(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").write_text("")
    if kind == "nobody":
        Manager("nobody").close()
    address = {"nonsense": "", "too long": "x" * 200}.get(kind, kind)
    notifier = Notifier(address)
    notifier.tell("READY=1")
    notifier.tell("WATCHDOG=1")
    assert caplog.text.count("systemd is told nothing") == 1


def test_a_manager_that_does_not_read_is_not_waited_for_and_gets_ready_later(manager: Manager) -> None:
    notifier = Notifier(manager.address)
    filler = Notifier(manager.address)
    for _ in range(1000):  # more than net.unix.max_dgram_qlen of any system
        filler.tell("WATCHDOG=1")
    began_s = time.monotonic()
    notifier.tell("READY=1")
    assert time.monotonic() - began_s < 1.0
    full = manager.drain()
    assert {"READY": "1"} not in full
    notifier.tell("STATUS=ok")
    assert manager.drain() == [{"READY": "1"}, {"STATUS": "ok"}]
    notifier.close()
    filler.close()


# progress


@dataclass(frozen=True)
class SomePart:
    """A worker as the watchdog sees it."""

    name: str = "camera front"
    pid: int | None = 4242
    next_try_in_s: float | None = None
    is_held: bool = False
    overdue_s: float | None = None


RETRIES = SomePart(pid=None, next_try_in_s=12.5)
HELD = SomePart(name="engine usb:0", pid=None, is_held=True)
STARTING = SomePart(overdue_s=-20.0)
LOST = SomePart(name="engine objects", pid=None)
OVERDUE = SomePart(name="engine objects", overdue_s=MOST_OVERDUE_S + 1)


@pytest.mark.parametrize("part", [SomePart(), RETRIES, HELD, STARTING, replace(STARTING, overdue_s=2.0)])
def test_a_part_that_works_or_has_a_date_is_progress(part: SomePart) -> None:
    assert standstill([SomePart(), part], lag_s=0.1) is None


@pytest.mark.parametrize(
    ("part", "why"),
    [
        (LOST, "engine objects has no process, and no next try"),
        (OVERDUE, "engine objects is 6.0 s past its deadline, and was not ended"),
    ],
)
def test_a_part_without_either_is_named(part: SomePart, why: str) -> None:
    assert standstill([SomePart(), part, RETRIES], lag_s=0.0) == why


numbers = st.none() | st.floats(-100, 100)
parts = st.builds(SomePart, st.just("p"), st.none() | st.just(1), st.none() | st.floats(0, 100), st.booleans(), numbers)


@given(st.lists(parts), st.floats(0, 5))
def test_one_part_that_stands_still_is_enough(found: list[SomePart], lag_s: float) -> None:
    alone = [standstill([part], 0.0) for part in found]
    well = lag_s <= MOST_LAG_S and not any(alone)
    assert (standstill(found, lag_s) is None) == well


# life


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


Live = Callable[..., SystemdLife]


@pytest.fixture
def live(manager: Manager, clock: Clock) -> Iterator[Live]:
    made: list[SystemdLife] = []

    def make(watchdog_s: float | None = 10.0) -> SystemdLife:
        made.append(SystemdLife(Notifier(manager.address, watchdog_s), CHECK_S, clock))
        return made[-1]

    yield make
    for life in made:
        life.close()


def look(life: SystemdLife, clock: Clock, seconds: float, *found: SomePart) -> None:
    for _ in range(round(seconds / CHECK_S)):
        clock.now_s += CHECK_S
        life.progress(found)


def pings(manager: Manager) -> int:
    return sum("WATCHDOG" in word for word in manager.drain())


def test_ready_comes_with_the_state_in_words(live: Live, manager: Manager) -> None:
    live().ready("blind: camera front is opening\nREADY=0")
    assert manager.word() == {"READY": "1", "STATUS": "blind: camera front is opening READY=0"}


def test_the_status_is_told_at_each_change_and_at_most_once_a_second(
    live: Live, manager: Manager, clock: Clock
) -> None:
    life = live(watchdog_s=None)
    life.ready("blind")
    clock.now_s += 2.0
    manager.drain()
    life.status("ok")
    assert manager.drain() == [{"STATUS": "ok"}]
    for number in range(20):
        life.status(f"degraded {number}")
    assert manager.drain() == []
    look(life, clock, 1.0)
    assert manager.drain() == [{"STATUS": "degraded 19"}]
    life.status("degraded 19")
    look(life, clock, 5.0)
    assert manager.drain() == []


def test_the_watchdog_is_pinged_by_looks_at_parts_that_progress_four_times_in_its_patience(
    live: Live, manager: Manager, clock: Clock
) -> None:
    life = live()
    look(life, clock, 10.0, SomePart(), RETRIES, HELD)
    assert 4 <= pings(manager) <= 5
    clock.now_s += 0.3  # nobody looks: nobody pings
    assert pings(manager) == 0


def test_fault_60_a_part_that_stands_still_withholds_the_ping(
    live: Live, manager: Manager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    life = live()
    look(life, clock, 10.0, LOST)
    assert pings(manager) == 0
    assert caplog.text.count("the watchdog is not pinged: engine objects has no process, and no next try") == 1
    assert caplog.records[-1].event == "standstill"  # type: ignore[attr-defined]
    caplog.set_level("INFO")
    look(life, clock, 5.0, SomePart())
    assert pings(manager) >= 1
    assert "every part makes progress again" in caplog.text


def test_a_step_between_two_states_is_no_alarm(live: Live, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    life = live()
    for _ in range(5):
        look(life, clock, CHECK_S, LOST)
        look(life, clock, CHECK_S, SomePart())
    assert caplog.text == ""


def test_fault_59_a_loop_that_was_blocked_is_told_of(
    live: Live, manager: Manager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    life = live()
    look(life, clock, 3.0, SomePart())
    manager.drain()
    clock.now_s += 4.0
    life.progress([SomePart()])
    assert pings(manager) == 0
    assert "the event loop was blocked for 3.8 s" in caplog.text
    look(life, clock, CHECK_S, SomePart())
    assert pings(manager) == 1


def test_a_reload_is_dated_and_ends_with_ready(live: Live, manager: Manager) -> None:
    life = live()
    life.ready("ok")
    before_us = time.monotonic_ns() // 1000
    life.reloading()
    life.ready("ok")
    life.stopping()
    ready, reloading, again, stopping = manager.drain()
    assert ready == again == {"READY": "1", "STATUS": "ok"}
    assert reloading["RELOADING"] == "1"
    assert before_us <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
    assert stopping["STOPPING"] == "1"


# signals


@pytest.fixture
def own_signals() -> Iterator[None]:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)  # while they are ignored
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_stops_and_no_later_one_does_anything(number: signal.Signals) -> None:
    told: list[str] = []

    async def life() -> None:
        stop = asyncio.Event()
        signals = Signals(lambda: (told.append("stop"), stop.set())[1], lambda: told.append("reload"))
        signals.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        os.kill(os.getpid(), number)
        for later in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), later)
        await asyncio.wait_for(stop.wait(), PATIENCE_S)
        await asyncio.sleep(0)
        signals.close()

    asyncio.run(life())
    for later in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), later)  # the loop is closed: with asyncio's own handlers this would kill the process
    assert told == ["reload", "stop"]


@pytest.mark.usefixtures("own_signals")
def test_a_signal_wakes_a_loop_that_waits() -> None:
    async def life() -> float:
        stop = asyncio.Event()
        Signals(stop.set, stop.set).listen()
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        began_s = time.monotonic()
        await asyncio.wait_for(stop.wait(), PATIENCE_S)
        return time.monotonic() - began_s

    assert asyncio.run(life()) < 5.0


# the socket that is handed in

HANDED_IN = """
import os, socket, sys
kind, count = sys.argv[1:3]
if kind == "stream":
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind("v.sock")
    made.listen(5)
elif kind == "deaf":
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
elif kind == "datagram":
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind("v.sock")
elif kind == "file":
    made = open("v.sock", "w")
else:
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.listen(5)
os.dup2(made.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid() + (kind == "other")), LISTEN_FDS=count, LISTEN_FDNAMES="x")
from pathlib import Path
from visiond.errors import ConfigError
from visiond.systemd import listening_socket
try:
    found = listening_socket(Path(sys.argv[3]))
    print("none" if found is None else f"socket {found.fileno()} {os.get_inheritable(3)}")
except ConfigError as error:
    print(error)
print(sorted(name for name in os.environ if name.startswith("LISTEN")))
"""


@pytest.mark.parametrize(
    ("kind", "count", "expected"),
    [
        ("stream", "1", "socket 3 False"),
        ("stream", "0", "none"),
        ("stream", "2", "hands over 2 sockets; keep one ListenStream="),
        ("deaf", "1", "no listening Unix stream socket; use ListenStream=/a/path"),
        ("datagram", "1", "no listening Unix stream socket; use ListenStream=/a/path"),
        ("file", "1", "descriptor 3 is no socket (Socket operation on non-socket): start the service with systemctl"),
        ("internet", "1", "no listening Unix stream socket; use ListenStream=/a/path"),
    ],
)
def test_the_socket_of_the_unit_is_taken_or_refused_in_words(
    kind: str, count: str, expected: str, tmp_path: Path, root: Path
) -> None:
    command = [sys.executable, "-c", HANDED_IN, kind, count, "v.sock"]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert expected in done.stdout
    assert done.stdout.splitlines()[-1] == "[]", "a worker would inherit it"
    assert done.stderr == ""


def test_a_unit_that_listens_elsewhere_than_the_configuration_says_is_told_of(tmp_path: Path, root: Path) -> None:
    command = [sys.executable, "-c", HANDED_IN, "stream", "1", "/run/visiond/visiond.sock"]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "visiond.socket listens at v.sock, and socket.path is /run/visiond/visiond.sock" in done.stderr


# unit files; what they do in a booted system: tests/system/container/units


def unit(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=", comment_prefixes="#")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


def test_a_start_that_only_a_person_can_mend_is_not_tried_again_and_all_others_are(root: Path) -> None:
    service = unit(root / "systemd" / "visiond.service")
    never = {str(errors.ConfigError.exit_code), str(errors.NoInputError.exit_code)}
    assert set(service["Service"]["RestartPreventExitStatus"].split()) == never
    assert (service["Service"]["Restart"], service["Unit"]["StartLimitIntervalSec"]) == ("on-failure", "0")


def test_socket_and_service_agree_on_the_place(root: Path) -> None:
    listening = unit(root / "systemd" / "visiond.socket")["Socket"]
    service = unit(root / "systemd" / "visiond.service")["Service"]
    place = Path(listening["ListenStream"])
    assert place.parent == Path("/run") / service["RuntimeDirectory"]
    assert f"path: {place}" in (root / "config" / "visiond.yaml").read_text()
    assert (listening["SocketMode"], listening["SocketGroup"]) == ("0660", service["Group"])
    assert service["RuntimeDirectoryPreserve"] == "yes", "the socket would go with the service that ends"


@pytest.mark.parametrize(("drop_in", "tenths"), [(None, 12), ("visiond.service.d-network-cameras.conf", 14)])
def test_the_units_exposure_stays_low(drop_in: str | None, tenths: int, tmp_path: Path, root: Path) -> None:
    units = root / "systemd"
    service = tmp_path / "visiond.service"
    service.write_text((units / "visiond.service").read_text())
    if drop_in is not None:
        (tmp_path / "visiond.service.d").mkdir()
        (tmp_path / "visiond.service.d" / "network.conf").write_text((units / drop_in).read_text())
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={tenths}", str(service)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bare = tmp_path / "bare.service"  # the threshold is one: a unit without any of it is past it
    bare.write_text("[Service]\nExecStart=/bin/true\n")
    assert subprocess.run([*command[:-1], str(bare)], capture_output=True, check=False).returncode != 0


def test_every_directive_of_the_units_is_known_to_systemd(tmp_path: Path, root: Path) -> None:
    """systemd only warns of what it does not know, so that a misspelt protection would be none."""
    for path in (root / "systemd").glob("visiond*"):
        if path.suffix in (".service", ".socket"):
            text = path.read_text().replace("/opt/visiond/venv/bin/visiond", "/bin/true")
            (tmp_path / path.name).write_text(text)
    names = sorted(str(path) for path in tmp_path.iterdir())
    environment = {**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], env=environment, capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "visiond" in line]
    assert not [line for line in ours if "Unknown" in line or "Failed to parse" in line or "ignoring" in line], ours
    for name in names:  # the check can fail
        with Path(name).open("a") as file:
            file.write("Unknwon=yes\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *names], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("'Unknwon'") == len(names)
