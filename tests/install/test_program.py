"""visiond itself in a release: what setup.cfg names is where pip would put it, and it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = "tools/install/program.py"


@pytest.fixture
def release(root: Path, tmp_path: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path)], check=True)
    subprocess.run([sys.executable, str(root / PROGRAM), str(root), str(tmp_path), str(site(tmp_path))], check=True)
    return tmp_path


def site(release: Path) -> Path:
    return release / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


def test_the_package_is_there_with_its_data_and_nothing_else(root: Path, release: Path) -> None:
    source = root / "daemon" / "visiond"
    wanted = {path.relative_to(source) for path in source.rglob("*") if path.suffix in (".py", ".typed", ".json")}
    package = site(release) / "visiond"
    assert {path.relative_to(package) for path in package.rglob("*") if path.is_file()} == wanted
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in package.rglob("*.py"))


def test_the_built_in_model_is_where_it_is_looked_for(root: Path, release: Path) -> None:
    code = "from visiond.places import default_models_path as path; print(path() / 'shapes')"
    folder = Path(ask(release / "bin" / "python", "-I", "-c", code))
    shipped = {"model.yaml", "labels.txt", "shapes.tflite", "golden1.png", "golden2.png", "golden3.png"}
    assert {path.name for path in folder.iterdir()} == shipped
    assert (folder / "shapes.tflite").read_bytes() == (root / "models" / "shapes" / "shapes.tflite").read_bytes()


def test_the_command_runs_on_the_releases_own_python(release: Path) -> None:
    assert ask(release / "bin" / "visiond", "--version").startswith("visiond 0.")
    assert (release / "bin" / "visiond").read_text().startswith(f"#!{release}/bin/python\n")


def test_its_version_is_among_the_distributions(release: Path) -> None:
    code = "from importlib.metadata import version; import visiond; print(version('visiond') == visiond.__version__)"
    assert ask(release / "bin" / "python", "-I", "-c", code) == "True"


def ask(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
