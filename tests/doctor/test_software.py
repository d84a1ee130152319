"""Library and runtimes, asked in a real child process."""

import json
from pathlib import Path

import pytest

from doctor.conftest import Place
from edgetpu_sim.simulator import BUILD
from visiond.doctor.models import read_setup
from visiond.doctor.report import Finding
from visiond.doctor.software import software_findings
from visiond.engine.runtimes.installed import pip


def look(place: Place, library: str | None = None, stick_is_there: bool = True) -> dict[str, Finding]:
    setup = read_setup(place.write())
    found = software_findings(setup, library or str(place.simulator.library), stick_is_there, 30.0)
    return {finding.name: finding for finding in found}


def fake_module(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "__init__.py").write_text(text)


def test_versions_of_library_and_runtimes_are_told_and_no_stick_is_opened(place: Place) -> None:
    found = look(place)
    assert found["libedgetpu"].state == "ok"
    assert "RuntimeVersion(14)" in found["libedgetpu"].data["version"]
    assert found["litert"].state == "ok"
    assert str(found["litert"].data["version"]).startswith("LiteRT 2.")
    assert found["tflite-runtime"].state in ("ok", "skipped")
    assert place.simulator.creates == 0


def test_fault_20_a_missing_library_counts_by_who_needs_it(place: Place) -> None:
    place.settings["accelerator"] = "prefer"
    missing = look(place, "libnotthere.so.1", stick_is_there=False)["libedgetpu"]
    assert (missing.state, missing.cause) == ("warn", "libnotthere.so.1 is not installed")
    assert str(missing.remedy).startswith("sudo apt install libedgetpu1-std")
    assert look(place, "libnotthere.so.1", stick_is_there=True)["libedgetpu"].state == "fail"
    place.settings["accelerator"] = "never"
    assert look(place, "libnotthere.so.1", stick_is_there=False)["libedgetpu"].state == "skipped"


def test_fault_20_a_library_of_another_architecture_is_named(place: Place, tmp_path: Path) -> None:
    content = bytearray((BUILD / "libedgetpu_sim.so").read_bytes())
    content[18:20] = (183 if content[18] != 183 else 62).to_bytes(2, "little")
    other = tmp_path / "libedgetpu.so.1"
    other.write_bytes(content)
    finding = look(place, str(other))["libedgetpu"]
    assert finding.state == "fail"
    assert " is for " in str(finding.cause)


def test_fault_20_an_empty_library_is_named(place: Place, tmp_path: Path) -> None:
    empty = tmp_path / "libedgetpu.so.1"
    empty.touch()
    finding = look(place, str(empty))["libedgetpu"]
    assert (finding.state, finding.cause) == ("fail", f"{empty} is empty")
    assert "--reinstall" in str(finding.remedy)


def test_pypis_gis_tool_of_pycorals_name_is_told(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_module(tmp_path, "pycoral", "raise RuntimeError('it must not be imported')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = look(place)["pycoral"]
    assert finding.state == "warn"
    assert "GIS tool" in str(finding.cause)
    assert str(finding.remedy).startswith(pip("uninstall pycoral"))


def test_a_runtime_that_crashes_is_named_and_the_others_are_asked_all_the_same(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_module(tmp_path, "tflite_runtime", "")
    (tmp_path / "tflite_runtime" / "interpreter.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = look(place)
    assert found["tflite-runtime"].state == "warn"
    assert "died of SIGSEGV" in str(found["tflite-runtime"].cause)
    assert (found["litert"].state, found["libedgetpu"].state) == ("ok", "ok")


def test_a_configured_runtime_that_is_missing_fails(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_module(tmp_path, "pycoral", "")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    place.settings["runtime"] = "pycoral"
    finding = look(place)["pycoral"]
    assert finding.state == "fail"
    assert "set runtime: auto" in str(finding.remedy)


def test_a_runtime_that_is_not_installed_has_one_remedy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """tflite-runtime is hidden, should it be installed here."""
    monkeypatch.setattr(
        "visiond.doctor.software._ask",
        lambda names, *_: (
            {
                name: {"name": name, "fact": f"{name} is not installed", "remedy": pip(f"install {name}")}
                for name in names
            }
            | {"library": {"name": "library", "version": "1"}}
        ),
    )
    place.settings["runtime"] = "tflite-runtime"
    finding = look(place)["tflite-runtime"]
    assert (finding.state, finding.remedy) == ("fail", pip("install tflite-runtime"))


def test_onnx_without_a_file_for_it_is_not_told_to_install_the_runtime(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is missing is files.onnx, and group models says so."""
    fake_module(tmp_path, "onnxruntime", "raise ImportError('broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    place.settings["runtime"] = "onnx"
    assert look(place)["onnx"].state == "warn"  # installed and broken, and nobody could use it
    problems = [finding for finding in read_setup(place.write()).findings if finding.state == "fail"]
    assert "files.onnx" in str(problems[0].cause)


def test_a_package_that_has_nothing_but_onnx_for_the_cpu_needs_its_runtime(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`runtime: auto` finds nothing else to take."""
    fake_module(tmp_path, "onnxruntime", "raise ModuleNotFoundError('hidden', name='onnxruntime')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    package = tmp_path / "onnx_only"
    package.mkdir()
    (package / "m.onnx").write_bytes(b"not looked at")
    recipe = {"input": {"mean": [0] * 3, "std": [1] * 3}, "output": {"decoder": "scores"}}
    manifest = {"name": "m", "task": "classification", "files": {"onnx": {"path": "m.onnx"}}, **recipe}
    (package / "model.yaml").write_text(json.dumps(manifest))
    place.package = package
    place.settings["accelerator"] = "never"
    finding = look(place)["onnx"]
    assert (finding.state, finding.cause) == ("fail", "onnxruntime is not installed")
    assert "has files.onnx for the CPU, and no files.cpu" in finding.seen
    assert "install onnxruntime" in str(finding.remedy)


def test_fault_20_a_program_as_library_is_told_as_such(place: Place) -> None:
    finding = look(place, "/bin/ls")["libedgetpu"]
    assert finding.state == "fail"
    assert finding.cause == "/bin/ls is a program and no library"
    assert finding.remedy == "give the path of libedgetpu.so.1 in edgetpu.library"
