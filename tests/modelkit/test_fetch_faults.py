"""Fetching from a server that cuts, lies, stalls, redirects, refuses: the whole package, or a sentence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from email.message import Message
from http.client import HTTPResponse
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from modelkit import mirror as answers
from modelkit.mirror import Mirror
from modelkit.zoo import FAST, FILES, LABELS, MODEL, TWIN, Zoo, write_catalogue
from visiond.errors import DataError, UnavailableError, VisiondError
from visiond.modelkit.fetch.answers import Cut, extent, refused
from visiond.modelkit.fetch.web import Patience

NAME = "model.tflite"
LOGIN = b"<html>Welcome to our hotel</html>"


@pytest.fixture(params=["sizes known", "sizes not known"])
def zoo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Zoo]:
    with Mirror(dict(FILES)) as mirror:
        write_catalogue(tmp_path / "catalogue.yaml", mirror.address, request.param == "sizes known")
        yield Zoo(tmp_path / "catalogue.yaml", tmp_path / "models", mirror)


def failure(zoo: Zoo, patience: Patience = FAST) -> str:
    """The sentence with which it ends; there is no package then, and no file that is not named so."""
    with pytest.raises((UnavailableError, DataError)) as raised:
        zoo.fetch(patience)
    assert not zoo.target.exists()
    text = str(raised.value)
    assert "\n" not in text
    assert "--from" in text
    return text


def test_a_file_that_is_cut_is_taken_up_again(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.cut(50_000), answers.cut(100_000)])
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == [None, "bytes=50000-", "bytes=150000-"]


def test_a_file_that_is_always_cut_is_given_up_and_kept(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.cut(50_000), *[answers.cut(0)] * 9])
    text = failure(zoo)
    assert "it was cut after 50000 of 204800 bytes" in text
    assert "50000 bytes are kept, and the same command goes on there" in text
    assert len(zoo.mirror.ranges(NAME)) == 1 + FAST.tries
    zoo.mirror.script.clear()
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME)[-1] == "bytes=50000-"


def test_a_server_that_ignores_range_begins_anew(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.cut(50_000), answers.whole(MODEL)])
    zoo.fetch()
    assert zoo.is_whole()


def test_a_server_that_ignores_range_and_cuts_is_given_up(zoo: Zoo) -> None:
    def first_part(request: answers.Request) -> None:
        request.head(200, Content_Length=len(MODEL))
        request.body(MODEL[:50_000])

    zoo.mirror.script[NAME].extend([first_part] * 9)
    assert "50000 bytes are kept" in failure(zoo)
    assert len(zoo.mirror.ranges(NAME)) == 1 + FAST.tries


@pytest.mark.parametrize("content_range", [f"bytes 60000-{len(MODEL) - 1}/{len(MODEL)}", "nonsense"])
def test_another_part_than_asked_for_is_not_joined(zoo: Zoo, content_range: str) -> None:
    liar = answers.raw(206, MODEL[60_000:], Content_Range=content_range, Content_Length=len(MODEL) - 60_000)
    zoo.mirror.script[NAME].extend([answers.cut(50_000), liar])
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == [None, "bytes=50000-", None]


@pytest.mark.parametrize("start", [49_999, 50_001])
def test_another_part_is_known_by_its_head(tmp_path: Path, start: int) -> None:
    response = SimpleNamespace(status=206, headers={"Content-Range": f"bytes {start}-204799/204800"})
    (part := tmp_path / "part").write_bytes(b"?")
    with pytest.raises(Cut, match="another part"):
        extent(cast(HTTPResponse, response), part, 50_000)
    assert not part.exists()


def test_what_a_server_says_is_no_command_to_a_terminal(tmp_path: Path) -> None:
    error = urllib.error.HTTPError("http://host/", 418, "\x1b[2J tea\npot", Message(), None)
    with error, pytest.raises(UnavailableError) as raised:
        refused("http://host/", error, tmp_path / "part")
    assert str(raised.value).isprintable()
    assert "418" in str(raised.value)


def test_pieces_of_two_files_are_found_out_and_fetched_again(zoo: Zoo) -> None:
    zoo.staging.mkdir(parents=True)
    (zoo.staging / f"{NAME}.part").write_bytes(TWIN[:50_000])  # of another day, when the file was another one
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == ["bytes=50000-", None]


def test_a_part_that_is_longer_than_the_file_goes(zoo: Zoo) -> None:
    zoo.staging.mkdir(parents=True)
    (zoo.staging / f"{NAME}.part").write_bytes(MODEL + MODEL)
    zoo.fetch()
    assert zoo.is_whole()


def test_a_part_that_is_whole_is_not_fetched_again(zoo: Zoo) -> None:
    zoo.staging.mkdir(parents=True)
    (zoo.staging / f"{NAME}.part").write_bytes(MODEL)
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == []


def test_a_file_of_the_right_size_with_wrong_content_is_thrown_away(zoo: Zoo) -> None:
    zoo.mirror.files[NAME] = TWIN
    text = failure(zoo)
    assert "is not the catalogue's file: it has the SHA-256" in text
    assert "thrown away" in text
    assert zoo.mirror.ranges(NAME) == [None]
    assert not zoo.staging.exists()  # nothing of it is left to be joined with anything
    zoo.mirror.files[NAME] = MODEL
    zoo.fetch()
    assert zoo.is_whole()


@pytest.mark.parametrize("content", [LOGIN, MODEL + b"!", MODEL[:-1], b""], ids=["login", "longer", "shorter", "empty"])
def test_a_file_of_another_size_is_refused(zoo: Zoo, content: bytes) -> None:
    zoo.mirror.script[NAME].append(answers.whole(content))
    text = failure(zoo)
    known = zoo.catalogue().models["pets"].files.cpu
    assert known is not None
    if known.bytes is not None:
        assert f"has {len(content)} bytes there, and the catalogue's file has {len(MODEL)}" in text
        assert "log in" in text
    else:
        assert "is not the catalogue's file" in text
    assert not list(zoo.parent.rglob("*.part"))


@pytest.mark.parametrize("content", [MODEL * 2, MODEL[:1000]], ids=["longer", "shorter"])
def test_a_length_that_is_not_told_is_no_excuse(zoo: Zoo, content: bytes) -> None:
    zoo.mirror.script[NAME].extend([answers.without_length(content)] * 9)
    failure(zoo)
    zoo.mirror.script[NAME].clear()
    zoo.mirror.script[NAME].append(answers.without_length(MODEL))
    zoo.fetch()
    assert zoo.is_whole()


def test_a_length_that_is_a_lie(zoo: Zoo) -> None:
    """It announces the right size, and sends less: as if cut, and again, and again."""
    zoo.mirror.files[NAME] = MODEL[:1000]
    liar = answers.raw(200, MODEL[:1000], Content_Length=len(MODEL))
    zoo.mirror.script[NAME].append(liar)
    failure(zoo)


def test_a_server_that_goes_silent_is_left_and_asked_again(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].append(answers.stall(50_000))
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == [None, "bytes=50000-"]


def test_a_server_that_drips_is_given_up(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.drip(0.01)] * 9)
    began = time.monotonic()
    assert "almost nothing comes" in failure(zoo)
    assert time.monotonic() - began < 5


def test_a_server_that_does_not_answer_is_given_up(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.silent] * 9)
    assert "no answer in time" in failure(zoo)
    assert len(zoo.mirror.ranges(NAME)) == FAST.tries


def test_a_server_that_hangs_up_is_asked_again(zoo: Zoo) -> None:
    zoo.mirror.script[NAME].extend([answers.hang_up, answers.status(503), answers.cut(50_000), answers.status(500)])
    zoo.fetch()
    assert zoo.is_whole()


@pytest.mark.parametrize("code", [404, 403, 410])
def test_a_file_that_is_not_there_is_told_at_once(zoo: Zoo, code: int) -> None:
    zoo.mirror.script[NAME].append(answers.status(code))
    assert f"{NAME} is not there" in (text := failure(zoo))
    assert f"{code} " in text
    assert zoo.mirror.ranges(NAME) == [None, None]  # where the file may lie, and below pets/
    assert not zoo.staging.exists()


def test_a_redirect_is_followed_and_its_file_verified(zoo: Zoo) -> None:
    with Mirror({"elsewhere": MODEL, "other": TWIN}) as other:
        zoo.mirror.script[NAME].append(answers.redirect(f"{other.address}other"))
        failure(zoo)
        other.script["elsewhere"].append(answers.cut(50_000))
        zoo.mirror.script[NAME].extend([answers.redirect(f"{other.address}elsewhere")] * 2)
        zoo.fetch()
        assert other.ranges("elsewhere") == [None, "bytes=50000-"]
    assert zoo.is_whole()


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "ftp://127.0.0.1/model.tflite", f"/{NAME}", "http://a..b/", "http://h o/"]
)
def test_a_redirect_leads_to_no_file_and_not_round_and_round(zoo: Zoo, to: str) -> None:
    zoo.mirror.script[NAME].extend([answers.redirect(to)] * 20)
    failure(zoo)
    assert not zoo.staging.exists()


def test_no_network_is_told_at_once(zoo: Zoo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    zoo.mirror.address = f"http://127.0.0.1:{port}/"
    began = time.monotonic()
    text = failure(zoo, Patience())
    assert "Connection refused; check the network, the proxy" in text
    zoo.mirror.address = "http://models.invalid/"
    assert "models.invalid is not found" in failure(zoo, Patience())
    assert time.monotonic() - began < 5
    assert not zoo.staging.exists()


def test_a_network_that_goes_meanwhile_is_waited_for(zoo: Zoo) -> None:
    """What had begun to come is tried again, although the connection is refused."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    zoo.mirror.script[NAME].extend([answers.cut(50_000), answers.redirect(nobody)])
    zoo.fetch()
    assert zoo.is_whole()
    assert zoo.mirror.ranges(NAME) == [None, "bytes=50000-", "bytes=50000-"]


def test_a_certificate_is_checked_and_names_the_clock(zoo: Zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = zoo.path.with_name("server.pem")
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2", "-nodes")
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", *subject, "-keyout", pem, "-out", f"{pem}.crt"]
    subprocess.run(make, check=True, capture_output=True)
    pem.write_text(pem.read_text() + Path(f"{pem}.crt").read_text())
    with Mirror(dict(FILES), pem) as zoo.mirror:
        text = failure(zoo)
        assert "its certificate is not accepted (self-signed certificate)" in text
        assert "is this machine's clock right?" in text
        assert zoo.mirror.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", f"{pem}.crt")
        zoo.fetch()
    assert zoo.is_whole()


def test_interrupted_and_taken_up_again(zoo: Zoo, root: Path) -> None:
    command = [sys.executable, "-m", "visiond", *zoo.command("--from", zoo.mirror.address)]
    zoo.mirror.script[NAME].append(answers.stall(50_000))
    part = zoo.staging / f"{NAME}.part"
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(root / "daemon")}
    ) as process:
        deadline = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size == 50_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert told.endswith("interrupted; what has come is kept, and the same command goes on there\n")
    assert "Traceback" not in told
    assert not zoo.target.exists()
    zoo.fetch()
    assert zoo.mirror.ranges(NAME)[-1] == "bytes=50000-"
    assert zoo.is_whole()


def test_killed_at_any_moment_there_is_a_whole_package_or_none(zoo: Zoo, root: Path) -> None:
    zoo.mirror.script[NAME].append(answers.stall(50_000))
    command = [sys.executable, "-m", "visiond", *zoo.command("--from", zoo.mirror.address)]
    environment = {**os.environ, "PYTHONPATH": str(root / "daemon")}
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
        deadline = time.monotonic() + 30
        while not (zoo.staging / f"{NAME}.part").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert not zoo.target.exists()
    zoo.fetch()  # no lock is left behind
    assert zoo.is_whole()


def test_a_file_without_a_confirmed_commit_says_so(zoo: Zoo) -> None:
    text = zoo.path.read_text()
    zoo.path.write_text(text.replace("path: labels.txt, ", "path: labels.txt, confirmed: false, "))
    zoo.mirror.files["labels.txt"] = LABELS.swapcase()
    assert "that its address has it is not confirmed, see the catalogue's README" in failure(zoo)


def test_every_error_is_one_of_ours(zoo: Zoo) -> None:
    """Garbage in place of HTTP, and headers without end."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        zoo.mirror.address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        import threading

        def garbage() -> None:
            for reply in (b"\x00\xff\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000, b"HTTP/1.1 banana\r\n\r\n"):
                connection, _ = server.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(reply)

        threading.Thread(target=garbage, daemon=True).start()
        with pytest.raises(VisiondError):
            zoo.fetch()
