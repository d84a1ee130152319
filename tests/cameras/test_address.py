"""Camera addresses: what they mean, and that a password is never in what is shown."""

import contextlib
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from visiond.cameras.address import FORMS, HIDDEN, SourceAddress, redact


@pytest.mark.parametrize(
    ("source", "scheme", "target", "options"),
    [
        ("v4l2:/dev/video0", "v4l2", "/dev/video0", {}),
        ("v4l2:/dev/v4l/by-id/usb-a:b?c=1-index0", "v4l2", "/dev/v4l/by-id/usb-a:b?c=1-index0", {}),
        ("csi:1", "csi", "1", {}),
        ("file:clip.mp4", "file", "clip.mp4", {}),
        ("file:clip.mp4?loop=1", "file", "clip.mp4", {"loop": "1"}),
        ("file:what?.mp4", "file", "what?.mp4", {}),
        ("file:a?b=c/clip.mp4?loop=0", "file", "a?b=c/clip.mp4", {"loop": "0"}),
        ("file:///srv/clip.mp4", "file", "/srv/clip.mp4", {}),
        ("images:/srv/pictures?loop=1", "images", "/srv/pictures", {"loop": "1"}),
        ("synthetic:shapes", "synthetic", "shapes", {}),
        ("rtsp://host/path?x=1", "rtsp", "rtsp://host/path?x=1", {}),
        ("RTSP://host", "rtsp", "rtsp://host", {}),
        ("http://[fe80::1]:80/x", "http", "http://[fe80::1]:80/x", {}),
        ("http://host/stream@hd", "http", "http://host/stream@hd", {}),
        ("https://user:pass@host:8443/x", "https", "https://user:pass@host:8443/x", {}),
    ],
)
def test_a_source_is_taken_apart(source: str, scheme: str, target: str, options: dict[str, str]) -> None:
    address = SourceAddress.parse(source)
    assert (address.scheme, address.target, address.options) == (scheme, target, options)
    assert SourceAddress.parse(str(address)) == address


@pytest.mark.parametrize("scheme", FORMS)
def test_the_forms_that_errors_suggest_are_sources(scheme: str) -> None:
    address = SourceAddress.parse(FORMS[scheme])
    assert address.scheme == scheme
    assert address.is_live == (scheme not in ("file", "images", "synthetic"))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "an unknown kind of camera, give one of v4l2:"),
        ("webcam", "an unknown kind of camera, give one of"),
        ("v4l:/dev/video0", "did you mean v4l2:, as in v4l2:"),
        ("image:x", "did you mean images:, as in images:FOLDER?"),
        ("rstp://host", "did you mean rtsp:, as in rtsp://HOST/PATH?"),
        ("/dev/video0", "a device needs its kind before it, give v4l2: and then the path"),
        ("0", "an unknown kind of camera"),
        ("v4l2:", "nothing follows v4l2:, give v4l2:/dev/v4l/by-id/NAME"),
        ("rtsp://", "nothing follows rtsp:, give rtsp://HOST/PATH"),
        ("v4l2:0", "a V4L2 camera is the path of its device, give v4l2:/dev/v4l/by-id/NAME or v4l2:/dev/video0"),
        ("csi:-1", "a CSI camera is a number, give csi:0"),
        ("csi:٣", "a CSI camera is a number, give csi:0"),
        ("synthetic:shape", "there is no such scene, give synthetic:shapes"),
        ("file://clip.mp4", "// begins a host's name, give file:VIDEO"),
        ("images:x?speed=2", "an unknown option after ?, known for images: ?loop=0|1"),
        ("images:x?loop=yes", "loop has no such value, give 0 or 1"),
        ("http:host/x", "// is missing after http:, give http://HOST/PATH"),
        ("http://host:0/x", "the port is out of range, give 1 to 65535"),
        ("http://host:65536/x", "the port is out of range, give 1 to 65535"),
        ("http://ho st/x", "a space in the address, write it as %20"),
        ("http://:80/x", "no host can be read in the address, give http://HOST/PATH"),
        ("http://user:pw@/x", "no host can be read in the address, give http://HOST/PATH"),
        (
            "http://user:a@b/c@host/x",
            "where the password ends is uncertain: write an @ in it or behind the host as %40",
        ),
        ("http://user:12/34@host/x", "where the password ends is uncertain"),
        ("http://user:a@b?c@host/x", "where the password ends is uncertain"),
        ("http://host:80/x?user=a@b", "where the password ends is uncertain"),
    ],
)
def test_what_is_no_source_is_told_with_the_remedy(source: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        SourceAddress.parse(source)
    assert problem in str(caught.value)


def test_a_relative_path_starts_at_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/u")
    folder = Path("/etc/visiond")
    for source, resolved in [
        ("file:a.mp4?loop=1", "file:/etc/visiond/a.mp4?loop=1"),
        ("images:~/pictures", "images:/home/u/pictures"),
        ("images:/srv/x", "images:/srv/x"),
        ("v4l2:/dev/video0", "v4l2:/dev/video0"),
        ("rtsp://h/x", "rtsp://h/x"),
    ]:
        assert str(SourceAddress.parse(source).under(folder)) == resolved


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("v4l2:/dev/video0", "v4l2:/dev/video0"),
        ("file:/srv/a.mp4?loop=1", "file:/srv/a.mp4?loop=1"),
        ("rtsp://host:554/live/1", "rtsp://host:554/live/1"),
        ("rtsp://user:pass@host/live", "rtsp://***@host/live"),
        ("rtsp://user@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p@ss@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p/ss@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p:ss@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p%40ss@host/live", "rtsp://***@host/live"),
        ("rtsp://user:p?ss@host/live", "rtsp://***"),
        ("rtsp:/user:pass@host/live", "rtsp:***"),
        ("http://host/s@hd", "http://host/s@hd"),
        ("http://host/x?user=u&pwd=secret&channel=1", "http://host/x?user=***&pwd=***&channel=1"),
        ("http://host/x?a=1&p%61ssword=secret#t", "http://host/x?a=1&p%61ssword=***#t"),
        ("http://host/x?access_token=secret;b=2", "http://host/x?access_token=***;b=2"),
        ("http://host/x?pwd=a@b", "http://***"),
        ("http://user:pass@host/x?API_KEY=secret", "http://***@host/x?API_KEY=***"),
        ("", ""),
    ],
)
def test_what_is_shown_of_a_source(source: str, shown: str) -> None:
    assert redact(source) == shown


def test_an_address_shows_no_password_by_itself() -> None:
    address = SourceAddress.parse("rtsp://user:sesame@host/x")
    assert "sesame" not in repr(address)
    assert address.redacted == "rtsp://***@host/x"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("could not open rtsp://us%2Fer:p%40ss@host/x?token=t0k3n", "could not open rtsp://***@host/x?token=***"),
        ("us/er:p@ss was refused", "*** was refused"),
        ("password 'p@ss' (p%40ss) of us%2Fer:p%40ss", "password '***' (***) of ***"),
        ("redirected to http://us%2Fer:p%40ss@other/x", "redirected to http://***@other/x"),
        ("401 for t0k3n", "401 for ***"),
        ("timed out", "timed out"),
    ],
)
def test_what_others_say_of_an_address_is_cleaned(said: str, shown: str) -> None:
    assert SourceAddress.parse("rtsp://us%2Fer:p@ss@host/x?token=t0k3n").redact_in(said) == shown


secret = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=3, max_size=12).map(
    lambda text: f"Q{text}Z"
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(secret)
@example("Q@0?Z")
@example("Q@/Z")
@example("1/2")
def test_any_password_is_hidden_and_reaches_the_camera_whole_or_is_refused(password: str) -> None:
    source = f"rtsp://admin:{password}@10.0.0.5:554/live"
    assert password not in redact(source)
    try:
        address = SourceAddress.parse(source)
    except ValueError as error:
        refusal = str(error)
    else:
        refusal = ""
    assert password not in refusal
    if refusal:
        return
    url = urlsplit(address.target)
    assert (url.hostname, url.port, url.path) == ("10.0.0.5", 554, "/live")
    assert unquote(url.password or "") == unquote(password)
    assert address.redacted == f"rtsp://{HIDDEN}@10.0.0.5:554/live"
    said = address.redact_in(f"{address}: {url.password}: {unquote(password)}")
    assert said == f"{address.redacted}: {HIDDEN}: {HIDDEN}"
    assert password not in address.redact_in(source)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(secret)
def test_an_encoded_password_is_always_taken(password: str) -> None:
    address = SourceAddress.parse(f"rtsp://admin:{quote(password, safe='')}@host/live")
    assert unquote(urlsplit(address.target).password or "") == password
    assert address.redacted == f"rtsp://{HIDDEN}@host/live"
    assert password not in address.redact_in(f"the server said {password}")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=40))
def test_any_text_is_a_source_or_a_sentence(text: str) -> None:
    redact(text)
    with contextlib.suppress(ValueError):
        address = SourceAddress.parse(text)
        assert SourceAddress.parse(str(address)) == address
