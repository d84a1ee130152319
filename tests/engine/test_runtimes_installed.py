"""How a missing runtime is installed: where the next upgrade finds it."""

import sys
from pathlib import Path

import pytest

from visiond.engine.runtimes.installed import pip


def test_in_an_environment_of_ones_own_it_is_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert pip("install onnxruntime").endswith(f"{sys.executable} -m pip install onnxruntime")


def test_in_a_release_it_is_the_file_from_which_each_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "releases" / "0.1.0-abc").mkdir(parents=True)
    (tmp_path / "venv").symlink_to("releases/0.1.0-abc")
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    assert pip("install onnxruntime 'numpy<2'") == (
        "printf '%s\\n' onnxruntime 'numpy<2' | sudo tee -a /etc/visiond/requirements.txt, "
        "then ./install.sh in the project's folder again"
    )
    assert pip("uninstall pycoral").endswith("-m pip uninstall pycoral")
