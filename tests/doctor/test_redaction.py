"""No password of a configuration is left in its redacted text, however it is written; what is no secret stays."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from visiond.doctor.redaction import LEFT_OUT, hide, redacted_yaml, sweep, sweep_values

# No letters or digits: what is left of a text then cannot hold it by chance.
SIGNS = "!$%&'()*+,;=~@/?#:-_.<>|^`{}[]\\\" äß€"
PASSWORDS = st.text(SIGNS, min_size=3, max_size=12).map(lambda signs: f"Zq{signs}qZ")
STYLES = st.sampled_from([None, "'", '"', "|", ">"])
ADDRESSES = st.sampled_from(
    [
        "rtsp://admin:{}@192.168.1.20/stream1",
        "HTTPS://admin:{}@cam.local:8443/x?channel=1",
        "http://{}@192.168.1.20",
        "rtsp:admin:{}@192.168.1.20",
        "mqtt://broker:{}@192.168.1.20",
        "http://192.168.1.20/v.mjpg?channel=1&pwd={}",
        "http://192.168.1.20/v.mjpg?u=admin&p={}",
        "rtsp://192.168.1.20:554/user=admin_password={}",
        "admin:{}@192.168.1.20",
    ]
)


def assert_gone(text: str, password: str) -> None:
    """Neither the whole nor half of it, nor an encoded form."""
    for form in {password, password[: len(password) // 2 + 2], quote(password), quote(password, safe="")}:
        assert form not in text
    assert "Zq" not in text


@given(ADDRESSES, PASSWORDS, STYLES, st.integers(12, 200))
def test_a_password_is_gone_in_every_style_of_yaml(address: str, password: str, style: str | None, width: int) -> None:
    data = {"cameras": {"front": {"source": address.format(password), "fps": 30}}}
    text = yaml.safe_dump(data, default_style=style, width=width, allow_unicode=True)
    redacted, secrets = redacted_yaml(text)
    assert_gone(redacted, password)
    assert "front" in redacted
    assert redacted.count("\n") == text.count("\n"), "each line stays where errors point at it"
    assert password not in sweep(f"ffmpeg: {password} was refused", secrets)


@given(ADDRESSES, PASSWORDS, st.sampled_from(["  source: {}", "  # source: {}", "  fps: 3 # was {}", "#{}"]))
def test_a_password_is_gone_as_it_was_typed_also_where_it_is_no_yaml_or_a_comment(
    address: str, password: str, line: str
) -> None:
    for after in ("", "\n  fps: 30\n", "\n   bad: [\n"):
        text = f"cameras:\n {line.format(address.format(password))}{after}"
        assert_gone(redacted_yaml(text)[0], password)


@given(st.text(), ADDRESSES, PASSWORDS)
def test_no_text_is_too_strange(before: str, address: str, password: str) -> None:
    assume("\n" not in password)
    assert_gone(
        redacted_yaml(f"{before}\na: {json.dumps(address.format(password))}\n")[0].replace(before, ""), password
    )


@pytest.mark.parametrize(
    "text",
    [
        'password: "Zq1 Zq2"\n',
        "password:\n  - Zq1\n  - {a: Zq2}\n",
        "mqtt: {user: a, api_key: Zq1}\n",
        "# token = Zq1\n",
        "? password\n: Zq1\n",
        "a: rtsp://admin:12 #Zq1@host/x\n",
        'a: "rtsp://admin:\\\n  Zq1\\\n  Zq@host/x"\n',
        "a: rtsp://admin:\n  Zq1@host/x\n",
        "{rtsp://admin:Zq1@host: x}\n",
        "a: &x rtsp://admin:Zq1@host\nb: *x\n",
    ],
)
def test_other_places_of_a_secret(text: str) -> None:
    assert "Zq" not in redacted_yaml(text)[0]


def test_what_is_no_secret_stays_as_it_is(root: Path) -> None:
    for path in (root / "config" / "demo.yaml", root / "models" / "shapes" / "model.yaml"):
        assert redacted_yaml(path.read_text()) == (path.read_text(), frozenset())
    default = (root / "config" / "visiond.yaml").read_text()
    assert redacted_yaml(default)[0] == default.replace("USER:PASSWORD@", "***@")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("rtsp://192.168.1.20:554/stream1?channel=1", "rtsp://192.168.1.20:554/stream1?channel=1"),
        ("http://[fe80::1]:80/x", "http://[fe80::1]:80/x"),
        ("v4l2:/dev/v4l/by-id/usb-046d_C920-video-index0", "v4l2:/dev/v4l/by-id/usb-046d_C920-video-index0"),
        ("file:clip.mp4?loop=1", "file:clip.mp4?loop=1"),
        ("rtsp://a:b@host:554/x", "rtsp://***@host:554/x"),
        ("http://host/x?channel=2&pwd=b&fps=5", "http://host/x?channel=2&pwd=***"),
        ("http://host/x?to=a@b", "http://***"),
    ],
)
def test_as_much_of_an_address_as_can_be_is_shown(value: str, shown: str) -> None:
    assert hide(value) == shown


def test_a_file_that_is_broken_is_shown_up_to_there() -> None:
    text = 'socket:\n  mode: "0660"\ncameras:\n  a: "rtsp://u:Zq\n'
    assert redacted_yaml(text)[0] == f'socket:\n  mode: "0660"\ncameras:\n{LEFT_OUT}\n'
    assert redacted_yaml("a: \x01 Zq")[0] == f"{LEFT_OUT}\n"


def test_values_are_swept_and_the_names_of_fields_stay() -> None:
    value = {"state": ["the state is rtsp://u:p@h/x", 3, None, ("state",)]}
    assert sweep_values(value, frozenset({"state"})) == {"state": ["the *** is rtsp://***@h/x", 3, None, ["***"]]}
