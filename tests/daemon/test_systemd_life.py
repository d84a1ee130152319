"""A daemon's life as systemd drives it: ready, watched, stopped in any state, with nothing that it could write to."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgetpu_sim.simulator import Simulator
from harness import Client, Daemon, running, shapes_model
from test_systemd import Manager

pytestmark = pytest.mark.slow

StartDaemon = Callable[..., Daemon]
TpuConfig = Callable[..., dict[str, Any]]

STOP_S = 2.0
MAX_AGE_MS = 1000

# Programs that become the daemon: `sh -c WORDS sh COMMAND…`
LOG_TO_NOBODY = ("sh", "-c", 'exec "$@" 2>/dev/full >&2', "sh")
LOG_CLOSED = ("sh", "-c", 'exec "$@" >&- 2>&-', "sh")
LOG_NOT_READ = (
    sys.executable,
    "-c",
    """
import os, sys
reading, writing = os.pipe()
os.set_blocking(writing, False)
try:
    while True:
        os.write(writing, bytes(4096))
except BlockingIOError:
    os.set_blocking(writing, True)
os.set_inheritable(reading, True)  # held open by the daemon itself, and never read
os.dup2(writing, 2)
os.execvp(sys.argv[1], sys.argv[1:])
""",
)
HANDS_IN_A_SOCKET = (
    sys.executable,
    "-c",
    """
import os, socket, sys
path = sys.argv[sys.argv.index("--socket") + 1]
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
sock.bind(path)
sock.listen(16)
os.dup2(sock.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execvp(sys.argv[1], sys.argv[1:])
""",
)
# The event loop is the main thread's, and so is a signal's handler: it blocks the loop wherever that is.
BLOCKS_ON_SIGUSR1 = """
import signal, sys, time
def blocks_the_loop(*_):
    time.sleep(60)
signal.signal(signal.SIGUSR1, blocks_the_loop)
from visiond.cli import main
sys.exit(main(sys.argv[1:]))
"""


def config(root: Path, **camera: Any) -> dict[str, Any]:
    settings = {"source": "synthetic:shapes", "fps": 15, "model": "shapes", "max_age_ms": MAX_AGE_MS, **camera}
    return {"cameras": {"front": settings}, "models": {"shapes": shapes_model(root)}}


@pytest.fixture
def manager(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """In systemd's place, for the daemons that are started after it; its watchdog waits for a second."""
    made = Manager(str(short_folder / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", made.address)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    yield made
    made.close()


def until(manager: Manager, wanted: Callable[[dict[str, str]], bool], patience_s: float = 30.0) -> dict[str, str]:
    give_up_s = time.monotonic() + patience_s
    while time.monotonic() < give_up_s:
        if wanted(word := manager.word()):
            return word
    raise AssertionError(f"systemd was not told within {patience_s} s")


def stop(daemon: Daemon) -> float:
    """Send SIGTERM; return how long the end took, which was an orderly one."""
    began_s = time.monotonic()
    assert daemon.stop() == 0, daemon.log
    return time.monotonic() - began_s


def last_words(client: Client) -> list[dict[str, Any]]:
    """Everything until the daemon closes."""
    found = []
    try:
        while True:
            found.append(client.message())
    except EOFError:
        return found


# ready, status, stopping


def test_ready_when_the_socket_listens_then_the_state_in_words_then_stopping(
    start_daemon: StartDaemon, root: Path, manager: Manager
) -> None:
    daemon = start_daemon(config(root))
    first = until(manager, lambda word: "READY" in word)
    with Client(daemon.socket_path) as client:  # at once: it listens
        assert client.message()["type"] == "hello"
    assert first["STATUS"].startswith("blind: camera front is opening")
    until(manager, lambda word: word.get("STATUS") == "ok")
    environment = [Path(f"/proc/{pid}/environ").read_bytes() for pid in daemon.workers().values()]
    assert len(environment) == 2
    assert not any(b"NOTIFY_SOCKET" in each or b"WATCHDOG" in each for each in environment)
    assert stop(daemon) < STOP_S
    until(manager, lambda word: "STOPPING" in word)


def test_a_wrong_configuration_ends_with_78_and_is_never_ready(
    start_daemon: StartDaemon, root: Path, manager: Manager
) -> None:
    daemon = start_daemon({**config(root), "camera": {}})
    assert daemon.process.wait(30) == 78
    assert manager.drain() == []


def test_fault_60_neither_camera_nor_edge_tpu_is_needed_for_the_watchdogs_ping(
    start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator, manager: Manager
) -> None:
    simulator.stick(0).unplug()
    missing = tpu_config(accelerator="required")
    missing["cameras"]["front"]["source"] = "v4l2:/dev/no-such-camera"
    start_daemon(missing)
    until(manager, lambda word: "READY" in word)
    pinged_s: list[float] = []
    states: list[str] = []
    while len(pinged_s) < 12 or "no-such-camera" not in states[-1]:
        word = manager.word()
        pinged_s += [time.monotonic()] if "WATCHDOG" in word else []
        states += [word["STATUS"]] if "STATUS" in word else []
        assert len(pinged_s) < 100, states
    assert pinged_s[-1] - pinged_s[0] < len(pinged_s) * 0.5
    assert states[-1].startswith("blind: camera front is absent")


@pytest.mark.parametrize("address", ["/nonexistent/notify", "@nobody-listens-here"])
def test_fault_60_a_wrong_notify_socket_is_a_normal_run(
    address: str, start_daemon: StartDaemon, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(5)
    assert daemon.log.count("systemd is told nothing") == 1
    assert stop(daemon) < STOP_S


def test_fault_59_a_blocked_loop_is_not_pinged_for_and_sigabrt_shows_where_it_is(
    short_folder: Path, root: Path, manager: Manager
) -> None:
    path = short_folder / "visiond.yaml"
    path.write_text(json.dumps(config(root)))
    command = [sys.executable, "-c", BLOCKS_ON_SIGUSR1, "run", "-c", str(path), "--socket", str(short_folder / "v")]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as daemon:
        until(manager, lambda word: "WATCHDOG" in word)
        daemon.send_signal(signal.SIGUSR1)
        give_up_s = time.monotonic() + 30.0
        quiet_since_s = time.monotonic()
        while time.monotonic() - quiet_since_s < 1.5:  # longer than the watchdog waits
            assert time.monotonic() < give_up_s, "a blocked loop was pinged for"
            if any("WATCHDOG" in word for word in manager.drain()):
                quiet_since_s = time.monotonic()
            time.sleep(0.02)
        daemon.send_signal(signal.SIGABRT)  # as systemd does then
        _, log = daemon.communicate(timeout=30)
    assert daemon.returncode == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in log
    assert "in blocks_the_loop" in log


# stopping


@pytest.mark.parametrize("handed_in", [False, True])
def test_fault_49_sigterm_in_a_hung_invoke_ends_within_2_s(
    handed_in: bool, start_daemon: StartDaemon, tpu_config: TpuConfig, simulator: Simulator
) -> None:
    daemon = start_daemon(tpu_config(accelerator="required"), prefix=HANDS_IN_A_SOCKET if handed_in else ())
    with daemon.client() as client:
        client.until(lambda m: m["type"] == "detections" and m["engine"] == "edgetpu")
        simulator.stick(0).fail("hang", times=1)
        give_up_s = time.monotonic() + 10.0
        while simulator.stick(0).fired("hang") == 0:
            assert time.monotonic() < give_up_s
            time.sleep(0.005)
        workers = daemon.workers()
        assert stop(daemon) < STOP_S
        assert last_words(client)[-1] == {"type": "bye", "reason": "visiond stops"}
    assert not any(running(pid) for pid in workers.values())
    # One that was handed in is systemd's: robots find it there while the daemon is away.
    assert daemon.socket_path.exists() == handed_in
    assert not daemon.socket_path.with_name(daemon.socket_path.name + ".lock").exists()


def test_a_robot_that_connects_before_the_start_gets_its_hello(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root), prefix=HANDS_IN_A_SOCKET)
    give_up_s = time.monotonic() + 30.0
    while not daemon.socket_path.exists():
        assert time.monotonic() < give_up_s
        time.sleep(0.002)
    while True:
        try:
            early = Client(daemon.socket_path)
            break
        except ConnectionRefusedError:  # bound, and not yet listening
            assert time.monotonic() < give_up_s
    with early as client:
        assert "listens on" not in daemon.log, "it came too late"
        assert client.message()["type"] == "hello"
        client.detections(1)


def test_fault_50_the_main_thread_alone_takes_signals(start_daemon: StartDaemon, root: Path) -> None:
    """What another thread took while the last handler goes would end a stop with Python's traceback."""
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(1)
        daemon.process.send_signal(signal.SIGHUP)  # read in one more thread
        client.status(lambda status: (status["reload"] or {}).get("result") == "applied")
    threads = sorted(Path(f"/proc/{daemon.process.pid}/task").iterdir(), key=lambda task: int(task.name))
    blocked = {task.name: signals_blocked(task) & {signal.SIGTERM, signal.SIGINT, signal.SIGHUP} for task in threads}
    assert len(blocked) > 3, "it has threads: the log's, two lookouts', the reload's"
    assert blocked.pop(str(daemon.process.pid)) == set()
    assert {len(numbers) for numbers in blocked.values()} == {3}, blocked


def signals_blocked(task: Path) -> set[int]:
    """Read proc(5)'s SigBlk: a bit for each signal, from number 1."""
    lines = (task / "status").read_text().splitlines()
    mask = int(next(line for line in lines if line.startswith("SigBlk")).split()[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def test_fault_50_what_comes_after_the_first_sigterm_changes_nothing(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root))
    with daemon.client() as client:
        client.detections(1)
        began_s = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        sent = 0
        while daemon.process.poll() is None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                daemon.process.send_signal(number)
                sent += 1
            time.sleep(0.0005)
            assert time.monotonic() - began_s < 10.0
        assert time.monotonic() - began_s < STOP_S + 0.5
        byes = [message for message in last_words(client) if message["type"] == "bye"]
    assert sent > 30
    assert daemon.process.returncode == 0, daemon.log
    assert byes == [{"type": "bye", "reason": "visiond stops"}]
    assert daemon.log.count("visiond has stopped") == 1
    assert "Traceback" not in daemon.log
    assert "Exception" not in daemon.log


# standing still


def test_fault_53_after_a_suspend_no_stale_result_comes(start_daemon: StartDaemon, root: Path) -> None:
    """Everything stands still at once, as it does when the machine sleeps."""
    daemon = start_daemon(config(root))
    stand_still(daemon, lambda: [daemon.process.pid, *daemon.workers().values()])


def test_fault_54_after_5_s_of_standing_still_no_burst_of_stale_results_comes(
    start_daemon: StartDaemon, root: Path
) -> None:
    """Only the daemon stands still: its workers go on, and their results wait for it."""
    daemon = start_daemon(config(root))
    stand_still(daemon, lambda: [daemon.process.pid])


def stand_still(daemon: Daemon, who: Callable[[], list[int]]) -> None:
    """Stop these processes for 5 s; what comes then is young, soon there, and accounted for."""
    with daemon.client() as client:
        before = client.detections(5)[-1]
        pids = who()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        stopped_ns = time.monotonic_ns()
        time.sleep(5.0)
        woken_ns = time.monotonic_ns()
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        later: list[dict[str, Any]] = []
        while len(later) < 10:
            message = client.message()
            if message["type"] == "detections" and message["published_ns"] > stopped_ns:
                later.append(message)
        assert (later[0]["published_ns"] - woken_ns) / 1e9 < 3.0
        for message in later:
            assert message["published_ns"] >= woken_ns
            assert message["captured_ns"] > woken_ns - MAX_AGE_MS * 1e6, "older than max_age_ms"
            assert message["age_ms"] <= MAX_AGE_MS
        assert later[0]["seq"] > before["seq"]
        status = client.status(lambda s: s["state"] == "ok")
        front = status["cameras"]["front"]
        assert front["captured"] == front["inferred"] + sum(front["dropped"].values()) + front["pending"]


# nothing to write to


NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has mounts of its own")


def mounts(short_folder: Path) -> tuple[str, ...]:
    """A mount namespace where only the daemon's folder can be written to; needs root."""
    folder = str(short_folder)
    script = f"""
mount --make-rprivate / && mount --bind {folder} {folder}
for point in $(cut -d' ' -f5 /proc/self/mountinfo); do
    case $point in {folder}*|/proc*|/sys*) ;; *) mount -o remount,ro,bind "$point" 2>/dev/null || true ;; esac
done
touch /tmp/visiond-test-write 2>/dev/null && exit 99
exec "$@"
"""
    return ("unshare", "-m", "sh", "-c", script, "sh")


@NEEDS_ROOT
def test_fault_55_a_read_only_root_is_no_trouble(start_daemon: StartDaemon, root: Path, short_folder: Path) -> None:
    inside = short_folder / "run"
    inside.mkdir(mode=0o750)
    before = {path: path.stat().st_mtime_ns for path in short_folder.iterdir()}
    daemon = start_daemon(config(root), prefix=mounts(short_folder))
    with daemon.client() as client:
        client.detections(10)
        made = {path.name for path in short_folder.iterdir()} - {path.name for path in before}
        assert made == {"visiond0.yaml", "visiond0.log", "v0.sock", "v0.sock.lock", "v0.sock.control"}, (
            "its sockets and the lock, no more"
        )
        assert client.status(lambda s: s["state"] == "ok")
    assert stop(daemon) < STOP_S
    assert "Traceback" not in daemon.log


def test_fault_55_a_full_disk_behind_the_log_is_no_trouble(start_daemon: StartDaemon, root: Path) -> None:
    daemon = start_daemon(config(root), prefix=LOG_TO_NOBODY)
    with daemon.client() as client:
        client.detections(3)
        os.kill(daemon.workers()["engine shapes"], signal.SIGKILL)  # that is logged
        client.until(lambda m: m["type"] == "detections" and m["epoch"] == 2)
    assert stop(daemon) < STOP_S


@pytest.mark.parametrize("prefix", [LOG_CLOSED, LOG_NOT_READ], ids=["closed", "not read"])
def test_fault_56_a_log_that_nobody_reads_delays_nothing(
    prefix: Sequence[str], start_daemon: StartDaemon, root: Path
) -> None:
    daemon = start_daemon(config(root), prefix=prefix)
    with daemon.client() as client:
        epoch = client.detections(3)[-1]["epoch"]
        for _ in range(2):
            os.kill(daemon.workers()["camera front"], signal.SIGKILL)
            epoch = client.until(lambda m, old=epoch: m["type"] == "detections" and m["epoch"] > old)["epoch"]
        beats_s = []
        for _ in range(3):
            client.status()
            beats_s.append(time.monotonic())
        assert beats_s[-1] - beats_s[0] < 3.0
        assert stop(daemon) < STOP_S
        assert last_words(client)[-1]["type"] == "bye"


def test_fault_56_no_descriptor_of_the_daemons_is_taken_for_its_closed_stderr(
    start_daemon: StartDaemon, root: Path
) -> None:
    daemon = start_daemon(config(root), prefix=LOG_CLOSED)
    with daemon.client() as client:
        client.detections(1)
        for fd in (1, 2):
            status = Path(f"/proc/{daemon.process.pid}/fd/{fd}").stat()
            assert stat.S_ISCHR(status.st_mode), f"descriptor {fd} is no /dev/null"
            assert status.st_rdev == Path(os.devnull).stat().st_rdev


FULL_RUN = """
import os, subprocess, sys
at = sys.argv.index("--socket") + 1
folder = os.path.join(os.path.dirname(sys.argv[at]), "run")
subprocess.run(["mount", "--make-rprivate", "/"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=0750", "run", folder], check=True)
with open(os.path.join(folder, "filler"), "wb", buffering=0) as filler:
    try:
        while True:
            filler.write(bytes(4096))
    except OSError:
        pass
sys.argv[at] = os.path.join(folder, "v.sock")
os.execvp(sys.argv[1], sys.argv[1:])
"""


@NEEDS_ROOT
def test_fault_56_a_full_run_is_no_trouble(start_daemon: StartDaemon, root: Path, short_folder: Path) -> None:
    (short_folder / "run").mkdir()
    daemon = start_daemon(config(root), prefix=("unshare", "-m", sys.executable, "-c", FULL_RUN))
    place = short_folder / "run" / "v.sock"
    daemon.socket_path = Path(f"/proc/{daemon.process.pid}/root{place}")  # it has mounts of its own
    with daemon.client() as client:
        client.detections(5)
        assert client.status(lambda s: s["state"] == "ok")
        assert stop(daemon) < STOP_S
        assert last_words(client)[-1]["type"] == "bye"
