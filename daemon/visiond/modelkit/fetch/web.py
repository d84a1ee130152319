"""One file over HTTP into a part file, which is taken up again where it was cut.

urllib and not a library of more comfort: it follows redirects, knows HTTPS and the proxies of the environment, and is
there on every device; what the others add, sessions and pools, one file after the other does not need. Resuming, and
not believing what the server says, are ours in any case.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from visiond import __version__
from visiond.errors import DataError, UnavailableError
from visiond.modelkit.catalogue import MAX_FILE_BYTES
from visiond.modelkit.fetch.answers import ELSEWHERE, Cut, check_size, extent, not_reached, refused
from visiond.modelkit.fetch.part_file import PartFile, size_of

Tell = Callable[[int], None]  # how many bytes there are by now

_CHUNK_BYTES: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a bad connection is borne."""

    silence_s: float = 15.0  # in so long at least `least_bytes` have to come, else it is dropped and taken up again
    least_bytes: int = 4096
    tries: int = 4  # connections in a row that bring less than that
    pause_s: float = 1.0  # after the first of them, doubled after each more


def download(url: str, part: Path, expected_bytes: int | None, patience: Patience, tell: Tell) -> bool:
    """Bring `url` into `part`, beginning with what is in it; return whether it came in several pieces.

    Raises Missing; UnavailableError, which leaves the part file for the next time; DataError where the server offers
    another size than `expected_bytes`. The content is not looked at.
    """
    opener = _opener()
    first = size_of(part)
    failures, before = 0, first
    while True:
        try:
            _connect_once(opener, url, part, expected_bytes, patience, tell)
            return first > 0 or before > 0
        except Cut as error:
            size = size_of(part)
            failures = failures + 1 if size - before < patience.least_bytes else 0
            before = size
            if failures >= patience.tries or (size == first and isinstance(error.__cause__, urllib.error.URLError)):
                raise UnavailableError(_gave_up(url, str(error), size)) from error
        time.sleep(patience.pause_s * 2 ** max(failures - 1, 0))


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS with the environment's proxies, and nothing else: a redirect must not lead to a file or to FTP."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _connect_once(
    opener: urllib.request.OpenerDirector, url: str, part: Path, expected: int | None, patience: Patience, tell: Tell
) -> None:
    """Take up the file with one connection; returns when all of it is there. Raises Cut when more is to come."""
    have = size_of(part)
    if have == expected:
        return  # cut after the last byte
    headers = {"User-Agent": f"visiond/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = opener.open(request, timeout=patience.silence_s)
    except urllib.error.HTTPError as error:
        with error:
            refused(url, error, part)
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: an address that is none
        not_reached(url, error)
    else:
        with response:
            start, total = extent(response, part, have)
            check_size(url, total, expected)
            _receive(response, part, start, total, expected, patience, tell)


def _receive(
    response: http.client.HTTPResponse,
    part: Path,
    start: int,
    total: int | None,
    expected: int | None,
    patience: Patience,
    tell: Tell,
) -> None:
    """Write what comes at `start` and behind; raise Cut when it ends early or comes too slowly."""
    end = total if total is not None else expected
    with PartFile(part, start) as file:
        since, window = time.monotonic(), start
        while end is None or file.size < end:
            chunk = _read(response)
            if not chunk:
                break
            file.write(chunk)
            tell(file.size)
            if file.size > (limit := MAX_FILE_BYTES if end is None else end):
                raise DataError(f"the server sends more than the {limit} bytes that there can be; {ELSEWHERE}")
            if time.monotonic() - since >= patience.silence_s:
                if file.size - window < patience.least_bytes:
                    raise Cut("almost nothing comes")
                since, window = time.monotonic(), file.size
    if end is not None and file.size < end:
        raise Cut(f"it was cut after {file.size} of {end} bytes")


def _read(response: http.client.HTTPResponse) -> bytes:
    try:
        return response.read1(_CHUNK_BYTES)
    except TimeoutError as error:
        raise Cut("nothing came in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise Cut("the connection broke") from error


def _gave_up(url: str, reason: str, size: int) -> str:
    kept = f"; {size} bytes are kept, and the same command goes on there" if size else ""
    return (
        f"{url} cannot be had: {reason}; check the network, the proxy (https_proxy) and the address, {ELSEWHERE}{kept}"
    )
