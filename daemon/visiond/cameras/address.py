"""SourceAddress: a camera's `source` taken apart, and `redact`, which hides what nobody may read in it.

v4l2:/dev/video0   csi:0   rtsp://user:password@host/path   http://host/stream.mjpg
file:clip.mp4?loop=1   images:pictures?loop=1   synthetic:shapes
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote, unquote, unquote_plus

NETWORK: Final = ("rtsp", "rtsps", "http", "https")
LIVE: Final = ("v4l2", "csi", *NETWORK)
PATHS: Final = ("file", "images")
SCENES: Final = ("shapes", "still")
FORMS: Final = {
    "v4l2": "v4l2:/dev/v4l/by-id/NAME",
    "csi": "csi:0",
    "rtsp": "rtsp://HOST/PATH",
    "rtsps": "rtsps://HOST/PATH",
    "http": "http://HOST/PATH",
    "https": "https://HOST/PATH",
    "file": "file:VIDEO",
    "images": "images:FOLDER",
    "synthetic": "synthetic:shapes",
}
HIDDEN: Final = "***"

_FLAG: Final = ("0", "1")
_OPTIONS: Final[dict[str, dict[str, tuple[str, ...]]]] = {"file": {"loop": _FLAG}, "images": {"loop": _FLAG}}
_OPTION_TAIL: Final = re.compile(r"\?(?=[^/?]*=)([^/?]*)$")  # a "?" in a file's own name has no "=" behind it
_URL: Final = re.compile(r"\b(?:rtsps?|https?)://\S+", re.IGNORECASE)
_HOST: Final = re.compile(r"(\[[0-9a-fA-F:.%]+\]|[^\s:/?#@\[\]]+)(:[0-9]{1,5})?")
_SECRET: Final = r"(?:pass|pwd|pw|token|key|secret|auth|sig|cred|session|sid|user|usr|login)"
_SECRET_NAME: Final = re.compile(_SECRET, re.IGNORECASE)
_PARAMETER: Final = re.compile(r"(?<=[?&;#])([^=&;#]*)=([^&;#]*)")
# /user=NAME_password=WORD_channel=1_stream=0.sdp is usual as well: up to where the word ends is uncertain
_PATH_PARAMETER: Final = re.compile(rf"(?<=[/_])([^=/_?&;#]*{_SECRET}[^=/_?&;#]*)=([^/?&;#]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """What `source` says. `target` is what follows the scheme: a path, a number, a scene; for a stream, the whole URL.

    It may hold a password, so that `repr` leaves it out; show `redacted` instead. A stream's user and password are
    percent-encoded in it, so that those with @ or / work as typed.
    """

    scheme: str
    target: str = field(repr=False)
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a source apart. Raises ValueError, whose sentence says what to give and never holds the source."""
        scheme, colon, rest = text.partition(":")
        scheme = scheme.lower()
        if not colon or scheme not in FORMS:
            raise ValueError(_unknown_kind(scheme if colon else text))
        if not rest.strip("/ "):
            raise ValueError(f"nothing follows {scheme}:, give {FORMS[scheme]}")
        if scheme in NETWORK:
            return cls(scheme, f"{scheme}://{_encoded(scheme, rest)}")
        target, options = _split_options(scheme, rest)
        return cls(scheme, _checked_target(scheme, target), options)

    @property
    def is_live(self) -> bool:
        """Whether frames come when the camera has them; the others are made or read as fast as they are asked for."""
        return self.scheme in LIVE

    @property
    def redacted(self) -> str:
        """The source without user, password and tokens."""
        return redact(str(self))

    def redact_in(self, text: str) -> str:
        """Hide in somebody else's text, an error of FFmpeg say, what `redacted` hides, also where it was decoded."""
        text = _URL.sub(lambda match: redact(match[0]), text.replace(str(self), self.redacted))
        for secret in self._secrets():
            text = text.replace(secret, HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        """The parts that nobody may read, the longest first; not those of one or two characters, which any text has."""
        if self.scheme not in NETWORK:
            return []
        rest = self.target.partition("://")[2]
        user = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[0]
        values = [match[2] for match in _PARAMETER.finditer(rest) if _SECRET_NAME.search(unquote_plus(match[1]))]
        in_path = [match[2] for match in _PATH_PARAMETER.finditer(rest)]
        in_path += [value for each in in_path for value in _up_to_the_next(each)]
        written = [user, *user.split(":", 1)[1:], *values, *in_path]
        return sorted(
            {form for part in written for form in (part, unquote(part)) if len(form) > 2}, key=len, reverse=True
        )

    def under(self, folder: Path) -> Self:
        """Return the address with a relative path of `file:` and `images:` taken from `folder`, and `~` expanded.

        Raises ValueError for the `~name` of nobody.
        """
        return replace(self, target=str(absolute(self.target, folder))) if self.scheme in PATHS else self

    def __str__(self) -> str:
        """The source again, password and all."""
        if self.scheme in NETWORK:
            return self.target
        options = "&".join(f"{name}={value}" for name, value in self.options.items())
        return f"{self.scheme}:{self.target}{'?' if options else ''}{options}"


def redact(source: str) -> str:
    """Hide user and password of a URL, and the values of parameters that may be secrets.

    Where a password with @, : or / in it ends is uncertain: rather too much is hidden than too little.
    """
    scheme, separator, rest = source.partition("://")
    if not separator:
        network = source.partition(":")[0].lower() in NETWORK
        return f"{source.partition(':')[0]}:{HIDDEN}" if network and "@" in source else _redact_parameters(source)
    before_query, question, query = rest.partition("?")
    if "@" in query:
        return f"{scheme}://{HIDDEN}"
    user, at, after = before_query.rpartition("@")
    if at and re.search("^[^/#]*$|[:@]", user):
        before_query = f"{HIDDEN}@{after}"
    return f"{scheme}://{_redact_parameters(before_query + question + query)}"


def absolute(path: str, folder: Path) -> Path:
    """Return a path of a configuration as an absolute one; raises ValueError for the `~name` of nobody."""
    try:
        return folder / Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError("the user after ~ has no home folder, write the whole path") from error


def _redact_parameters(text: str) -> str:
    def hide(match: re.Match[str]) -> str:
        return f"{match[1]}={HIDDEN}" if _SECRET_NAME.search(unquote_plus(match[1])) else match[0]

    return _PARAMETER.sub(hide, _PATH_PARAMETER.sub(hide, text))


def _up_to_the_next(text: str) -> list[str]:
    """Return the values in NAME_password=WORD_channel=1: what stands before each further name, and behind it."""
    return [part for part in re.split(r"_[^=_]*=", text) if part]


def _unknown_kind(scheme: str) -> str:
    if scheme.startswith("/dev/"):
        return "a device needs its kind before it, give v4l2: and then the path"
    close = difflib.get_close_matches(scheme.strip().lower(), FORMS, n=1)
    if close:
        return f"an unknown kind of camera, did you mean {close[0]}:, as in {FORMS[close[0]]}?"
    return f"an unknown kind of camera, give one of {', '.join(FORMS.values())}"


def _encoded(scheme: str, rest: str) -> str:
    """Return what follows `scheme://` with user and password percent-encoded.

    Raises ValueError where the password's end is uncertain: a part of it might be taken, and shown, as the host's name.
    """
    if not rest.startswith("//"):
        raise ValueError(f"// is missing after {scheme}:, give {FORMS[scheme]}")
    rest = rest[2:]
    if re.search(r"\s", rest):
        raise ValueError("a space in the address, write it as %20")
    authority, before_query = re.split(r"[/?#]", rest, maxsplit=1)[0], rest.partition("?")[0]
    for candidate in (authority, before_query, rest):
        user, at, host = candidate.rpartition("@")
        host = re.split(r"[/?#]", host, maxsplit=1)[0]
        if match := _HOST.fullmatch(host):
            longest = rest.rpartition("@")[0]
            if len(longest) > len(user) and re.search("[:@]", longest):
                raise ValueError(
                    "where the password ends is uncertain: write an @ in it or behind the host as %40, a / as %2F"
                )
            if match[2] and not 0 < int(match[2][1:]) < 1 << 16:
                raise ValueError("the port is out of range, give 1 to 65535")
            return quote(user, safe=":%!$&'()*+,;=~") + at + rest[len(user) + len(at) :]
    raise ValueError(
        f"no host can be read in the address, give {FORMS[scheme]}, with / @ ? # in a password as %2F %40 %3F %23"
    )


def _split_options(scheme: str, rest: str) -> tuple[str, dict[str, str]]:
    match = _OPTION_TAIL.search(rest)
    if match is None or scheme not in _OPTIONS:
        return rest, {}
    options = {}
    for pair in match[1].split("&"):
        name, _, value = pair.partition("=")
        if name not in _OPTIONS[scheme]:
            known = ", ".join(f"?{option}={'|'.join(values)}" for option, values in _OPTIONS[scheme].items())
            raise ValueError(f"an unknown option after ?, known for {scheme}: {known}")
        if value not in _OPTIONS[scheme][name]:
            raise ValueError(f"{name} has no such value, give {' or '.join(_OPTIONS[scheme][name])}")
        options[name] = value
    return rest[: match.start()], options


def _checked_target(scheme: str, target: str) -> str:
    if scheme == "csi" and not re.fullmatch(r"[0-9]{1,2}", target):
        raise ValueError("a CSI camera is a number, give csi:0")
    if scheme == "v4l2" and not target.startswith("/"):
        raise ValueError(f"a V4L2 camera is the path of its device, give {FORMS['v4l2']} or v4l2:/dev/video0")
    if scheme == "synthetic" and target not in SCENES:
        raise ValueError(f"there is no such scene, give synthetic:{' or synthetic:'.join(SCENES)}")
    if scheme in PATHS and target.startswith("//"):
        if not target.startswith("///"):
            raise ValueError(f"// begins a host's name, give {FORMS[scheme]}")
        return target[2:]  # file:///path, as a browser writes it
    return target
