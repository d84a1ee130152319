"""A client's life, over a real socket: greeted, told, answered, and sent away."""

import os
import socket
import time
from pathlib import Path

import pytest

from numbered_daemon import NumberedDaemon, hello, numbered_daemon, until
from raw_client import RawClient
from visiond.errors import ConfigError
from visiond.publish.limits import Limits


def test_the_daemon_speaks_first_and_tells_its_state_at_once(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        greeting = client.message()
        assert (greeting["type"], greeting["protocol"], greeting["heartbeat_ms"]) == ("hello", [1, 0], 1000)
        assert greeting["models"][greeting["cameras"]["front"]["model"]]["labels"] == ["cat", "dog", None, "hot dog"]
        assert client.message()["type"] == "status"
        assert daemon.counters() == {"connected": 1, "max": 256, "refused": 0, "closed_slow": 0}
    daemon.wait_for(connected=0)


def test_who_says_nothing_gets_everything(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        for number in range(3):
            for camera in ("front", "rear"):
                daemon.publish(camera, objects=number)
                message = client.message()
                assert (message["camera"], message["seq"], message["missed"]) == (camera, number, 0)
                assert len(message["objects"]) == number
        daemon.publish_status("blind", "camera rear is lost: it was unplugged; plug it in")
        assert client.message()["state"] == "blind"


def test_a_late_client_is_told_the_state_that_the_others_know(daemon: NumberedDaemon, path: Path) -> None:
    daemon.publish_status("degraded", "on the CPU")
    with RawClient(path) as client:
        client.next("hello")
        assert client.message()["state"] == "degraded"


def test_a_subscription_holds_from_the_pong_that_follows_it(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.send({"type": "subscribe", "cameras": ["rear"], "labels": ["dog"]})
        assert client.in_step() == []
        daemon.publish("front", objects=2)
        daemon.publish("rear", objects=2)
        message = client.message()
        assert (message["camera"], [found["label"] for found in message["objects"]]) == ("rear", ["dog"])
        daemon.publish_status()
        assert client.message()["type"] == "status", "status comes whatever was subscribed"
        client.send({"type": "subscribe"})
        assert client.in_step() == []
        daemon.publish("front", objects=2)
        assert client.message()["camera"] == "front"


def test_max_hz_over_the_socket(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.send({"type": "subscribe", "max_hz": 10})
        client.in_step()
        got = []
        for number in range(30):
            daemon.publish(published_ns=10**9 + number * 10**9 // 30)
            got += client.in_step()
        assert [message["seq"] for message in got] == list(range(0, 30, 3))
        assert {message["missed"] for message in got} == {0}


@pytest.mark.usefixtures("daemon")
def test_status_and_ping_are_answered_in_order(path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.send({"type": "ping"}, {"type": "ping", "id": "eins"}, {"type": "ping", "id": 2})
        assert [client.message() for _ in range(3)] == [
            {"type": "pong"},
            {"type": "pong", "id": "eins"},
            {"type": "pong", "id": 2},
        ]
        client.send({"type": "ping", "id": 1}, {"type": "status"}, {"type": "ping", "id": 2})
        assert client.message() == {"type": "pong", "id": 1}
        assert client.message()["clients"]["connected"] == 1
        assert client.message() == {"type": "pong", "id": 2}


def test_the_third_error_closes(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.send_raw(b"hello?\n")
        assert "JSON object" in client.message()["reason"]
        client.send({"type": "subscribe", "cameras": ["frnt"]})
        assert 'no camera "frnt"; there is front, rear' in client.message()["reason"]
        daemon.publish()
        assert client.message()["type"] == "detections", "a mistake does not cost the results"
        client.send({"type": "subscribe", "labels": ["Cat"]})
        assert [message["type"] for message in client.to_the_end()] == ["error", "bye"]
    daemon.wait_for(connected=0)


def test_all_three_errors_are_told_to_a_client_that_reads_late(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.send_raw(b"1\n2\n3\n4\n")
        daemon.wait_for(connected=0)
        assert [message["type"] for message in client.to_the_end()] == ["hello", "error", "error", "error", "bye"]


def test_a_client_that_has_said_all_may_still_listen(daemon: NumberedDaemon, path: Path) -> None:
    """As `echo '{"type":"ping"}' | socat - UNIX-CONNECT:…` does."""
    with RawClient(path) as client:
        client.welcomed()
        client.send({"type": "ping"})
        client.socket.shutdown(socket.SHUT_WR)
        assert client.message() == {"type": "pong"}
        daemon.publish(count=1)
        assert client.message()["type"] == "detections"
    daemon.wait_for(connected=0)


def test_a_client_that_will_not_read_is_let_go(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.socket.shutdown(socket.SHUT_RD)
        daemon.publish()
        daemon.wait_for(connected=0)


def test_the_end_is_told_to_everyone_and_the_socket_is_gone(path: Path) -> None:
    with numbered_daemon(path) as daemon:
        clients = [RawClient(path) for _ in range(20)]
        for client in clients[:10]:
            client.welcomed()
        daemon.wait_for(connected=20)
        daemon.publish()
        began_s = time.monotonic()
        daemon.close("visiond stops")
        assert time.monotonic() - began_s < 0.5, "nobody had to be waited for"
        for client in clients:
            *_, last = client.to_the_end()
            assert last == {"type": "bye", "reason": "visiond stops"}
            client.close()
        assert list(path.parent.iterdir()) == []
        daemon.start()  # for the fixture to close, and to show that the path is free


def test_the_end_waits_half_a_second_for_a_client_in_the_middle_of_a_line(path: Path) -> None:
    long_hello = hello(labels=["a label" * 10] * 700)
    with numbered_daemon(path, hello=lambda: long_hello) as daemon, RawClient(path) as client:
        daemon.wait_for(connected=1)
        began_s = time.monotonic()
        daemon.close()
        assert 0.4 < time.monotonic() - began_s < 2.0
        received = b""
        while data := client.socket.recv(1 << 20):
            received += data
        assert received.count(b"\n") == 0, "a line that was not finished shows as one without its end"
        daemon.start()


def test_a_hello_of_64_kib_arrives_whole(path: Path) -> None:
    long_hello = hello(labels=["a label" * 10] * 850)
    with numbered_daemon(path, hello=lambda: long_hello) as daemon, RawClient(path) as client:
        daemon.wait_for(connected=1)
        daemon.publish(count=3)
        greeting = client.message()
        assert len(greeting["models"]["objects"]["labels"]) == 850
        assert client.message()["type"] == "status"
        assert client.message()["missed"] == 2


def test_one_client_too_many_is_told_so(path: Path) -> None:
    with numbered_daemon(path, max_clients=2) as daemon:
        with RawClient(path) as first, RawClient(path) as second:
            first.welcomed()
            second.welcomed()
            with RawClient(path) as third:
                (message,) = third.to_the_end()
            assert message == {"type": "bye", "reason": "busy: 2 clients are connected, which is socket.max_clients"}
            assert daemon.counters() == {"connected": 2, "max": 2, "refused": 1, "closed_slow": 0}
            daemon.publish()
            assert first.message()["seq"] == second.message()["seq"] == 0
        daemon.wait_for(connected=0)
        with RawClient(path) as third:
            third.welcomed()


def test_a_socket_that_was_handed_in_is_used_and_left_there(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(os.fspath(path))
        listening.listen()
        with numbered_daemon(Path("/nonexistent/x"), listening=listening) as daemon, RawClient(path) as client:
            client.welcomed()
            daemon.publish()
            assert client.message()["seq"] == 0
    assert path.exists()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_socket_of_another_kind_is_refused(path: Path, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as wrong:
        wrong.bind(os.fspath(path))
        daemon = NumberedDaemon(path, listening=wrong)
        with pytest.raises(ConfigError, match="no listening Unix stream socket"):
            daemon.start()
        daemon.end()


def test_replies_that_are_not_read_end_the_connection(path: Path) -> None:
    limits = Limits(waiting_replies=5, requests_burst=1000)
    with numbered_daemon(path, limits=limits) as daemon, RawClient(path) as client:
        client.send(*[{"type": "ping"}] * 20)
        daemon.wait_for(connected=0, closed_slow=1)
        messages = client.to_the_end()
        assert [message["type"] for message in messages] == ["hello", *["pong"] * 5, "bye"]
        assert "are not read" in messages[-1]["reason"]


@pytest.mark.usefixtures("daemon")
def test_a_client_that_comes_and_goes_leaves_nothing_behind(path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with RawClient(path) as client:
            client.welcomed()
    until(lambda: len(list(Path("/proc/self/fd").iterdir())) == before, "the descriptors' return")
