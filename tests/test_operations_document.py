"""docs/operations.md tells what there is: each of its commands is one, and no state or event is left out."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from visiond.cli import _parser
from visiond.doctor import bundle, evidence
from visiond.journal import MESSAGE_IDS


@pytest.fixture(scope="module")
def document(root: Path) -> str:
    return (root / "docs" / "operations.md").read_text()


def commands(document: str, program: str) -> list[list[str]]:
    """The arguments of each call of a program, in the indented lines and between backticks."""
    lines = re.findall(r"^ {4}(\S.*)$", document, re.MULTILINE) + re.findall(r"`([^`\n]+)`", document)
    calls = [part.strip() for line in lines for part in re.split(r" # |&&|, then|\s{2,}#|\s{4,}", line)]
    pattern = re.compile(rf"(?:sudo )?(?:-u visiond )?(?:\./|/opt/visiond/)?{re.escape(program)}((?: .*)?)")
    return [shlex.split(match[1]) for call in calls if (match := pattern.fullmatch(call))]


def rows(document: str, heading: str) -> list[str]:
    """First cells of the table below the heading row, without backticks."""
    table = document.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    return [line.split("|")[1].strip().replace("`", "") for line in table]


def test_each_command_is_one(document: str) -> None:
    found = [arguments for arguments in commands(document, "visiond") if arguments and arguments[0] != "is"]
    assert {"status", "check", "reload", "watch", "cameras", "doctor"} <= {arguments[0] for arguments in found}
    for arguments in found:
        _parser().parse_args(arguments)


def test_each_option_of_the_installer_is_one(document: str, root: Path) -> None:
    done = subprocess.run([root / "install.sh", "--help"], capture_output=True, text=True, check=True)
    known = set(re.findall(r"--[a-z-]+", done.stdout))
    found = {word for call in commands(document, "install.sh") for word in call if word.startswith("--")}
    assert {"--dry-run", "--offline", "--download", "--rollback", "--uninstall", "--purge"} <= found <= known


def test_each_file_of_the_units_is_there(document: str, root: Path) -> None:
    for unit in set(re.findall(r"`(visiond\.(?:service|socket))`", document)):
        assert (root / "systemd" / unit).is_file()
    for linked in re.findall(r"\]\(([a-z]+\.md)", document):
        assert (root / "docs" / linked).is_file()


def test_each_state_of_a_camera_and_of_a_model_is_told(document: str, root: Path) -> None:
    schema = json.loads((root / "daemon" / "visiond" / "publish" / "protocol.schema.json").read_text())
    status = next(each for each in _objects(schema) if {"cameras", "engines"} <= {*each.get("properties", {})})
    cameras, engines = (
        status["properties"][part]["additionalProperties"]["properties"]["state"]["enum"]
        for part in ("cameras", "engines")
    )
    assert sorted(rows(document, "camera")) == sorted(cameras)
    assert all(f"`{state}`" in document for state in engines)


def test_each_event_of_the_journal_is_told(document: str) -> None:
    told = [event.strip() for row in rows(document, "`VISIOND_EVENT`") for event in row.split(",")]
    assert sorted(told) == sorted(MESSAGE_IDS)


def test_each_file_of_a_report_is_told(document: str, tmp_path: Path) -> None:
    (tmp_path / "v.yaml").write_text("cameras: {}\n")
    report: dict[str, Any] = {"socket": str(tmp_path / "v.sock")}
    made = {each.name.partition("/")[0] for each in bundle.collect(tmp_path / "v.yaml", report, None)}
    assert {name.rstrip("/") for name in rows(document, "file")} == made
    assert f"the last {evidence.JOURNAL_LINES} lines" in document


def _objects(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(each for part in value.values() for each in _objects(part))]
    return [each for part in value for each in _objects(part)] if isinstance(value, list) else []
