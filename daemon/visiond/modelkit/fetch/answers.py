"""What a server's answer means: the file, a part of it, another one, or none; and what to do then."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import urllib.error
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from visiond.errors import DataError, UnavailableError
from visiond.modelkit.catalogue import MAX_FILE_BYTES
from visiond.modelkit.tflite_model import printable

ELSEWHERE: Final = "or take the file from a mirror or a stick with --from"

_GONE: Final = frozenset({401, 403, 404, 410, 451})
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Missing(Exception):
    """The server does not have the file; another address may."""


class Cut(Exception):
    """What came so far is good, and the rest may come with another connection."""


def refused(url: str, error: urllib.error.HTTPError, part: Path) -> NoReturn:
    """Raise what an answer without the file means."""
    said = printable(" ".join(f"{error.code} {error.reason}".split()))  # urllib's words on redirects have lines
    if error.code in _GONE:
        raise Missing(f"{url}: {said}") from error
    if error.code == 416:  # the part file is longer than the file: it is of another one
        part.unlink(missing_ok=True)
        raise Cut("what was there did not belong to it") from None
    if error.code in (408, 425, 429) or error.code >= 500:
        raise Cut(f"the server says {said}") from None
    raise UnavailableError(f"{url}: the server says {said}; try again later, {ELSEWHERE}") from error


def not_reached(url: str, error: Exception) -> NoReturn:
    """Raise what a connection that did not come about, or gave no answer, means."""
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        why = f"its certificate is not accepted ({reason.verify_message})"
        raise UnavailableError(f"{url}: {why}; is this machine's clock right? `date` tells; {ELSEWHERE}") from error
    if isinstance(reason, socket.gaierror):
        raise Cut(f"{urlsplit(url).hostname} is not found: {reason.strerror}") from error
    if isinstance(reason, TimeoutError):
        raise Cut("no answer in time") from error
    text = reason.strerror if isinstance(reason, OSError) and reason.strerror else str(reason) or type(reason).__name__
    raise Cut(printable(text)) from error


def extent(response: http.client.HTTPResponse, part: Path, have: int) -> tuple[int, int | None]:
    """Return at which byte the answer begins, and the size of the whole file where the server says it."""
    if response.status == 206:
        told = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != have:
            part.unlink(missing_ok=True)  # the next connection asks for the whole file
            raise Cut("the server sends another part than the one that it was asked for")
        return have, None if told[2] == "*" else int(told[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None  # the server ignores Range: from the beginning


def check_size(url: str, total: int | None, expected: int | None) -> None:
    """Raise DataError where the server has a file of another size, before any of it has come."""
    if total is not None and total != (total if expected is None else expected):
        raise DataError(
            f"{url} has {total} bytes there, and the catalogue's file has {expected}: it is another file, or a page "
            f"to log in at; look at it in a browser, {ELSEWHERE}"
        )
    if total is not None and total > MAX_FILE_BYTES:
        raise DataError(f"{url} has {total} bytes, more than any model; {ELSEWHERE.removeprefix('or ')}")
