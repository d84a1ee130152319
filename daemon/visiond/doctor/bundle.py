"""`visiond doctor --bundle`: a report to send, one archive of texts; no pictures, no model files, no passwords."""

from __future__ import annotations

import io
import json
import os
import platform
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TextIO

from visiond.config import Config
from visiond.doctor import evidence
from visiond.doctor.evidence import Evidence
from visiond.doctor.examination import doctor
from visiond.doctor.models import read_setup
from visiond.doctor.redaction import redacted_yaml, sweep, sweep_values
from visiond.doctor.report import Finding, Printer
from visiond.errors import UnavailableError, UsageError

SUFFIXES: Final = (".tar.gz", ".tgz")
FOLDER: Final = "visiond-report"  # in the archive
CONTENTS: Final = "CONTENTS.txt"
_HEAD: Final = (
    "A report of visiond, made by `visiond doctor --bundle`. It holds texts alone: no pictures, no frames, no model\n"
    "files. Users, passwords and tokens of addresses are replaced by ***. It does name hosts, paths, serial numbers\n"
    "of sticks and cameras. Files:\n\n"
)


def bundle(
    config_path: Path,
    socket_path: Path | None,
    seconds: float | None,
    as_json: bool,
    target: Path | None,
    out: TextIO,
    err: TextIO,
) -> int:
    """Print every finding as `doctor` does, write the report to `target`, and say on stderr what is in it and where.

    `target` None: visiond-report-HOST.tar.gz in this folder, numbered where there is one. Returns the doctor's exit
    code; raises UsageError for a name that is no archive's, UnavailableError where it cannot be written.
    """
    path = default_target(Path.cwd()) if target is None else target
    if not path.name.endswith(SUFFIXES) or path.name in SUFFIXES:
        raise UsageError(f"--bundle {path}: give a file that ends in {SUFFIXES[0]}, such as {default_target(Path())}")
    if problem := _folder_problem(path.parent):
        raise UnavailableError(f"{path} cannot be written: {problem}; name a file elsewhere, such as /tmp/{path.name}")
    examined = io.StringIO()
    code = doctor(config_path, socket_path, seconds, True, examined, err)
    report = json.loads(examined.getvalue())
    if as_json:
        out.write(examined.getvalue())
    else:
        findings = [Finding(**check) for check in report["checks"]]
        printer = Printer(out)
        for finding in findings:
            printer.show(finding)
        printer.close(findings)
    out.flush()
    contents = collect(config_path, report, read_setup(config_path).config)
    write(path, contents)
    print(summary(path, contents), file=err, flush=True)
    return code


def default_target(folder: Path) -> Path:
    """Return the file for which no name was given: it replaces none that is there."""
    host = "".join(character if character.isalnum() or character in "-_." else "_" for character in platform.node())
    stem = f"{FOLDER}-{host or 'unknown'}"
    number = 1
    while os.path.lexists(path := folder / f"{stem}{f'-{number}' if number > 1 else ''}{SUFFIXES[0]}"):
        number += 1
    return path


def collect(config_path: Path, report: dict[str, Any], config: Config | None) -> list[Evidence]:
    """Return every file of the report, without secrets; the first one tells what the others are."""
    secrets: frozenset[str] = frozenset()
    configurations = []
    for each in evidence.configurations(config_path, config):
        text, found = (None, frozenset[str]()) if each.text is None else redacted_yaml(each.text)
        configurations.append(replace(each, text=text))
        secrets |= found
    others = [
        Evidence("doctor.json", "what `visiond doctor` has found", json.dumps(report, indent=2) + "\n"),
        evidence.status(Path(report["socket"])),
        evidence.versions(),
        evidence.devices(config),
        evidence.unit(),
        evidence.journal(),
        evidence.kernel(),
    ]
    files = [_swept(each, secrets) for each in (*others, *configurations)]
    listing = _HEAD + "".join(f"{each.line}\n" for each in files)
    return [Evidence(CONTENTS, "this list", listing), *files]


def write(path: Path, contents: Iterable[Evidence]) -> None:
    """Put the archive in place as a whole, readable by its owner alone: who used sudo, else this process's user.

    Raises UnavailableError where that cannot be done; then nothing has changed.
    """
    try:
        descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # of mode 0600
    except OSError as error:
        raise UnavailableError(f"{path} cannot be written: {error.strerror}; name a file elsewhere") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(_archive(contents, int(os.fstat(descriptor).st_mtime)))
            file.flush()
            os.fsync(descriptor)
            user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
            if os.geteuid() == 0 and user.isdecimal() and group.isdecimal():
                os.fchown(descriptor, int(user), int(group))
        Path(made).replace(path)
    except OSError as error:
        Path(made).unlink(missing_ok=True)
        raise UnavailableError(f"{path} cannot be written: {error.strerror}; name a file elsewhere") from None
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise


def summary(path: Path, contents: Sequence[Evidence]) -> str:
    """Return what a person reads when the report lies there."""
    there = [each.name for each in contents if each.text is not None]
    lines = [
        f"report: {path.absolute()} ({path.stat().st_size / 1000:.0f} kB, mode 0600), passwords removed, no pictures",
        f"  in it: {', '.join(there)}",
        *(f"  not in it: {each.name}: {each.missing}" for each in contents if each.text is None),
        f"  look into it: tar -xOzf {path} | less",
    ]
    return "\n".join(lines)


def _archive(contents: Iterable[Evidence], made_s: int) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for each in contents:
            if each.text is not None:
                data = each.text.encode(errors="replace")
                entry = tarfile.TarInfo(f"{FOLDER}/{each.name}")
                entry.size, entry.mode, entry.mtime = len(data), 0o600, made_s
                archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def _swept(each: Evidence, secrets: frozenset[str]) -> Evidence:
    missing = None if each.missing is None else sweep(each.missing, secrets)
    if each.text is None or not each.name.endswith(".json"):
        return replace(each, text=None if each.text is None else sweep(each.text, secrets), missing=missing)
    swept = sweep_values(json.loads(each.text), secrets)
    return replace(each, text=json.dumps(swept, indent=2, ensure_ascii=False) + "\n", missing=missing)


def _folder_problem(folder: Path) -> str | None:
    """Say why no file can be made there: better before an examination of a minute than after it."""
    if not folder.is_dir():
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK | os.X_OK) else f"this user may not write in {folder}"
