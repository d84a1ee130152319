"""Where TensorFlow is found, what is said where it is not, and the environment that --set-up makes."""

from __future__ import annotations

import base64
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from modelkit.convert.stand_in import StandIn
from visiond.cli import main
from visiond.errors import UnavailableError
from visiond.modelkit.convert import environment
from visiond.modelkit.convert.environment import NEEDED, VARIABLE, find_python, requirements, set_up


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv(VARIABLE, raising=False)


def wheel(folder: Path, name: str) -> str:
    """Write the smallest wheel there is, for pip to install without a network; return its path."""
    module = name.replace("-", "_")
    info = f"{module}-9.dist-info"
    files = {
        f"{module}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 9\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{path},sha256={digest},{len(text)}\n")
    path = folder / f"{module}-9-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_inside, text in files.items():
            archive.writestr(name_inside, text)
        archive.writestr(f"{info}/RECORD", "".join(rows) + f"{info}/RECORD,,\n")
    return str(path)


def test_the_variable_comes_first(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn(tmp_path, root / "models" / "shapes" / "shapes.tflite")
    monkeypatch.setenv(VARIABLE, str(stand_in.path))
    found = find_python()
    assert found.path == stand_in.path
    assert set(found.versions) == {*NEEDED, "python"}


def test_a_variable_that_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/nowhere/python")
    with pytest.raises(UnavailableError, match=r"VISIOND_CONVERT_PYTHON=/nowhere/python is no Python that runs"):
        find_python()


def test_a_python_without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(UnavailableError, match=r"has no tensorflow, .*; run `visiond models convert --set-up`"):
        find_python()


def test_none_at_all_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "net.keras"
    source.write_bytes(b"x")
    recipe = ["--task", "classification", "--decoder", "scores", "--mean", "0", "--std", "255"]
    assert main(["models", "convert", str(source), "--to", str(tmp_path / "to"), *recipe]) == 69
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(
        "converting needs TensorFlow, which is not here; `visiond models convert --set-up` installs it"
    )
    assert str(tmp_path / "data" / "visiond" / "convert") in said


@pytest.mark.slow
def test_set_up_makes_an_environment_that_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With wheels that hold nothing: venv and pip are the real ones."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    wheels = [wheel(tmp_path, name) for name in NEEDED]
    monkeypatch.setattr(environment, "requirements", lambda: wheels[:-1])
    said: list[str] = []
    with pytest.raises(UnavailableError, match="has no ai-edge-litert"):
        set_up(said.append)
    with pytest.raises(UnavailableError, match="which is not here"):  # half made is not there
        find_python()
    monkeypatch.setattr(environment, "requirements", lambda: wheels)
    folder = set_up(said.append)
    assert folder == tmp_path / "data" / "visiond" / "convert"
    assert any(line.startswith("  Installing collected packages: ") for line in said)
    found = find_python()
    assert found.path == folder / "bin" / "python"
    assert found.versions["tensorflow"] == "9"
    assert set_up(said.append) == folder
    assert said[-1] == f"{folder} is there and whole: nothing to do"


@pytest.mark.slow
def test_set_up_without_a_network_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setattr(environment, "requirements", lambda: ["no-package-has-this-name-of-ours"])
    with pytest.raises(
        UnavailableError, match=r"installing failed: ERROR: .*is there a network, and room on the disk\?"
    ):
        set_up(lambda _: None)


def test_set_up_converts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.keras").write_bytes(b"x")
    assert main(["models", "convert", str(tmp_path / "net.keras"), "--set-up"]) == 64
    assert "run it alone" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(UnavailableError, match="set XDG_DATA_HOME to another folder"):
        set_up(lambda _: None)


def test_what_pip_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = [
        "numpy>=1.26",
        'rich>=13; extra == "tools"',
        "tensorflow==2.21.*; extra == 'convert'",
        'tomli; (python_version < "3.12") and extra == "convert"',
        'onnx>=1.15; extra == "test"',
    ]
    monkeypatch.setattr(environment.metadata, "requires", lambda _: declared)
    assert requirements() == ["numpy>=1.26", "tensorflow==2.21.*", 'tomli; python_version < "3.12"']
