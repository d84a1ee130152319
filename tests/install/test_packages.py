"""Packages of a release: whether those of the one that runs will do, and what is taken over of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from install.device import Device

SITE = "lib/python3.11/site-packages"


@pytest.fixture
def wheels(device: Device, tmp_path: Path) -> Path:
    """Release 1-old runs, and was made from these."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "numpy-2.0-cp311.whl").write_bytes(b"numpy")
    site = device.release("1-old") / SITE
    for name in ("numpy", "visiond", "visiond-0.1.0.dist-info"):
        (site / name).mkdir(parents=True)
        (site / name / "METADATA").touch()
    (site / "systemd").symlink_to("/usr/lib/python3/dist-packages/systemd")
    device.point("venv", "1-old")
    assert shell(device, folder, 'packages_asked >"$current_link/.packages"') == 0
    return folder


def shell(device: Device, wheels: Path, code: str) -> int:
    return device.shell(f"python_version() {{ echo 3.11; }}\noffline={wheels}\n{code}").returncode


def test_the_same_wheels_for_the_same_requirements_are_the_same_packages(device: Device, wheels: Path) -> None:
    assert shell(device, wheels, "has_same_packages") == 0


def test_another_wheel_makes_other_packages(device: Device, wheels: Path) -> None:
    (wheels / "numpy-2.1-cp311.whl").write_bytes(b"numpy")
    assert shell(device, wheels, "has_same_packages") == 1


def test_a_wheel_that_was_built_anew_under_its_name_makes_other_packages(device: Device, wheels: Path) -> None:
    (wheels / "numpy-2.0-cp311.whl").write_bytes(b"another numpy")
    assert shell(device, wheels, "has_same_packages") == 1


def test_packages_of_the_device_make_other_packages(device: Device, wheels: Path) -> None:
    (device.root / "etc" / "visiond").mkdir()
    (device.root / "etc" / "visiond" / "requirements.txt").write_text("tflite-runtime\n")
    assert shell(device, wheels, "has_same_packages") == 1


def test_another_python_or_its_options_make_other_packages(device: Device, wheels: Path) -> None:
    device.program("dpkg-query", "printf installed")  # picamera2 has come: --system-site-packages from now on
    assert shell(device, wheels, "has_same_packages") == 1


def test_what_the_network_gives_is_not_known_before(device: Device, wheels: Path) -> None:
    assert shell(device, wheels, "offline=; has_same_packages") == 1
    assert shell(device, wheels, 'offline=; packages_asked >"$current_link/.packages"; has_same_packages') == 1


def test_after_a_release_that_did_not_do_they_are_installed_anew(device: Device, wheels: Path) -> None:
    assert shell(device, wheels, "forget_packages; has_same_packages") == 1


def test_all_but_visiond_itself_and_what_the_system_lent_is_taken_over(device: Device, wheels: Path) -> None:
    site = device.root / "opt/visiond/releases/2-new" / SITE
    site.mkdir(parents=True)
    assert shell(device, wheels, 'share_packages "$base/releases/2-new"') == 0
    assert {path.name for path in site.iterdir()} == {"numpy"}
    old = site.parents[3] / "1-old"
    assert (site / "numpy" / "METADATA").samefile(old / SITE / "numpy" / "METADATA")
    assert (site.parents[2] / ".packages").read_text() == (old / ".packages").read_text()


def test_an_environment_has_a_pip_that_works(device: Device) -> None:
    code = 'release=$base/releases/1-new; make_environment "$release"; unpack_pip "$release"; '
    done = device.shell(code + '"$release/bin/python" -m pip --version')
    assert done.returncode == 0, done.stderr
    assert f"from {device.root}/opt/visiond/releases/1-new/lib/" in done.stdout
