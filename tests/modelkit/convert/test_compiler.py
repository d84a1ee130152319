"""edgetpu_compiler, by a script in its place: the real one is of x86-64, and nobody here has it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from visiond.modelkit.convert.compiler import PROGRAM, compile_for_edgetpu

_LOG = """Edge TPU Compiler version 16.0.384591198
Input: net_int8.tflite
On-chip memory used for caching model parameters: 3.25MiB
Operator                       Count      Status

CONV_2D                        2          Mapped to Edge TPU
SOFTMAX                        1          Operation is working on an unsupported data type
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "work" / "net_int8.tflite"
    path.parent.mkdir()
    path.write_bytes(b"a model")
    return path


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / PROGRAM
    program.write_text(f"#!/bin/sh\n{script}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:/usr/bin:/bin")


def test_without_it_the_command_is_told(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    compiled = compile_for_edgetpu(model, tmp_path / "package")
    assert compiled.file is None
    assert compiled.text.endswith(f"edgetpu_compiler -s -o {tmp_path}/package {tmp_path}/package/net_int8.tflite")


def test_the_command_can_be_pasted(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    package = tmp_path / "my models" / "cat's"
    command = compile_for_edgetpu(model, package).text.partition("is:  ")[2]
    assert shlex.split(command) == [PROGRAM, "-s", "-o", str(package), str(package / model.name)]


def test_it_is_run_as_its_help_says(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """-s prints the operators, -o names the folder; the names of its two files are its own."""
    install(
        tmp_path,
        monkeypatch,
        f'[ "$1 $2" = "-s -o" ] || exit 9\nname=$(basename "$4" .tflite)\n'
        f'cp "$4" "$3/${{name}}_edgetpu.tflite"\ncat > "$3/${{name}}_edgetpu.log" <<END\n{_LOG}END\n',
    )
    compiled = compile_for_edgetpu(model, tmp_path / "package")
    assert compiled.file == model.with_name("net_int8_edgetpu.tflite")
    assert compiled.text == "net_int8_edgetpu.tflite: 2 operators on the Edge TPU, 1 on the CPU"
    assert compiled.log is not None
    assert compiled.log.cached_bytes == 3407872


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'Invalid model: net_int8.tflite' >&2; exit 1\n", "with exit code 1: Invalid model: net_int8.tflite"),
        ("exit 0\n", "with exit code 0"),
        ("kill -SEGV $$\n", "with exit code -11"),
    ],
)
def test_a_failure_is_a_sentence(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    model.with_name("net_int8_edgetpu.tflite").write_bytes(b"of an earlier run")
    install(tmp_path, monkeypatch, script)
    compiled = compile_for_edgetpu(model, tmp_path / "package")
    assert compiled.file is None
    assert told in compiled.text
    assert compiled.text.endswith("the package is without files.edgetpu")
