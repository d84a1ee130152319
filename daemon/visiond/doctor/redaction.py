"""What a report to somebody else must not hold: passwords and tokens, in a configuration's text and in any other.

A configuration is hidden by its structure, wherever a password may stand in it; what was hidden there is then looked
for in every other text. Rather too much is hidden than too little: the file may be broken, which is why it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote

import yaml

from visiond.cameras.address import HIDDEN, redact

SHORTEST: Final = 3  # characters of a secret that is looked for elsewhere; a shorter one is in any text
LEFT_OUT: Final = "# what follows is no YAML, where a password could be anything: left out"

_SCHEME: Final = re.compile(r"\b(?:(?:rtsps?|https?):(?://)?|(?:rtmps?|mqtts?|wss?|tcp|udp)://)", re.IGNORECASE)
_NAME: Final = r"(?:pass|pwd|pw|token|secret|cred|api_?key|auth|session|sid|user|usr|login|sig)"
_PARAMETER: Final = re.compile(rf"(?:{_NAME}[\w-]*|(?<=[?&;])[up])\s*=", re.IGNORECASE)
_COMMENTED: Final = re.compile(r"(?:pass|pwd|token|secret|cred|api_?key)[\w-]*\s*[:=]", re.IGNORECASE)
_SECRET_KEY: Final = re.compile(r"pass|pwd|token|secret|cred|api_?key|login", re.IGNORECASE)
_PLAIN_HOST: Final = re.compile(r"/*(?:\[[0-9a-f:.%]+\]|[^\s:/?#\[\]]*)(?::[0-9]{0,5})?(?:[/?#]\S*)?", re.IGNORECASE)
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Scalar:
    """A key or value: where it stands in the text, what it says, and whether its key names a secret."""

    start: int
    end: int
    value: str
    is_secret: bool


def redacted_yaml(text: str) -> tuple[str, frozenset[str]]:
    """Return a configuration without its secrets, each line where it was, and the secrets that other texts may hold.

    From the place on where it cannot be read as YAML it is left out.
    """
    scalars, shown = _scalars(text)
    secrets = {secret for line in text.splitlines() for secret in secrets_in(line)}
    parts, end = [], 0
    for scalar in scalars:
        secrets.update(_forms(scalar.value) if scalar.is_secret else secrets_in(scalar.value))
        hidden = HIDDEN if scalar.is_secret else hide(scalar.value)
        if hidden != scalar.value:
            parts += [text[end : scalar.start], f'"{hidden}"', "\n" * text.count("\n", scalar.start, scalar.end)]
            end = scalar.end
    lines = ("".join(parts) + text[end:shown]).split("\n")
    if shown < len(text):
        lines[-1:] = [LEFT_OUT, ""]
    return "\n".join(map(hide_in_line, lines)), frozenset(secrets)


def hide(value: str) -> str:
    """Return one value without what may be a user, a password or a token; unchanged where nothing of it can be one."""
    scheme = _SCHEME.search(value)
    head, rest = (value[: scheme.end()], value[scheme.end() :]) if scheme else ("", value)
    if "@" in rest:
        after = rest.rpartition("@")[2]
        rest = HIDDEN if "@" in rest.partition("?")[2] else f"{HIDDEN}@{after}"
    elif scheme and not _PLAIN_HOST.fullmatch(rest):
        rest = HIDDEN
    if "=" in rest:
        rest = redact(f"x://{rest}").removeprefix("x://")  # names that are percent-encoded as well
        if parameter := _PARAMETER.search(rest):
            rest = rest[: parameter.end()] + HIDDEN
    return head + rest


def hide_in_line(line: str) -> str:
    """Return a line of a configuration without what may be secret in it, in a comment too."""
    if secret := _COMMENTED.search(line):
        return line[: secret.end()] + (f" {HIDDEN}" if line[secret.end() :].strip() else "")
    scheme = _SCHEME.search(line)
    if "@" in line or (scheme and "=" in line):
        start = scheme.start() if scheme else len(line) - len(line.lstrip(" #\t"))
        return line[:start] + hide(line[start:])
    return line


def secrets_in(value: str) -> Iterator[str]:
    """Yield what somebody may have to hide of a value that holds an address: as written, decoded and encoded."""
    scheme = _SCHEME.search(value)
    rest = value[scheme.end() :].lstrip("/") if scheme else value
    for at in (match.start() for match in re.finditer("@", rest)):
        user, colon, password = rest[:at], *rest[:at].partition(":")[1:]
        if scheme or colon:  # else it may be an e-mail address
            yield from _forms(user)
            yield from _forms(password)
    for parameter in _PARAMETER.finditer(rest):
        given = rest[parameter.end() :]
        for ends in ("$", r"[&;#?\s\"']", r"[&;#?\s\"'/_]"):  # /user=NAME_password=WORD_channel=1 is usual as well
            yield from _forms(re.split(ends, given, maxsplit=1)[0])


def sweep(text: str, secrets: frozenset[str]) -> str:
    """Return any other text, a log say, without these secrets and without users and passwords in its addresses."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _URL.sub(lambda match: redact(match[0]), text)


def sweep_values(value: Any, secrets: frozenset[str]) -> Any:
    """The same for what JSON can hold; names of fields stay."""
    if isinstance(value, str):
        return sweep(value, secrets)
    if isinstance(value, dict):
        return {key: sweep_values(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [sweep_values(each, secrets) for each in value]
    return value


def _forms(secret: str) -> Iterator[str]:
    bare = secret.strip(" \t\"'")
    for form in (secret, bare, unquote(bare), quote(bare), quote(bare, safe=""), quote(bare, safe=":%!$&'()*+,;=~")):
        if len(form) >= SHORTEST and form != HIDDEN:
            yield form


def _scalars(text: str) -> tuple[list[_Scalar], int]:
    """Return the scalars, and up to where the text can be shown: all of it, else the line where the last one begins."""
    found: list[_Scalar] = []
    stack = [_Level(is_mapping=False, is_secret=False)]
    try:
        for event in yaml.parse(text, Loader=yaml.BaseLoader):
            if isinstance(event, yaml.CollectionEndEvent):
                stack.pop()
            elif isinstance(event, yaml.ScalarEvent):
                span = _index(event.start_mark), _index(event.end_mark)
                found.append(_Scalar(*span, event.value, stack[-1].take(event.value)))
            elif isinstance(event, yaml.CollectionStartEvent):
                stack.append(_Level(isinstance(event, yaml.MappingStartEvent), stack[-1].take("")))
            elif isinstance(event, yaml.AliasEvent):
                stack[-1].take("")
    except (yaml.YAMLError, ValueError, OverflowError):  # the last two: "\\Uffffffff" and the like, in PyYAML's scanner
        shown = text.rfind("\n", 0, found[-1].start) + 1 if found else 0
        return [scalar for scalar in found if scalar.start < shown], shown
    return found, len(text)


def _index(mark: Any) -> int:
    """Where in the text a mark of PyYAML is, whose stubs leave it out."""
    index: int = mark.index
    return index


class _Level:
    """A mapping or list that is being read: whether a key or a value comes next, and whether that is secret."""

    def __init__(self, is_mapping: bool, is_secret: bool) -> None:
        self._is_mapping = is_mapping
        self._is_secret = is_secret
        self._key_is_secret = False
        self._key_is_next = is_mapping

    def take(self, value: str) -> bool:
        """Take the next node, whose text is `value` where it is a scalar; return whether it is secret."""
        if not self._is_mapping:
            return self._is_secret
        is_key, self._key_is_next = self._key_is_next, not self._key_is_next
        if is_key:
            self._key_is_secret = bool(_SECRET_KEY.search(value))
            return self._is_secret
        return self._is_secret or self._key_is_secret
