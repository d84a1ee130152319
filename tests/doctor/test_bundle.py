"""The report to send: what is in it and what never is, where it lies, and that it is whole or not there."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.conftest import Place
from harness import Daemon
from visiond.config import load_config
from visiond.doctor import evidence
from visiond.doctor.bundle import CONTENTS, FOLDER, collect, default_target, summary, write
from visiond.doctor.evidence import Evidence
from visiond.errors import UnavailableError

TEXTS = [Evidence("a.txt", "an a", "text"), Evidence("b.txt", "a b", None, "nobody has it")]
Program = Callable[[str, str], None]


def members(path: Path) -> dict[str, str]:
    """Text of each file in the archive, by its name in the report's folder; everything in it is a plain text."""
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
        assert all(entry.isfile() and entry.name.startswith(f"{FOLDER}/") for entry in entries)
        read = {entry.name.removeprefix(f"{FOLDER}/"): archive.extractfile(entry) for entry in entries}
        return {name: file.read().decode() for name, file in read.items() if file is not None}


def run(place: Place, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "visiond", "doctor", "-c", str(place.write()), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL, cwd=place.folder
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Put a shell script in the place of one of the system's programs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, script: str) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    return make


@pytest.fixture
def leaky(program: Program, tmp_path: Path) -> Callable[[str], None]:
    """A journal, a kernel log and a service that hold what they should not."""
    words = tmp_path / "words"
    for name in ("journalctl", "dmesg", "systemctl"):
        program(name, f"cat '{words}'")
    return lambda text: words.write_text(f"usb 2-1: {text}\n")


def report_of(place: Place, *texts: str) -> dict[str, Any]:
    checks = [
        {"group": "x", "name": text, "state": "ok", "seen": text, "cause": None, "remedy": None, "data": {"a": [text]}}
        for text in texts
    ]
    return {"visiond": "0", "state": "ok", "config": "c", "socket": str(place.socket), "checks": checks}


def test_a_report_is_made_and_says_what_is_in_it(place: Place) -> None:
    done = run(place, "--bundle", "r.tar.gz")
    path = place.folder / "r.tar.gz"
    assert done.stdout.startswith("daemon\n  ok      daemon: none is running at "), "the findings, as without --bundle"
    assert f"report: {path} (" in done.stderr
    assert f"not in it: status.json: no daemon runs at {place.socket}" in done.stderr
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(place.folder.glob(".r.tar*")), "nothing else is left there"
    found = members(path)
    assert json.loads(found["doctor.json"])["state"] in ("ok", "warn")
    versions = json.loads(found["versions.json"])
    assert versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert versions["packages"]["numpy"]
    assert json.loads(found["devices.json"])["sticks"][0]["port"] == "2-1"
    assert found["configuration/visiond.yaml"] == (place.folder / "visiond.yaml").read_text()
    assert found["configuration/models/objects/model.yaml"] == (place.package / "model.yaml").read_text()
    listed = {line.partition(":")[0] for line in found[CONTENTS].splitlines()}
    assert {*found} - {CONTENTS} <= listed
    assert f"status.json: what the daemon says of itself - MISSING: no daemon runs at {place.socket}" in found[CONTENTS]


def test_with_json_the_report_of_the_doctor_is_what_is_printed(place: Place) -> None:
    done = run(place, "--json", "--bundle", "r.tgz")
    assert json.loads(done.stdout) == json.loads(members(place.folder / "r.tgz")["doctor.json"])


def test_a_running_daemon_tells_its_status(place: Place) -> None:
    daemon = Daemon(place.write(), place.socket)
    try:
        with daemon.client() as client:
            client.detections(1)
        run(place, "--bundle", "r.tar.gz")
    finally:
        daemon.stop()
    status = json.loads(members(place.folder / "r.tar.gz")["status.json"])
    assert status["cameras"]["front"]["state"] == "streaming"


def test_a_broken_configuration_is_reported_all_the_same(place: Place) -> None:
    path = place.folder / "broken.yaml"
    path.write_text("cameras:\n  front: {source: rtsp://u:Zq@h/x, fsp: 3}\n  : [\n")
    done = run(place, "--bundle", "r.tar.gz", "-c", str(path), status=1)
    found = members(place.folder / "r.tar.gz")
    assert "configuration/visiond.yaml" in found
    assert f"{path}:" in found["doctor.json"]
    assert "Zq" not in "".join(found.values()) + done.stdout + done.stderr


@pytest.mark.parametrize("name", ["visiond.yaml", "report", ".tar.gz", "."])
def test_a_name_that_is_no_archives_replaces_nothing(place: Place, name: str) -> None:
    before = place.write().read_text()
    assert "give a file that ends in .tar.gz" in run(place, "--bundle", name, status=64).stderr
    assert (place.folder / "visiond.yaml").read_text() == before


def test_a_folder_that_is_not_there_is_told_before_the_examination(place: Place) -> None:
    done = run(place, "--bundle", "none/r.tar.gz", status=69)
    assert "none is not a folder; name a file elsewhere, such as /tmp/r.tar.gz" in done.stderr
    assert done.stdout == ""


def test_without_a_name_no_report_is_replaced(tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        path = default_target(tmp_path)
        write(path, TEXTS)
        names.append(path.name)
    assert len(set(names)) == 3
    assert names[1] == names[0].replace(".tar.gz", "-2.tar.gz")


def test_a_report_is_whole_or_the_old_one_stays(tmp_path: Path) -> None:
    path = tmp_path / "r.tar.gz"
    write(path, TEXTS)

    def broken() -> Iterator[Evidence]:
        yield TEXTS[0]
        raise RuntimeError("the collector died")

    with pytest.raises(RuntimeError):
        write(path, broken())
    assert members(path) == {"a.txt": "text"}
    assert [each.name for each in tmp_path.iterdir()] == ["r.tar.gz"]


def test_a_disk_that_is_full_is_told_and_the_old_one_stays(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "r.tar.gz"
    write(path, TEXTS)
    code = f"""
import resource
from pathlib import Path
from visiond.doctor.bundle import write
from visiond.doctor.evidence import Evidence
resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
write(Path({str(path)!r}), [Evidence("a.txt", "", "other")])
"""
    environment = {"PYTHONPATH": str(root / "daemon"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert f"UnavailableError: {path} cannot be written: File too large; name a file elsewhere" in done.stderr
    assert members(path) == {"a.txt": "text"}
    assert [each.name for each in tmp_path.iterdir()] == ["r.tar.gz"]


def test_a_place_where_no_file_can_be_made_is_told() -> None:
    with pytest.raises(UnavailableError, match=r"^/proc/r.tar.gz cannot be written: .*; name a file elsewhere$"):
        write(Path("/proc/r.tar.gz"), TEXTS)


def test_it_belongs_to_who_used_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "12345")
    monkeypatch.setenv("SUDO_GID", "12346")
    write(tmp_path / "r.tgz", TEXTS)
    status = (tmp_path / "r.tgz").stat()
    expected = (12345, 12346) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    assert (status.st_uid, status.st_gid) == expected
    assert stat.S_IMODE(status.st_mode) == 0o600


def test_the_summary_names_what_is_there_and_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "r.tgz"
    write(path, TEXTS)
    first, there, missing, look = summary(path, TEXTS).splitlines()
    assert first.startswith(f"report: {path} (")
    assert (there, missing) == ("  in it: a.txt", "  not in it: b.txt: nobody has it")
    command = look.removeprefix("  look into it: ").removesuffix(" | less")
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout == "text"


SIGNS = "!$%&'()*+,;=~@/?#:-_.<>|^`{}[]\\\" äß€"  # with no letter or digit: no other text holds them by chance


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(SIGNS, min_size=3, max_size=12).map(lambda signs: f"Zq{signs}qZ"),
    st.sampled_from(["rtsp://admin:{}@h/x", "http://h/x?channel=1&pwd={}", "rtsp://h/user=admin_password={}"]),
    st.booleans(),
)
def test_fault_14_a_password_is_in_no_file_of_the_report(
    leaky: Callable[[str], None], place: Place, password: str, address: str, as_json: bool
) -> None:
    url = address.format(password)
    leaky(f"{url} {password}")
    text = json.dumps({"cameras": {"front": {"source": url}}}) if as_json else f"source: {url}\n# old: {url}\n"
    (place.folder / "v.yaml").write_text(text)
    contents = collect(place.folder / "v.yaml", report_of(place, url, f"FFmpeg refuses {password}."), None)
    path = place.folder / "r.tar.gz"
    write(path, contents)
    found = members(path)
    assert {"journal.txt", "kernel.txt", "unit.txt", "configuration/visiond.yaml", "doctor.json"} <= {*found}
    for name, member in found.items():
        assert "Zq" not in member, name
    assert "Zq" not in summary(path, contents)


def test_the_models_of_the_configuration_are_looked_up(place: Place) -> None:
    config = load_config(place.write())
    names = [each.name for each in evidence.configurations(place.folder / "visiond.yaml", config)]
    assert names == ["configuration/visiond.yaml", "configuration/models/objects/model.yaml"]


def test_the_journal_is_there_or_it_is_said_why_not(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program("journalctl", 'echo "-- Boot 3 --"; echo "2026-01-01T00:00:00 pi visiond[7]: camera front: streaming $*"')
    told = evidence.journal()
    assert "--unit=visiond --lines=500" in str(told.text)
    program("journalctl", 'echo "-- No entries --"')
    assert evidence.journal().missing == "it has no line of visiond that this user may read; try it with sudo"
    program("journalctl", 'echo "No journal files were opened." >&2; exit 1')
    assert evidence.journal().missing == "No journal files were opened; try it with sudo"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert evidence.journal().missing == "No journal files were opened"
    program("journalctl", "exec sleep 60")
    monkeypatch.setattr(evidence, "_COMMAND_S", 0.1)
    assert evidence.journal().missing == "journalctl did not end within 0.1 s"
    monkeypatch.setenv("PATH", "/nowhere")
    assert evidence.journal().missing == "journalctl is not on this machine"


def test_of_the_kernel_only_what_concerns_it(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    program("dmesg", 'echo "[1.0] usb 2-1: USB disconnect"; echo "[2.0] audit: somebody logged in"')
    assert evidence.kernel().text == "[1.0] usb 2-1: USB disconnect\n"
    program("dmesg", 'echo "dmesg: read kernel buffer failed: Operation not permitted" >&2; exit 1')
    assert evidence.kernel().missing == "dmesg: read kernel buffer failed: Operation not permitted; try it with sudo"


def test_a_text_that_is_too_long_keeps_its_end(program: Program) -> None:
    program("journalctl", "head -c 3000000 /dev/zero | tr '\\0' x; echo newest")
    text = evidence.journal().text
    assert text is not None
    assert (len(text), text[-7:]) == (evidence.MAX_CHARACTERS, "newest\n")


def test_cameras_are_listed_by_the_names_that_stay(place: Place) -> None:
    dev = place.folder / "dev"
    (dev / "v4l" / "by-id").mkdir(parents=True)
    (dev / "video7").touch()
    (dev / "v4l" / "by-id" / "usb-X-index0").symlink_to("../../video7")
    place.edgetpu["dev"] = str(dev)
    text = evidence.devices(load_config(place.write())).text
    assert json.loads(str(text))["cameras"] == {str(dev / "v4l/by-id/usb-X-index0"): str(dev / "video7")}
