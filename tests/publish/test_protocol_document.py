"""docs/protocol.md is what robots are written from: every example in it must be true."""

import ast
import json
import re
from pathlib import Path

import jsonschema

from raw_client import SCHEMA, check_message, is_request
from visiond.publish.limits import Limits
from visiond.publish.requests import MAX_LINE_BYTES, parse_request
from visiond.publish.wire import PROTOCOL


def blocks(root: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (root / "docs" / "protocol.md").read_text(), re.DOTALL)


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["hello"]["properties"]["protocol"]["const"] == list(PROTOCOL)


def test_every_example_is_a_message_or_a_request(root: Path) -> None:
    kinds = set()
    for block in blocks(root, "json"):
        for line in block.splitlines():
            fields = json.loads(line)
            if is_request(fields):
                parse_request(line.encode())
            else:
                check_message(line.encode() + b"\n")
            kinds.add(fields["type"])
    assert kinds == {"hello", "detections", "status", "bye", "subscribe", "ping", "pong", "error"}


def test_the_program_in_it_imports_what_there_is(root: Path) -> None:
    (program,) = blocks(root, "python")
    for node in ast.walk(ast.parse(program)):
        if isinstance(node, ast.ImportFrom):
            exec(compile(ast.Module([node], []), "docs/protocol.md", "exec"), {})


def test_its_numbers_are_those_of_the_program(root: Path) -> None:
    text = (root / "docs" / "protocol.md").read_text()
    limits = Limits()
    assert f"at most {MAX_LINE_BYTES // 1024} KiB." in text
    assert f"unread for {limits.stall_s:g} s is closed" in text
    assert f"More than {limits.requests_per_s:g} requests a second ({limits.requests_burst} at once)" in text
    assert f"finished {limits.line_s:g} s after its first byte" in text


def test_every_field_and_state_of_engines_and_edge_tpus_is_explained(root: Path) -> None:
    text = (root / "docs" / "protocol.md").read_text()
    engine = SCHEMA["$defs"]["status"]["properties"]["engines"]["additionalProperties"]
    for part in (engine, SCHEMA["$defs"]["worker"], SCHEMA["$defs"]["edgetpu"]):
        for name, field in part["properties"].items():
            assert f"`{name}`" in text, name
            for state in field.get("enum", []) if name == "state" else []:
                assert f"`{state}`" in text, state
