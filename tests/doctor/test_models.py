"""Configuration and packages: the problems of `visiond check`, one finding each, and missing twins."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from doctor.conftest import COMPILED, Place
from visiond.doctor.models import read_setup
from visiond.doctor.report import Finding
from visiond.errors import VisiondError
from visiond.service import check


def problems(place: Place) -> list[Finding]:
    return [finding for finding in read_setup(place.write()).findings if finding.state != "ok"]


@pytest.fixture
def own_package(place: Place, tmp_path: Path) -> Path:
    """A copy that may be spoiled."""
    place.package = Path(shutil.copytree(place.package, tmp_path / "spoiled"))
    return place.package


def test_a_good_setup_is_ok(place: Place) -> None:
    setup = read_setup(place.write())
    assert [finding.state for finding in setup.findings] == ["ok", "ok"]
    assert [model.name for model in setup.wanted] == ["objects"]


def test_every_problem_of_check_is_a_finding_of_its_own(place: Place) -> None:
    path = place.write()
    spoiled: dict[str, Any] = json.loads(path.read_text())
    spoiled["camera"] = {}
    spoiled["cameras"]["front"]["fsp"] = 3
    path.write_text(json.dumps(spoiled))
    with pytest.raises(VisiondError) as caught:
        check(path)
    setup = read_setup(path)
    assert [finding.cause for finding in setup.findings] == str(caught.value).splitlines()
    assert {finding.state for finding in setup.findings} == {"fail"}
    assert len(setup.findings) == 2
    assert setup.config is None


def test_no_configuration_is_a_failure_and_no_traceback(tmp_path: Path) -> None:
    (finding,) = read_setup(tmp_path / "none.yaml").findings
    assert (finding.state, finding.group) == ("fail", "configuration")
    assert "none.yaml" in str(finding.cause)


def test_a_damaged_package_fails_and_check_says_the_same(place: Place, own_package: Path) -> None:
    (own_package / "shapes.tflite").unlink()
    (finding,) = problems(place)
    with pytest.raises(VisiondError) as caught:
        check(place.write())
    assert (finding.state, finding.cause) == ("fail", str(caught.value))


def test_prefer_without_a_file_for_the_stick_is_a_warning(place: Place, own_package: Path) -> None:
    manifest = own_package / "model.yaml"
    manifest.write_text(manifest.read_text().replace("  edgetpu: {path: shapes_edgetpu.tflite}\n", ""))
    (finding,) = problems(place)
    assert finding.state == "warn"
    assert "no files.edgetpu" in str(finding.cause)
    assert "edgetpu_compiler" in str(finding.remedy)
    assert read_setup(place.write()).wanted == ()


def test_prefer_without_a_twin_for_the_cpu_fails(place: Place, own_package: Path) -> None:
    manifest = own_package / "model.yaml"
    manifest.write_text(manifest.read_text().replace("  cpu: {path: shapes.tflite}\n", ""))
    (finding,) = problems(place)
    assert finding.state == "fail"
    assert "files.cpu" in str(finding.cause)


@pytest.mark.parametrize(("accelerator", "state"), [("prefer", "warn"), ("required", "fail")])
def test_a_file_that_was_not_compiled_is_seen(place: Place, own_package: Path, accelerator: str, state: str) -> None:
    compiled = own_package / "shapes_edgetpu.tflite"
    compiled.write_bytes(compiled.read_bytes().removesuffix(COMPILED))
    place.settings["accelerator"] = accelerator
    (finding,) = problems(place)
    assert finding.state == state
    assert str(finding.remedy).startswith("edgetpu_compiler ")


def test_no_golden_examples_is_a_warning(place: Place, own_package: Path) -> None:
    manifest = own_package / "model.yaml"
    kept = [line for line in manifest.read_text().splitlines() if "golden" not in line]
    manifest.write_text("\n".join(kept) + "\n")
    (finding,) = problems(place)
    assert (finding.state, "golden" in str(finding.remedy)) == ("warn", True)


def test_a_golden_picture_that_is_gone_is_a_warning(place: Place, own_package: Path) -> None:
    (own_package / "golden1.png").unlink()
    (finding,) = problems(place)
    assert finding.state == "warn"
    assert "golden1.png does not exist" in str(finding.cause)
