"""install.sh as far as it goes without a device: what it says it would do, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from install.device import PARTS, Device


def name_in(output: str) -> str:
    found = re.search(r"^visiond: (\S+), for the first time$", output, re.MULTILINE)
    assert found, output
    return found[1]


def test_a_dry_run_says_each_step_and_changes_nothing(device: Device) -> None:
    before = device.files()
    done = device.dry_run()
    assert done.returncode == 0, done.stderr
    assert device.files() == before
    for words in (
        "configuration: ",
        "program: an environment",
        "packages, from the network",
        "is tried before the old one goes",
        "file: /etc/systemd/system/visiond.service",
        "file: /etc/udev/rules.d/70-visiond-coral.rules",
        "file: /usr/share/visiond/visiond.schema.json",
        "file: /usr/local/bin/visiond",
        "service: started",
        "missing: a camera",
    ):
        assert words in done.stdout
    assert "--dry-run: nothing was changed" in done.stdout
    assert device.called("systemd-sysusers") == []
    assert {call.split()[0] for call in device.called("systemctl")} <= {"show", "is-active"}


@pytest.mark.parametrize(
    ("os_release", "architecture", "words"),
    [
        (
            'PRETTY_NAME="Ubuntu 24.04"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
            "amd64",
            "this is Ubuntu 24.04",
        ),
        ('PRETTY_NAME="Debian 11"\nVERSION_ID="11"\nID=debian\n', "arm64", "this is Debian 11"),
        ('PRETTY_NAME="Raspbian 12"\nVERSION_ID="12"\nID=raspbian\n', "armhf", "this is Raspbian 12"),
        ('PRETTY_NAME="Debian 12"\nVERSION_ID="12"\nID=debian\n', "armhf", "install the 64-bit system"),
        ("", "arm64", "this is an unknown system"),
    ],
)
def test_another_system_is_refused_in_one_sentence(
    device: Device, os_release: str, architecture: str, words: str
) -> None:
    device.system(os_release)
    device.program("dpkg", f"echo {architecture}")
    done = device.dry_run()
    assert done.returncode == 69
    assert words in done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_raspberry_pi_os_trixie_is_taken(device: Device) -> None:
    device.system('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nID=debian\n')
    assert device.dry_run().returncode == 0


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--of"], 64, "unknown option --of"),
        (["--offline"], 64, "--offline needs a value"),
        (["--download", "--arch"], 64, "--download needs a value"),
        (["--uninstall", "--rollback"], 64, "do not go together"),
        (["--download", "/nowhere", "--arch", "armv7l"], 64, "--arch armv7l"),
        (["--download", "/nowhere", "--python", "3.9"], 64, "--python 3.9"),
        (["--offline", "/nowhere"], 66, "there is no such folder; make it with ./install.sh --download"),
        (["--rollback"], 69, "there is no earlier version"),
    ],
)
def test_what_cannot_be_is_refused(device: Device, options: list[str], code: int, words: str) -> None:
    done = device.dry_run(*options)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr


def test_a_folder_without_wheels_is_refused(device: Device, tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    done = device.dry_run("--offline", str(tmp_path / "wheels"))
    assert done.returncode == 66
    assert "there is no wheel in it" in done.stderr


def test_a_second_run_changes_nothing(device: Device) -> None:
    name = name_in(device.dry_run().stdout)
    device.release(name, unit="the unit")
    device.point("venv", name)
    shutil.copytree(device.root / "opt/visiond/releases" / name / "system", device.root, dirs_exist_ok=True)
    (device.root / "run" / "visiond").mkdir(parents=True)
    (device.root / "etc" / "visiond").mkdir()
    (device.root / "etc" / "visiond" / "visiond.yaml").write_text("mine\n")
    done = device.dry_run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("nothing was changed")


def test_an_upgrade_keeps_the_configuration_and_tries_the_new_version_first(device: Device) -> None:
    device.release("0.0.1-old")
    device.point("venv", "0.0.1-old")
    (device.root / "etc" / "visiond").mkdir()
    (device.root / "etc" / "visiond" / "visiond.yaml").write_text("mine\n")
    said = device.dry_run().stdout
    assert "visiond.yaml: as it is" in said
    assert said.index("is tried") < said.index("release to go back to: 0.0.1-old") < said.index("restarted if it runs")
    assert "before 0.0.1 (0.0.1-old), now" in said


def test_packages_of_the_device_make_another_release(device: Device) -> None:
    """Else a package that is added to /etc/visiond/requirements.txt would never be installed."""
    before = name_in(device.dry_run().stdout)
    (device.root / "etc" / "visiond").mkdir()
    (device.root / "etc" / "visiond" / "requirements.txt").write_text("tflite-runtime\n")
    assert name_in(device.dry_run().stdout) != before


def test_a_csi_camera_on_bookworm_brings_its_constraints(device: Device, root: Path) -> None:
    device.program("dpkg-query", 'case "$*" in *python3-picamera2) printf installed ;; *) exit 1 ;; esac')
    done = device.shell("environment_options; constraints")
    assert done.stdout.split() == [
        "--system-site-packages",
        "--constraint",
        str(root / "config/constraints/bookworm-csi.txt"),
    ]
    device.system('VERSION_ID="13"\nID=debian\n')
    assert device.shell("environment_options; constraints").stdout.split() == ["--system-site-packages"]


def test_uninstall_keeps_the_configuration_and_purge_does_not(device: Device) -> None:
    device.release("0.0.1-old")
    shutil.copytree(device.root / "opt/visiond/releases/0.0.1-old/system", device.root, dirs_exist_ok=True)
    folder = device.root / "etc" / "visiond"
    folder.mkdir()
    (folder / "visiond.yaml").write_text("mine\n")
    said = device.dry_run("--uninstall").stdout
    assert "file: /etc/systemd/system/visiond.service goes" in said
    assert f"goes: {device.root}/opt/visiond" in said
    assert f"goes: {folder}" not in said
    assert f"goes: {folder}" in device.dry_run("--purge").stdout


@pytest.mark.parametrize(("version", "glibc"), [("3.11", 36), ("3.13", 41)])
def test_downloads_for_another_machine_name_its_wheels(device: Device, version: str, glibc: int) -> None:
    said = device.dry_run("--download", "/nowhere", "--arch", "aarch64", "--python", version).stdout
    assert f"--platform manylinux_2_{glibc}_aarch64" in said
    assert f"manylinux_2_{glibc + 1}_" not in said
    assert f"--abi cp{version.replace('.', '')} --abi abi3" in said
    assert "setuptools" in said
    assert ("bookworm-csi.txt" in said) == (version == "3.11")


def test_nothing_installs_the_pycoral_of_the_package_index(root: Path) -> None:
    """It is another project, a GIS tool."""
    asked = [root / "setup.cfg", *sorted((root / "config" / "constraints").iterdir())]
    assert not [path for path in asked if "pycoral" in path.read_text()]


def test_the_scripts_hold_no_mistake_that_a_checker_sees(root: Path) -> None:
    checker = shutil.which("shellcheck")
    command = ["bash", "-n"] if checker is None else [checker, "--external-sources"]
    scripts = [root / "install.sh", *(root / "tools" / "install" / f"{part}.sh" for part in PARTS)]
    for script in scripts if checker is None else scripts[:1]:  # shellcheck follows install.sh into its parts
        done = subprocess.run([*command, str(script)], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
