"""Clients that flood, dribble, lie, die or come by the thousand; the others notice nothing."""

import logging
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from numbered_daemon import NumberedDaemon, numbered_daemon, until
from raw_client import RawClient
from visiond.publish.limits import Limits


def cpu_seconds(pid: int) -> float:
    """Processor time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def open_descriptors(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def pump(client: RawClient, data: bytes, limit_bytes: int) -> int:
    """Send until the daemon hangs up; return how many bytes it took."""
    sent = 0
    try:
        while sent < limit_bytes:
            sent += client.socket.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return sent


def dribble(client: RawClient, give_up_s: float) -> None:
    """Send a byte every now and then, and never a newline."""
    while time.monotonic() < give_up_s:
        client.send_raw(b" ")
        time.sleep(0.01)  # the slowness is the subject


@pytest.mark.parametrize("data", [b'{"type":"ping"}\n' * 4096, b"x" * 65536, b"\n" * 65536])
def test_fault_33_a_flood_is_cut_off(start: Callable[..., Any], path: Path, data: bytes) -> None:
    """A client that would pump a gigabyte gets rid of a fraction of one per cent of it."""
    daemon = start("--fps", "30")
    with RawClient(path) as other, RawClient(path) as flooder:
        other.welcomed()
        used_s = cpu_seconds(daemon.pid)
        assert pump(flooder, data, 1 << 30) < 1 << 22
        *_, error, bye = flooder.to_the_end()
        if data.startswith(b"\n"):
            assert bye["reason"] == "3 requests that cannot be served"
        else:
            assert error["reason"] == bye["reason"] == "more than 20 requests a second"
        other.next("detections")
        assert cpu_seconds(daemon.pid) - used_s < 0.5
        assert daemon.poll() is None


def test_fault_33_a_reasonable_rate_is_served_for_ever(path: Path) -> None:
    with (
        numbered_daemon(path, limits=Limits(requests_per_s=200, requests_burst=4)) as daemon,
        RawClient(path) as client,
    ):
        client.welcomed()
        for number in range(100):
            client.send({"type": "ping", "id": number})
            assert client.next("pong")["id"] == number
            time.sleep(0.006)  # the rate is the subject
        assert daemon.counters()["connected"] == 1


def test_fault_34_a_line_that_never_ends_is_waited_for_in_vain(path: Path) -> None:
    with (
        numbered_daemon(path, limits=Limits(line_s=0.3)) as daemon,
        RawClient(path) as silent,
        RawClient(path) as slow,
        RawClient(path) as endless,
    ):
        for client in (silent, slow, endless):
            client.welcomed()
        endless.send_raw(b"x" * 5000)
        assert endless.message()["reason"] == "a request of more than 4096 bytes"
        began_s = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            dribble(slow, give_up_s=began_s + 15)
        assert time.monotonic() - began_s > 0.3
        for client in (slow, endless):
            assert [message["type"] for message in client.to_the_end()] == ["error", "bye"]
        daemon.wait_for(connected=1)
        silent.send({"type": "ping"})
        assert silent.next("pong")


def test_fault_35_nonsense_over_the_socket(
    daemon: NumberedDaemon, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Any bytes: at most three errors, then the end; and never a traceback."""
    caplog.set_level(logging.DEBUG)
    chance = random.Random(35)
    nonsense = [
        b"\xff\xfe\n" * 3,
        b"[" * 4000 + b"\n",
        b"[" * 100_000 + b"\n",
        b'{"type":"ping","id":' + b"9" * 4000 + b"}\n",
        b"9" * 5000 + b"\n",
        b'{"type":"subscribe","max_hz":NaN}\n',
        b'{"type":"ping","type":"ping"}\n',
        b"\0" * 300 + b"\n",
    ]
    with RawClient(path) as witness:
        witness.welcomed()
        for case in range(300):
            data = nonsense[case] if case < len(nonsense) else chance.randbytes(chance.randrange(1, 400))
            with RawClient(path) as client:
                client.send_raw(data)
                client.socket.shutdown(socket.SHUT_WR)
                client.next("hello")
                if data.count(b"\n") >= 3:
                    kinds = [message["type"] for message in client.to_the_end()]
                    assert [kind for kind in kinds if kind != "status"] == ["error", "error", "error", "bye"]
            if case % 50 == 0:
                daemon.publish()
                witness.next("detections")
    daemon.wait_for(connected=0)
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]


@pytest.mark.usefixtures("daemon")
def test_fault_35_the_connection_is_kept_for_two_errors(path: Path) -> None:
    with RawClient(path) as client:
        client.welcomed()
        client.send_raw(b"[" * 4000 + b"\n")
        client.send_raw(b'{"type":"ping","id":' + b"9" * 5000 + b"}\n")
        assert client.next("error")["reason"].startswith("a request must be one JSON object")
        assert "more than 4096 bytes" in client.next("error")["reason"]
        client.send({"type": "ping"})
        assert client.next("pong")
        client.send_raw(b'{"type":"ping","id":NaN}\n')
        assert [message["type"] for message in client.to_the_end()] == ["error", "bye"]


def test_fault_37_clients_that_vanish_are_forgotten_at_once(daemon: NumberedDaemon, path: Path) -> None:
    with RawClient(path) as witness:
        witness.welcomed()
        witness.send({"type": "subscribe", "min_score": 0.95})
        witness.in_step()
        before = open_descriptors()
        for _ in range(15):
            victims = [RawClient(path) for _ in range(5)]
            victims[0].welcomed()
            victims[1].send_raw(b'{"type":"pi')
            daemon.publish(count=3, objects=300)
            for victim in victims:
                victim.close()
            gone_s = time.monotonic()
            daemon.wait_for(connected=1)
            assert time.monotonic() - gone_s < 1.0
            witness.next("detections")
            witness.in_step()
        until(lambda: open_descriptors() == before, "the descriptors' return")


@pytest.mark.slow
def test_fault_38_churn_leaves_no_descriptor_and_no_memory(start: Callable[..., Any], path: Path) -> None:
    """Connect and disconnect as fast as one process can, for two seconds after a warm-up."""
    daemon = start("--fps", "30")

    def churn(seconds: float) -> int:
        give_up, count = time.monotonic() + seconds, 0
        while time.monotonic() < give_up:
            with RawClient(path) as client:
                if count % 3 == 0:
                    client.next("hello")
                elif count % 3 == 1:
                    client.send_raw(b'{"type":"ping"}\n{"ty')
            count += 1
        return count

    fds = open_descriptors(daemon.pid)
    churn(0.5)
    rss_before = rss_kib(daemon.pid)
    count = churn(2.0)
    until(lambda: open_descriptors(daemon.pid) == fds, "the descriptors' return")
    grown_kib = rss_kib(daemon.pid) - rss_before
    print(f"{count / 2:.0f} connections a second, RSS grew by {grown_kib} KiB")
    assert count > 200
    assert grown_kib < 1024


def test_fault_39_without_descriptors_the_clients_that_are_there_stay(start: Callable[..., Any], path: Path) -> None:
    """32 descriptors, of which 16 are kept for the workers: some clients get in, the others are told busy."""
    daemon = start("--fps", "30", "--nofile", "32")
    inside: list[RawClient] = []
    refused = 0
    try:
        for _ in range(40):
            client = RawClient(path)
            first = client.message()
            if first["type"] == "hello":
                inside.append(client)
            else:
                assert first["reason"].startswith("busy: the daemon has too few file descriptors left")
                refused += 1
                client.close()
        assert len(inside) > 2
        assert refused > 20
        until(lambda: open_descriptors(daemon.pid) <= 16, "the end of the last one that was told busy")
        for client in inside:
            assert client.next("detections")["camera"] == "front"
        inside.pop().close()
        until(lambda: admitted(path), "a free place")
    finally:
        for client in inside:
            client.close()


def admitted(path: Path) -> bool:
    with RawClient(path) as client:
        return client.message()["type"] == "hello"


def test_fault_39_when_accept_itself_fails_it_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Another part has used the kept descriptors up as well: no spinning, and the client gets in later."""
    failures = 0
    real_accept = socket.socket.accept

    def accept(self: socket.socket) -> Any:
        nonlocal failures
        if failures < 3:
            failures += 1
            raise OSError(24, "Too many open files")
        return real_accept(self)

    monkeypatch.setattr(socket.socket, "accept", accept)
    with numbered_daemon(path, limits=Limits(accept_pause_s=0.05)):
        began_s = time.monotonic()
        with RawClient(path) as client:
            client.welcomed()
        assert time.monotonic() - began_s >= 0.15
    assert failures == 3
    told = [record.getMessage() for record in caplog.records]
    assert told.count("no client can be accepted (Too many open files); trying again") == 1, (
        "once, not ten times a second"
    )
