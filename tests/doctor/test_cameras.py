"""The configured cameras, without a daemon."""

import socket
from pathlib import Path
from typing import Any

import pytest

from doctor.conftest import Place
from visiond.config import load_config
from visiond.doctor.cameras import ListingFailed, camera_findings, list_cameras
from visiond.doctor.report import Finding


def look(place: Place, source: str, listed: Any = ()) -> Finding:
    place.cameras = {"front": {"source": source, "model": "objects"}}
    (finding,) = camera_findings(load_config(place.write()), lambda: listed)
    return finding


def test_synthetic_needs_nothing(place: Place) -> None:
    assert look(place, "synthetic:shapes").state == "ok"


def test_a_server_that_listens_is_reached_and_one_that_does_not_is_not(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        reached = look(place, f"rtsp://someone:geheim77@127.0.0.1:{port}/live?token=sesam99")
        server.settimeout(5)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b""  # nothing was sent, and no password
    assert (reached.state, reached.data) == ("ok", {"host": "127.0.0.1", "port": port})
    refused = look(place, f"rtsp://someone:geheim77@127.0.0.1:{port}/live?token=sesam99")
    assert refused.state == "fail"
    assert "Connection refused" in str(refused.cause)
    for finding in (reached, refused):
        assert not {"geheim77", "sesam99", "someone"} & set(str(finding).replace(":", " ").replace("@", " ").split())
        assert "geheim77" not in str(finding)
        assert "sesam99" not in str(finding)


def test_a_folder_and_a_file_must_be_there(place: Place, tmp_path: Path) -> None:
    assert look(place, f"images:{tmp_path / 'none'}").state == "fail"
    assert "is empty" in str(look(place, f"images:{tmp_path}").cause)
    (tmp_path / "a.png").write_bytes(b"x")
    assert look(place, f"images:{tmp_path}").state == "ok"
    assert look(place, f"file:{tmp_path / 'a.png'}").state == "ok"
    assert "is no file" in str(look(place, f"file:{tmp_path}").cause)


def camera(name: str, problem: str | None = None) -> dict[str, Any]:
    return {"source": f"v4l2:{name}", "name": "Cam", "names": [name], "problem": problem}


def test_a_v4l2_camera_is_found_by_any_of_its_names(place: Place, tmp_path: Path) -> None:
    node, link = tmp_path / "video0", tmp_path / "by-id"
    node.touch()
    link.symlink_to(node)
    assert look(place, f"v4l2:{link}", [camera(str(node))]).state == "ok"
    busy = look(place, f"v4l2:{link}", [camera(str(node), "no permission: sudo usermod -aG video $USER")])
    assert (busy.state, busy.cause, busy.remedy) == ("fail", "no permission", "sudo usermod -aG video $USER")
    other = look(place, f"v4l2:{node}", [camera(str(tmp_path / "video9"))])
    assert "is no camera" in str(other.cause)
    assert "does not exist" in str(look(place, f"v4l2:{tmp_path / 'video7'}").cause)


def test_a_csi_camera_is_found_by_its_number(place: Place) -> None:
    listed = [{"source": "csi:0", "name": "imx708", "names": ["/base/soc"], "problem": None}]
    assert look(place, "csi:0", listed).state == "ok"
    assert look(place, "csi:1", listed).state == "fail"


def test_a_listing_that_crashes_is_a_finding(place: Place) -> None:
    def crash() -> Any:
        raise ListingFailed("visiond cameras ended with -11: libcamera")

    place.cameras = {"front": {"source": "csi:0", "model": "objects"}}
    (finding,) = camera_findings(load_config(place.write()), crash)
    assert (finding.state, finding.cause) == ("fail", "visiond cameras ended with -11: libcamera")


def test_the_real_listing_runs_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(root / "daemon"))
    assert all({"source", "name", "names", "problem"} <= set(found) for found in list_cameras())
