"""What a robot imports: plain dicts from a socket while there is a daemon, and the truth when there is none."""

import itertools
import select
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from numbered_daemon import NumberedDaemon, hello, numbered_daemon, segmented, until
from visiond.client import Connection, Refused, connect, mask_rows, stay_connected
from visiond.publish.limits import Limits


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="visiond-test-") as folder:
        yield Path(folder) / "visiond.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[NumberedDaemon]:
    with numbered_daemon(path) as server:
        yield server


def test_messages_come_as_dicts_until_the_daemon_ends(path: Path) -> None:
    with numbered_daemon(path) as daemon:
        with connect(path) as connection:
            messages = iter(connection)
            assert next(messages)["type"] == "hello"
            assert next(messages)["type"] == "status"
            daemon.publish()
            message = next(messages)
            assert message["type"] == "detections"
            assert message["objects"][0]["label"] == "cat"
            daemon.close("visiond stops")
            assert list(messages) == [{"type": "bye", "reason": "visiond stops"}]
        daemon.start()


def test_a_subscription_holds_for_the_first_result_already(daemon: NumberedDaemon, path: Path) -> None:
    stop = threading.Event()

    def publish() -> None:
        while not stop.is_set():
            daemon.publish("front", objects=4)
            daemon.publish("rear", objects=4)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for _ in range(20):
            with connect(path, cameras=["rear"], labels=["dog"], min_score=0.3) as connection:
                results = (message for message in connection if message["type"] == "detections")
                for message in islice(results, 3):
                    assert message["camera"] == "rear"
                    assert [found["label"] for found in message["objects"]] == ["dog", "dog"]
    finally:
        stop.set()
        publisher.join()


@pytest.mark.usefixtures("daemon")
def test_what_the_daemon_does_not_know_raises(path: Path) -> None:
    with connect(path, labels=["Cat"]) as connection, pytest.raises(Refused, match='label "Cat"'):
        list(connection)
    with pytest.raises(Refused, match='no camera "frnt"; there is front, rear'):
        list(stay_connected(path, cameras=["frnt"]))


@pytest.mark.usefixtures("daemon")
def test_requests_on_an_open_connection(path: Path) -> None:
    with Connection(path) as connection:
        connection.subscribe(cameras=["frnt"])
        connection.ask_status()
        connection.ping(7)
        connection.ping()
        messages = list(itertools.takewhile(lambda message: message != {"type": "pong"}, connection))
    kinds = [message["type"] for message in messages]
    assert kinds[0] == "hello"
    assert [kind for kind in kinds if kind in ("error", "pong")] == ["error", "pong"]
    assert "status" in kinds


def test_without_a_daemon_it_says_which_path(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        connect(path)


@pytest.mark.usefixtures("daemon")
def test_a_silent_daemon_is_a_timeout(path: Path) -> None:
    with connect(path, silence_s=0.2) as connection, pytest.raises(TimeoutError):
        list(connection)


def test_another_major_protocol_is_refused(path: Path) -> None:
    with (
        numbered_daemon(path, hello=lambda: hello(protocol=[2, 0])),
        connect(path) as connection,
        pytest.raises(ValueError, match=r"speaks protocol \[2, 0\], this client 1"),
    ):
        list(connection)


def test_a_client_that_is_one_too_many_reads_why(path: Path) -> None:
    with numbered_daemon(path, max_clients=0), connect(path, max_hz=5) as connection:
        (message,) = connection
        assert message["type"] == "bye"
        assert message["reason"].startswith("busy")


def test_it_comes_back_to_a_daemon_that_was_away(path: Path) -> None:
    messages = stay_connected(path, cameras=["front"])
    away = next(messages)
    assert away["type"] == "away"
    assert away["reason"] == f"{path}: No such file or directory"
    assert away["retry_in_s"] == 0.25
    with numbered_daemon(path) as daemon:
        assert next(message for message in messages if message["type"] != "away")["type"] == "hello"
        daemon.close("visiond restarts")
        assert next(message for message in messages if message["type"] != "status")["type"] == "bye"
        assert next(messages)["type"] == "away"
        daemon.start()
        assert next(message for message in messages if message["type"] != "away")["type"] == "hello"
        until(lambda: daemon.counters()["connected"] == 1)
        messages.close()  # type: ignore[attr-defined]
        daemon.wait_for(connected=0)


def test_while_the_daemon_is_away_the_tries_become_rarer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("visiond.client.time.sleep", waits.append)
    assert all(message["type"] == "away" for message in islice(stay_connected(path), 9))
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


def test_a_robot_that_does_not_read_is_told_when_it_reads_again(path: Path) -> None:
    with numbered_daemon(path, limits=Limits(stall_s=0.3)) as daemon, connect(path) as connection:
        daemon.wait_for(connected=1)
        daemon.publish(count=3)
        daemon.wait_for(closed_slow=1)
        assert [message["type"] for message in connection] == ["hello", "bye"]


def test_the_one_file_works_where_nothing_else_is(path: Path, tmp_path: Path, root: Path) -> None:
    shutil.copy(root / "daemon" / "visiond" / "client.py", tmp_path / "eyes.py")
    code = "from eyes import connect; import sys; print(next(iter(connect(sys.argv[1])))['version'])"
    with numbered_daemon(path):
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "0.0.1\n"


def test_the_example_robot_stops_when_it_should(daemon: NumberedDaemon, path: Path, root: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(root / "examples" / "robot.py"), str(path), "cat"],
        env={"PYTHONPATH": str(root / "daemon")},
        stdout=subprocess.PIPE,
        text=True,
    ) as robot:
        assert robot.stdout is not None
        try:
            daemon.wait_for(connected=1)
            seconds = itertools.count(1)  # a second from one to the next, so that max_hz lets each through
            while not select.select([robot.stdout], [], [], 0.05)[0]:  # its subscription may not hold yet
                daemon.publish(objects=1, published_ns=next(seconds) * 10**9)
            assert robot.stdout.readline() == "front stop [[0.07, 0.13, 0.72, 0.98]]\n"
            daemon.publish(objects=0, published_ns=next(seconds) * 10**9)
            while (line := robot.stdout.readline()) != "front go []\n":
                assert line.startswith("front stop")
            daemon.publish_status("blind", "camera front is lost")
            assert robot.stdout.readline() == "stop: nothing can be seen: camera front is lost\n"
            daemon.close("visiond stops")
            assert robot.stdout.readline() == "stop: visiond stops\n"
            daemon.start()
        finally:
            robot.kill()


def test_the_example_robot_ends_without_a_traceback_when_nobody_reads_it(
    daemon: NumberedDaemon, path: Path, root: Path
) -> None:
    """As in `robot.py … | head -1`."""
    with subprocess.Popen(
        [sys.executable, str(root / "examples" / "robot.py"), str(path), "cat"],
        env={"PYTHONPATH": str(root / "daemon")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as robot:
        assert robot.stdout is not None
        assert robot.stderr is not None
        try:
            daemon.wait_for(connected=1)
            robot.stdout.close()
            seconds = itertools.count(1)
            while robot.poll() is None:
                daemon.publish(objects=1, published_ns=next(seconds) * 10**9)
                select.select([robot.stderr], [], [], 0.05)
            assert (robot.returncode, robot.stderr.read()) == (0, "")
        finally:
            robot.kill()


def test_masks_are_unpacked_row_by_row(daemon: NumberedDaemon, path: Path) -> None:
    with connect(path, masks=True) as connection:
        for message in connection:
            if message["type"] == "status":
                daemon.wait_for(connected=1)
                connection.ping("now")
            elif message["type"] == "pong":
                daemon.publish_result(segmented())
            elif message["type"] == "detections":
                break
    assert message["type"] == "detections"
    bird, other = (each["mask"] for each in message["segments"])
    assert bird is not None
    assert other is not None
    assert mask_rows(bird) == [b"\1\0\0\0", b"\1\0\0\0", b"\0\0\0\0"]
    assert mask_rows(other) == [b"\0\0\0\0", b"\0\0\0\0", b"\0\0\0\1"]
    with pytest.raises(ValueError, match="a mask of 13 cells, where 3 x 4 are 12"):
        mask_rows({"size": [3, 4], "counts": [12, 1]})
