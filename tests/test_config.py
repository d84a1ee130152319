"""The configuration: what it means, and that each mistake is told in one line at its place, with the remedy."""

import copy
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from visiond.config import Config, json_schema, load_config
from visiond.errors import ConfigError, NoInputError
from visiond.places import SYSTEM_SOCKET, default_models_path, default_socket_path
from visiond.yaml_source import load

Write = Callable[[str], Path]

GOOD = """\
socket:
  path: run/v.sock
  group: robots
  mode: "0600"
  max_clients: 10
cameras:
  front:
    source: images:pictures?loop=1
    size: [640, 480]
    fps: 0
    rotate: 90
    model: objects
    max_age_ms: 500
    track: false
    zones:
      door: [[0, 0.5], [1, 0.5], [1, 1.0]]
  back:
    source: rtsp://admin:p@ss:w@camera:554/stream
    model: objects
models:
  path: packages
  objects:
    package: cats
    accelerator: never
    device: usb:0
    threads: 4
    min_score: 0.25
    max_objects: 7
    runtime: litert
    standby: cold
    max_rss_mb: 300
  other: {package: ./packages/dogs}
edgetpu:
  library: lib/libedgetpu.so.1
  performance: medium
  usb:
    always_dfu: false
    max_bulk_in_queue_length: 16
  reset: true
  max_backoff_s: 2.5
  sysfs: fake/sys
  dev: fake/dev
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a configuration beside a folder with the packages `cats` and `dogs`."""
    for name in ("cats", "dogs"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "model.yaml").touch()

    def write(text: str) -> Path:
        path = tmp_path / "v.yaml"
        path.write_text(text)
        return path

    return write


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert caught.value.exit_code == 78
    return str(caught.value).replace(f"{path}:", "").split("\n")


def test_every_key_is_read(write: Write) -> None:
    path = write(GOOD)
    config = load_config(path)
    assert config.socket.model_dump() == {
        "path": path.parent / "run" / "v.sock",
        "group": "robots",
        "mode": 0o600,
        "max_clients": 10,
    }
    assert config.cameras["front"].model_dump() == {
        "source": f"images:{path.parent}/pictures?loop=1",
        "size": (640, 480),
        "fps": 0,
        "rotate": 90,
        "model": "objects",
        "max_age_ms": 500,
        "track": False,
        "zones": {"door": ((0, 0.5), (1, 0.5), (1, 1))},
    }
    assert config.models["objects"].model_dump() == {
        "package": "cats",
        "accelerator": "never",
        "device": "usb:0",
        "threads": 4,
        "min_score": 0.25,
        "max_objects": 7,
        "runtime": "litert",
        "standby": "cold",
        "max_rss_mb": 300,
    }
    assert config.edgetpu.model_dump() == {
        "library": str(path.parent / "lib" / "libedgetpu.so.1"),
        "performance": "medium",
        "usb": {"always_dfu": False, "max_bulk_in_queue_length": 16},
        "reset": True,
        "max_backoff_s": 2.5,
        "sysfs": path.parent / "fake" / "sys",
        "dev": path.parent / "fake" / "dev",
    }
    assert config.edgetpu.usb.given == {"always_dfu": False, "max_bulk_in_queue_length": 16}
    assert list(config.models.named) == ["objects", "other"]


def test_what_is_left_out_has_a_default(write: Write) -> None:
    config = load_config(
        write("cameras: {a: {source: 'csi:0', model: m}}\nmodels: {path: packages, m: {package: cats}}")
    )
    camera, model = config.cameras["a"], config.models["m"]
    assert (config.socket.path, config.socket.group) == (default_socket_path(), None)
    assert (config.socket.mode, config.socket.max_clients) == (0o660, 256)
    assert (camera.size, camera.fps, camera.rotate, camera.max_age_ms, camera.track) == (None, None, 0, 1000, True)
    assert camera.zones == {}
    assert (model.accelerator, model.device, model.threads, model.min_score) == ("prefer", "usb", 2, 0.5)
    assert (model.max_objects, model.runtime, model.standby, model.max_rss_mb) == (100, "auto", "warm", 512)
    assert config.edgetpu.model_dump() == {
        "library": "libedgetpu.so.1",
        "performance": None,
        "usb": {"always_dfu": None, "max_bulk_in_queue_length": None},
        "reset": False,
        "max_backoff_s": 30,
        "sysfs": Path("/sys"),
        "dev": Path("/dev"),
    }
    assert config.edgetpu.usb.given == {}


def test_a_relative_path_starts_at_the_files_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(GOOD)
    monkeypatch.chdir(path.parent.parent)
    config = load_config(Path(path.parent.name) / path.name)
    assert config.socket.path == path.parent / "run" / "v.sock"
    assert config.models.path == path.parent / "packages"
    assert config.models.folder("objects") == path.parent / "packages" / "cats"
    assert config.models.folder("other").resolve() == path.parent / "packages" / "dogs"


def test_a_tilde_is_the_home_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(GOOD.replace("path: run/v.sock", "path: ~/v.sock").replace("images:pictures", "file:~/a.mp4"))
    monkeypatch.setenv("HOME", str(path.parent))
    config = load_config(path)
    assert config.socket.path == path.parent / "v.sock"
    assert config.cameras["front"].source == f"file:{path.parent}/a.mp4?loop=1"


@pytest.mark.parametrize("device", ["usb", "usb:1", "usb:2-1.4", "usb:0,usb:2-1.4", "usb:0, usb:1", "all"])
def test_every_way_to_name_sticks_is_taken(write: Write, device: str) -> None:
    assert load_config(write(GOOD.replace("usb:0", f'"{device}"'))).models["objects"].device == device


def test_a_librarys_name_is_the_loaders_and_a_path_is_the_files(write: Write) -> None:
    path = write(GOOD.replace("lib/libedgetpu.so.1", "libedgetpu-max.so.1"))
    assert load_config(path).edgetpu.library == "libedgetpu-max.so.1"


def test_nothing_can_be_changed_afterwards(write: Write) -> None:
    config = load_config(write(GOOD))
    with pytest.raises(ValidationError, match="frozen"):
        config.cameras["front"].fps = 5
    moved = config.with_socket(Path("/run/other.sock"))
    assert moved.socket.path == Path("/run/other.sock")
    assert moved.socket.max_clients == config.socket.max_clients == 10
    assert config.socket.path.name == "v.sock"


def test_a_password_is_in_no_representation(write: Write) -> None:
    config = load_config(write(GOOD))
    assert config.cameras["back"].source == "rtsp://admin:p%40ss:w@camera:554/stream"
    assert "p%40ss" not in repr(config)
    assert "admin" not in str(config)


@pytest.mark.parametrize("name", ["demo.yaml", "visiond.yaml"])
def test_the_shipped_configurations_load_from_anywhere(
    root: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(root / "config" / name)
    assert config.models.path == root / "models" == default_models_path()
    (model,) = config.models.named
    assert config.models.folder(model) == root / "models" / "shapes"


# rows of mistakes: what to replace in GOOD, and the lines that come

MISTAKES: list[tuple[str, str, list[str]]] = [
    # unknown keys, at the key
    ("    fps: 0", "    fsp: 0", ["10:5: cameras.front.fsp: unknown key, did you mean fps?"]),
    ("    fps: 0", "    Rotate: 0", ["10:5: cameras.front.Rotate: unknown key, did you mean rotate?"]),
    (
        "  group: robots",
        "  xyz: 1",
        ["3:3: socket.xyz: unknown key, known here: path, group, mode, max_clients"],
    ),
    ("    threads: 4", "    thread: 4", ["26:5: models.objects.thread: unknown key, did you mean threads?"]),
    (
        "socket:\n",
        "sockets:\n",
        ["1:1: sockets: unknown key, did you mean socket?"],
    ),
    ("    fps: 0", '    "a\\nb": 0', ['10:5: cameras.front."a\\nb": unknown key, known here: source, size, fps,']),
    # missing keys, at the key of the group
    (
        "    package: cats\n",
        "",
        ["22:3: models.objects.package: is missing, give the name of a folder in models.path, or a path"],
    ),
    (
        "    source: images:pictures?loop=1\n",
        "",
        [
            "7:3: cameras.front.source: is missing, give what to open, such as v4l2:/dev/video0 or synthetic:shapes",
        ],
    ),
    (
        "  back:\n    source",
        "  back:\n    sourse",
        ["17:3: cameras.back.source: is missing", "18:5: cameras.back.sourse"],
    ),
    # wrong types, at the value
    ("[640, 480]", "640", ["9:11: cameras.front.size: 640 is not possible, give [width, height] in pixels"]),
    ("[640, 480]", "[640]", ["9:11: cameras.front.size: [640] is not possible, give [width, height] in pixels"]),
    (
        "[640, 480]",
        "[1, 2, 3]",
        ["9:11: cameras.front.size: [1, 2, 3] is not possible, give [width, height] in pixels"],
    ),
    ("[640, 480]", "640x480", ['9:11: cameras.front.size: "640x480" is not possible, give [width, height] in pixels']),
    ("[640, 480]", "[640, 480.0]", ["9:17: cameras.front.size[1]: 480.0 is not possible, give a whole number from 32"]),
    ("[640, 480]", "{w: 1}", ["9:11: cameras.front.size: this group of keys is not possible, give [width, height]"]),
    ("fps: 0", "fps: fast", ['10:10: cameras.front.fps: "fast" is not possible, give a number from 0 to 240']),
    ("fps: 0", 'fps: "30"', ['10:10: cameras.front.fps: "30" is not possible, give a number from 0 to 240, without']),
    ("fps: 0", "fps: true", ["10:10: cameras.front.fps: true is not possible, give a number from 0 to 240"]),
    ("fps: 0", "fps: 12:30", ['10:10: cameras.front.fps: "12:30" is not possible, give a number from 0 to 240']),
    ("rotate: 90", "rotate: false", ["11:13: cameras.front.rotate: false is not possible, give 0, 90, 180 or 270"]),
    ("rotate: 90", "rotate: 90.0", ["11:13: cameras.front.rotate: 90.0 is not possible, give 0, 90, 180 or 270"]),
    ("rotate: 90", 'rotate: "90"', ['11:13: cameras.front.rotate: "90" is not possible, give 0, 90, 180 or 270, with']),
    ("track: false", "track: no", ['14:12: cameras.front.track: "no" is not possible, give true or false']),
    ("track: false", "track: 0", ["14:12: cameras.front.track: 0 is not possible, give true or false"]),
    ("group: robots", "group: 5", ["3:10: socket.group: 5 is not text, put it in quotes"]),
    ("path: run/v.sock", "path: 5", ["2:9: socket.path: 5 is not text, put it in quotes"]),
    ("path: run/v.sock", 'path: ""', ["2:9: socket.path: is empty, give a path"]),
    ("threads: 4", "threads: 2.5", ["26:14: models.objects.threads: 2.5 is not possible, give a whole number from 1"]),
    (
        "  other: {package: ./packages/dogs}",
        "  other: cats",
        ['32:10: models.other: "cats" is not possible, give keys'],
    ),
    (
        "  other: {package: ./packages/dogs}",
        "  other:",
        ["32:9: models.other: is empty, give keys with values below it"],
    ),
    # ranges, at the value
    ("fps: 0", "fps: 500", ["10:10: cameras.front.fps: 500 is out of range, give 0 to 240"]),
    ("fps: 0", "fps: -1", ["10:10: cameras.front.fps: -1 is out of range, give 0 to 240"]),
    ("fps: 0", "fps: 1e3", ["10:10: cameras.front.fps: 1e3 is out of range, give 0 to 240"]),
    ("fps: 0", "fps: 0x1FF", ["10:10: cameras.front.fps: 0x1FF is out of range, give 0 to 240"]),
    ("fps: 0", "fps: .inf", ["10:10: cameras.front.fps: is not a finite number, give one that is"]),
    ("[640, 480]", "[640, 9000]", ["9:17: cameras.front.size[1]: 9000 is out of range, give 32 to 8192"]),
    ("[640, 480]", "[010, 480]", ["9:12: cameras.front.size[0]: 010 is out of range, give 32 to 8192"]),
    ("rotate: 90", "rotate: 45", ["11:13: cameras.front.rotate: 45 is not possible, give 0, 90, 180 or 270"]),
    ("max_age_ms: 500", "max_age_ms: 0", ["13:17: cameras.front.max_age_ms: 0 is out of range, give 10 to 60000"]),
    ("min_score: 0.25", "min_score: 25", ["27:16: models.objects.min_score: 25 is out of range, give 0 to 1"]),
    ("max_objects: 7", "max_objects: 0", ["28:18: models.objects.max_objects: 0 is out of range, give 1 to 100"]),
    ("max_clients: 10", "max_clients: 5000", ["5:16: socket.max_clients: 5000 is out of range, give 1 to 4096"]),
    # choices
    (
        "accelerator: never",
        "accelerator: Prefere",
        ['24:18: models.objects.accelerator: "Prefere" is not possible, did you mean prefer? Give required, prefer'],
    ),
    (
        "accelerator: never",
        "accelerator: x",
        ['24:18: models.objects.accelerator: "x" is not possible, give required, '],
    ),
    ("standby: cold", "standby: hot", ['30:14: models.objects.standby: "hot" is not possible, give warm or cold']),
    ("runtime: litert", "runtime: lite-rt", ['29:14: models.objects.runtime: "lite-rt" is not possible, did you mean']),
    ("max_rss_mb: 300", "max_rss_mb: 32", ["31:17: models.objects.max_rss_mb: 32 is out of range, give 64 to 65536"]),
    # the accelerator
    (
        "device: usb:0",
        "device: pci:0",
        ['25:13: models.objects.device: "pci:0" is an unknown kind of accelerator, give usb, usb:0 or usb:2-1.4; a '],
    ),
    (
        "device: usb:0",
        "device: usb:0,usb:x",
        ['25:13: models.objects.device: "usb:x" is neither the number of a stick nor a USB port, give usb, usb:0 or '],
    ),
    ("device: usb:0", "device: usb:0,", ['25:13: models.objects.device: "" is an unknown kind of accelerator, give ']),
    ("device: usb:0", 'device: ""', ['25:13: models.objects.device: "" is not possible, give usb, usb:0, usb:2-1.4,']),
    (
        "performance: medium",
        "performance: turbo",
        ['35:16: edgetpu.performance: "turbo" is not possible, give low, medium, high or max'],
    ),
    ("  reset: true", "  resett: true", ["39:3: edgetpu.resett: unknown key, did you mean reset?"]),
    ("    always_dfu: false", "    dfu: false", ["37:5: edgetpu.usb.dfu: unknown key, "]),
    ("max_backoff_s: 2.5", "max_backoff_s: 0", ["40:18: edgetpu.max_backoff_s: 0 is out of range, give 0.5 to 300"]),
    (
        "max_bulk_in_queue_length: 16",
        "max_bulk_in_queue_length: 256",
        ["38:31: edgetpu.usb.max_bulk_in_queue_length: 256 is out of range, give 0 to 255"],
    ),
    (
        "library: lib/libedgetpu.so.1",
        'library: ""',
        ['34:12: edgetpu.library: "" is not possible, give a name that the'],
    ),
    # file modes
    (
        'mode: "0600"',
        "mode: 0600",
        ["4:9: socket.mode: is not a file mode, give three octal digits in quotes, such as"],
    ),
    ('mode: "0600"', "mode: 0o600", ["4:9: socket.mode: is not a file mode, give three octal digits in quotes"]),
    ('mode: "0600"', 'mode: "0680"', ["4:9: socket.mode: is not a file mode, give three octal digits in quotes"]),
    ('mode: "0600"', 'mode: "1777"', ["4:9: socket.mode: is not a file mode, give three octal digits in quotes"]),
    # paths
    ("run/v.sock", f"/{'x' * 107}", ["2:9: socket.path: has 108 bytes with its folder, the system allows 107: give a"]),
    ("run/v.sock", f"/{'ü' * 60}", ["2:9: socket.path: has 121 bytes with its folder, the system allows 107: give a"]),
    (
        "run/v.sock",
        "~nobody-has-this/x",
        ["2:9: socket.path: the user after ~ has no home folder, write the whole path"],
    ),
    ("images:pictures", "images:~nobody-has-this/x", ["8:13: cameras.front.source: the user after ~ has no home"]),
    # names
    (
        "  back:\n",
        "  Back Yard:\n",
        ['17:3: cameras."Back Yard": is not a possible name, give 1 to 32 of a-z, 0-9, _ and -, beginning with a'],
    ),
    ("  other:", "  o.o:", ["32:3: models.o.o: is not a possible name, give 1 to 32 of a-z"]),
    ("      door:", f"      {'d' * 33}:", [f"16:7: cameras.front.zones.{'d' * 33}: is not a possible name"]),
    ("  back:\n", "  12:\n", ["17:3: cameras.12: a key must be text, put it in quotes"]),
    # sources
    (
        "images:pictures",
        "imges:pictures",
        ["8:13: cameras.front.source: an unknown kind of camera, did you mean images:"],
    ),
    ("images:pictures", "/dev/video0", ["8:13: cameras.front.source: a device needs its kind before it, give v4l2:"]),
    ("images:pictures?loop=1", "csi:left", ["8:13: cameras.front.source: a CSI camera is a number, give csi:0"]),
    ("?loop=1", "?lop=1", ["8:13: cameras.front.source: an unknown option after ?, known for images: ?loop=0|1"]),
    (
        "images:pictures?loop=1",
        "v4l2:/dev/video0",
        ["10:10: cameras.front.fps: 0 is not possible for a live camera, leave fps out or give more than 0, to 240"],
    ),
    ("images:pictures?loop=1", "synthetic:x", ["8:13: cameras.front.source: there is no such scene, give synthetic:"]),
    (
        "p@ss:w",
        "p@ss/w",
        ["18:13: cameras.back.source: where the password ends is uncertain: write an @ in it or behind"],
    ),
    # zones
    (
        "[[0, 0.5], [1, 0.5], [1, 1.0]]",
        "5",
        ["16:13: cameras.front.zones.door: 5 is not possible, give a list of [x, y]"],
    ),
    ("[[0, 0.5], [1, 0.5], [1, 1.0]]", "[]", ["16:13: cameras.front.zones.door: has 0 points, give 3 to 64"]),
    (
        "[[0, 0.5], [1, 0.5], [1, 1.0]]",
        "[[0, 0.5], [1, 0.5], [1]]",
        ["16:34: cameras.front.zones.door[2]: [1] is not possible, give [x, y] as fractions of the frame"],
    ),
    ("[1, 1.0]]", "[1, 100]]", ["16:38: cameras.front.zones.door[2][1]: 100 is out of range, give 0 to 1"]),
    (
        "[[0, 0.5], [1, 0.5], [1, 1.0]]",
        "[[0, 0], [1, 1], [1, 0], [0, 1]]",
        ["16:13: cameras.front.zones.door: the lines after points 1 and 3 meet or cross, give the corners in the"],
    ),
    # what only two keys together show
    (
        "    model: objects\n    max",
        "    model: object\n    max",
        ["12:12: cameras.front.model: no model has this name, did you mean objects?"],
    ),
    (
        "    model: objects\n    max",
        "    model: path\n    max",
        ["12:12: cameras.front.model: no model has this name, known here: objects, other"],
    ),
    ("package: cats", "package: cat", ["23:14: models.objects.package: there is no such package in ", "cats?"]),
    ("./packages/dogs", "./dogs", ['32:20: models.other.package: "./dogs" is not a folder, seen from ']),
]


@pytest.mark.parametrize(("good", "bad", "expected"), MISTAKES, ids=[f"{bad[:40].strip()}" for _, bad, _ in MISTAKES])
def test_fault_44_each_mistake_is_one_line_at_its_place(write: Write, good: str, bad: str, expected: list[str]) -> None:
    assert GOOD.count(good) == 1, "the row must change one place"
    path = write(GOOD.replace(good, bad))
    lines = problems(path)
    if len(lines) == 1:
        for part in expected:
            assert part in lines[0]
        assert lines[0].startswith(expected[0])
    else:
        assert len(lines) == len(expected)
        assert all(line.startswith(part) for line, part in zip(lines, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "",
            [
                "1:1: cameras: is missing, give at least one camera under a name of its own",
                "1:1: models: is missing, give at least one model under a name of its own",
            ],
        ),
        (
            "# x\n\nmodels: {path: packages}\ncameras: {}\n",
            [
                "3:1: models: names no model, give at least one beside path",
                "4:10: cameras: is empty, give at least one camera under a name of its own",
            ],
        ),
        (
            "models:\ncameras: [a]\nsocket: 5",
            [
                "1:8: models: is empty, give at least one model under a name of its own",
                "2:10: cameras: [a] is not possible, give at least one camera under a name of its own".replace(
                    "[a]", '["a"]'
                ),
                "3:9: socket: 5 is not possible, give keys with values below it",
            ],
        ),
    ],
)
def test_fault_44_whole_sections_that_are_wrong(write: Write, text: str, expected: list[str]) -> None:
    assert problems(write(text)) == expected


def test_fault_44_all_problems_come_at_once_in_the_order_of_the_file(write: Write) -> None:
    text = GOOD
    for good, bad in [
        ('"0600"', "0600"),
        ("[640, 480]", "640"),
        ("fps: 0", "fps: 500\n    fps: &a 3"),
        ("    track: false", "    trak: false"),
        ("  back:", "  Back:"),
        ("    package: cats", "    package: cat"),
        ("threads: 4", "threads: !!int 4"),
    ]:
        assert good in text
        text = text.replace(good, bad)
    places = [line.split(": ")[:2] for line in problems(write(text))]
    assert places == [
        ["4:9", "socket.mode"],
        ["9:11", "cameras.front.size"],
        ["10:10", "cameras.front.fps"],
        ["11:5", "cameras.front.fps"],
        ["11:10", "cameras.front.fps"],
        ["15:5", "cameras.front.trak"],
        ["18:3", "cameras.Back"],
        ["24:14", "models.objects.package"],
        ["27:14", "models.objects.threads"],
    ]


@pytest.mark.parametrize(
    "source",
    [
        "rtps://admin:hunter2@10.0.0.5/x",
        "rtsp:/admin:hunter2@10.0.0.5/x",
        "rtsp://admin:hunter2@/x",
        "rtsp://admin:hunter2@host:99999/x",
        "rtsp://admin:hunter2@ho st/x",
        "rtsp://admin:x@hunter2/y@10.0.0.5/x",
        "admin:hunter2@10.0.0.5",
        "hunter2@10.0.0.5",
        "http://x/?token=hunter2 x",
        "hunter2",
        "file:x?loop=hunter2",
        "csi:hunter2",
        "v4l2:hunter2",
        "[rtsp://admin:hunter2@10.0.0.5/x]",
        "{rtsp://admin:hunter2@10.0.0.5/x : 1}",
        "!!str rtsp://admin:hunter2@10.0.0.5/x",
    ],
)
def test_a_wrong_source_is_refused_without_its_password(write: Write, source: str) -> None:
    lines = problems(write(GOOD.replace("images:pictures?loop=1", source)))
    assert lines[0].startswith("8:13: cameras.front.source")
    assert "hunter2" not in "\n".join(lines)


@pytest.mark.parametrize(
    "edit",
    [
        ("    model: objects\n    max", "    model: rtsp://admin:hunter2@10.0.0.5/x\n    max"),
        ("[640, 480]", "rtsp://admin:hunter2@10.0.0.5/x"),
        ("    fps: 0", "    rtsp://admin:hunter2@10.0.0.5/x: 0"),
        ("  back:\n", "  rtsp://admin:hunter2@10.0.0.5/x:\n"),
        ("package: cats", "package: rtsp://admin:hunter2@10.0.0.5/x"),
        ("accelerator: never", "accelerator: rtsp://admin:hunter2@10.0.0.5/x"),
    ],
)
def test_an_address_at_the_wrong_key_keeps_its_password(write: Write, edit: tuple[str, str]) -> None:
    lines = problems(write(GOOD.replace(*edit)))
    assert "hunter2" not in "\n".join(lines)


def test_a_package_folder_that_may_not_be_entered_is_told(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    path = write(GOOD)
    monkeypatch.setattr(Path, "is_dir", refuse)
    assert problems(path)[0] == (
        "23:14: models.objects.package: cannot be looked at (Permission denied), give another path"
    )


def test_a_missing_configuration_is_no_input(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="no such file"):
        load_config(tmp_path / "none.yaml")


def test_the_default_socket_is_the_systems_under_systemd(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", "/run/visiond")
    assert load_config(write(GOOD.replace("  path: run/v.sock\n", ""))).socket.path == SYSTEM_SOCKET


# the schema that editors use is the same contract


def schema_errors(data: Any) -> list[jsonschema.ValidationError]:
    return list(jsonschema.Draft202012Validator(json_schema()).iter_errors(data))


def test_the_schema_is_valid_and_takes_what_the_loader_takes(root: Path, write: Write) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    for path in [*(root / "config").glob("*.yaml"), write(GOOD)]:
        assert schema_errors(load(path).data) == []
    assert json.loads(json.dumps(json_schema())) == json_schema()


def test_the_schema_refuses_an_unknown_key_wherever_the_loader_does(write: Write) -> None:
    data = load(write(GOOD)).data

    def groups(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
        inner = [
            found for key, child in value.items() if isinstance(child, dict) for found in groups(child, (*path, key))
        ]
        return [path, *inner]

    for path in groups(data):
        changed = copy.deepcopy(data)
        group = changed
        for key in path:
            group = group[key]
        group["Unknown!"] = 1
        assert schema_errors(changed), path
        with pytest.raises(ConfigError):
            load_config(write(json.dumps(changed)))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("socket", "mode"), 660),
        (("socket", "mode"), "0980"),
        (("socket", "max_clients"), 0),
        (("cameras",), {}),
        (("cameras", "front", "source"), "webcam"),
        (("cameras", "front", "size"), [640]),
        (("cameras", "front", "size"), [640, 8]),
        (("cameras", "front", "fps"), "30"),
        (("cameras", "front", "rotate"), 45),
        (("cameras", "front", "track"), "no"),
        (("cameras", "front", "zones", "door"), [[0, 0], [1, 1]]),
        (("cameras", "front", "zones", "door"), [[0, 0], [1, 1], [0, 2]]),
        (("models", "objects", "accelerator"), "always"),
        (("models", "objects", "threads"), 1.5),
        (("models", "objects", "package"), None),
        (("models", "Upper"), {"package": "cats"}),
        (("models", "objects", "device"), ""),
        (("models", "objects", "runtime"), "tflite"),
        (("models", "objects", "standby"), True),
        (("models", "objects", "max_rss_mb"), 63),
        (("edgetpu", "performance"), "fast"),
        (("edgetpu", "reset"), "yes"),
        (("edgetpu", "max_backoff_s"), 301),
        (("edgetpu", "usb", "max_bulk_in_queue_length"), -1),
    ],
)
def test_schema_and_loader_refuse_the_same_values(write: Write, path: tuple[str, ...], value: object) -> None:
    data = load(write(GOOD)).data
    group = data
    for key in path[:-1]:
        group = group[key]
    group[path[-1]] = value
    assert schema_errors(data)
    with pytest.raises(ConfigError):
        load_config(write(json.dumps(data)))


def test_every_key_is_described() -> None:
    schema = json_schema()
    for name, section in {"": schema, **schema["$defs"]}.items():
        for key, field in section["properties"].items():
            assert field.get("description") or "$ref" in field, f"{name}.{key}"


def test_every_key_is_documented(root: Path) -> None:
    page = (root / "docs" / "configuration.md").read_text()
    for section in Config.model_json_schema()["$defs"].values():
        for key in section["properties"]:
            assert f"`{key}`" in page, key


def test_the_documented_examples_load(root: Path, write: Write) -> None:
    page = (root / "docs" / "configuration.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert examples
    for text in examples:
        load_config(write(text.replace("package: shapes", "package: ./packages/cats")))


# whatever a hand does to a file

SNIPPETS = [
    *("\n", " ", "  ", ":", "- ", "[", "]", "{", "}", "&a ", "*a", "!x ", "'", '"', "#", "\t", "é", "~", "%"),
    *("fps", "null", "no", "1e9", "-1", "0x", "models", "path", "[[0,0]]", "rtsp://u:p@h"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), st.sampled_from(["", *SNIPPETS])),
        min_size=1,
        max_size=4,
    )
)
@example([(GOOD.index("./packages/dogs"), 0, "\n"), (GOOD.index("./packages/dogs"), 0, "\n")])
@example([(GOOD.index("other"), 5, '"o\\nr"')])
def test_fault_44_a_garbled_file_is_refused_in_words_or_means_something(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, snippet in edits:
        text = text[:start] + snippet + text[start + length :]
    path = Path(os.environ["PYTEST_GARBLED_FILE"])
    path.write_text(text)
    try:
        load_config(path)
    except ConfigError as error:
        rows = text.split("\n")
        for line in str(error).split("\n"):
            match = re.fullmatch(r"(\d+):(\d+): (.+?): (.+)", line.removeprefix(f"{path}:"))
            assert match is not None, line
            assert int(match[2]) <= len(rows[int(match[1]) - 1]) + 1


@pytest.fixture(autouse=True, scope="module")
def garbled_file(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("garbled")
        for name in ("cats", "dogs"):
            (folder / "packages" / name).mkdir(parents=True)
        patch.setenv("PYTEST_GARBLED_FILE", str(folder / "v.yaml"))
        yield
