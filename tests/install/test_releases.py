"""Changing from one release to another, with a systemctl that does nothing: the links, the files, the way back."""

from __future__ import annotations

import shutil

import pytest

from install.device import Device

CHANGE = "health_s=1; change_to 3-new; remove_other_releases"
TRAPS = """\
trap 'if [ -n "$unconfirmed" ]; then go_back "the installation was interrupted"; fi' EXIT
trap 'exit 143' TERM
"""


@pytest.fixture
def installed(device: Device) -> Device:
    """Release 2-old runs, 1-older was before."""
    (device.root / "run" / "visiond").mkdir(parents=True)
    for name in ("1-older", "2-old"):
        device.release(name)
    device.release("0-oldest")
    device.point("venv", "2-old")
    device.point("previous", "1-older")
    service(device, "active")
    assert device.shell("put_files 2-old").returncode == 0
    return device


def service(device: Device, state: str) -> None:
    device.program("systemctl", f'case "$1" in is-active) echo {state} ;; is-enabled) echo enabled ;; esac')


def unit(device: Device) -> str:
    return (device.root / "etc/systemd/system/visiond.service").read_text()


def test_a_release_that_works_takes_over(installed: Device) -> None:
    installed.release("3-new")
    done = installed.shell(CHANGE)
    assert done.returncode == 0, done.stderr
    assert (installed.link("venv"), installed.link("previous")) == ("3-new", "2-old")
    assert installed.releases() == {"3-new", "2-old"}
    assert unit(installed) == "# 3-new\n"
    assert "start --no-block visiond.service" in installed.called("systemctl")
    assert "service: active; visiond is ok" in done.stdout


@pytest.mark.parametrize("says", ["visiond is blind: camera front is absent", "ImportError: a broken version"])
def test_one_that_does_not_is_rolled_back_with_its_files(installed: Device, says: str) -> None:
    installed.release("3-new", says=says)
    done = installed.shell(CHANGE)
    assert done.returncode == 1
    assert f"3-new does not do: after 1 s the service is active; visiond status: {says}" in done.stderr
    assert "rolled back to 2-old, which runs" in done.stderr
    assert (installed.link("venv"), installed.link("previous")) == ("2-old", "1-older")
    assert "3-new" not in installed.releases()
    assert unit(installed) == "# 2-old\n"


def test_one_that_is_blind_stays_where_the_old_one_was_blind_too(installed: Device) -> None:
    shutil.rmtree(installed.root / "opt/visiond/releases/2-old")
    for name in ("2-old", "3-new"):
        installed.release(name, says="visiond is blind: no camera")
    assert installed.shell(CHANGE).returncode == 0
    assert installed.link("venv") == "3-new"


def test_a_service_that_somebody_has_stopped_stays_stopped(installed: Device) -> None:
    service(installed, "inactive")
    installed.release("3-new")
    done = installed.shell(CHANGE)
    assert done.returncode == 0
    assert installed.link("venv") == "3-new"
    assert not [call for call in installed.called("systemctl") if call.startswith(("start", "restart", "enable"))]


def test_an_interruption_while_the_new_one_is_watched_brings_the_old_one_back(installed: Device) -> None:
    installed.release("3-new")
    watched = 'why_unhealthy() { if [ -z "${asked:-}" ]; then asked=1; kill -TERM $$; sleep 5; fi; }; '
    done = installed.shell(TRAPS + watched + CHANGE)
    assert done.returncode != 0
    assert "interrupted" in done.stderr
    assert installed.link("venv") == "2-old"
    assert unit(installed) == "# 2-old\n"


def test_files_that_a_new_release_has_no_more_go(installed: Device) -> None:
    installed.release("3-new", old_thing="of 3\n")
    installed.shell("put_files 3-new 2-old")
    assert (installed.root / "etc/old_thing").read_text() == "of 3\n"
    installed.shell("put_files 2-old 3-new")
    assert not (installed.root / "etc/old_thing").exists()


def test_the_drop_in_is_there_when_asked_for_and_follows_the_release(installed: Device) -> None:
    drop_in = installed.root / "etc/systemd/system/visiond.service.d/network-cameras.conf"
    installed.shell("put_files 2-old")
    assert not drop_in.exists()
    installed.shell("network_cameras=yes; put_files 2-old")
    assert drop_in.read_text() == "# 2-old\n"
    installed.release("3-new")
    installed.shell("put_files 3-new 2-old")
    assert drop_in.read_text() == "# 3-new\n"
    installed.shell("network_cameras=no; put_files 3-new")
    assert not drop_in.exists()


def test_systemd_and_udev_are_told_of_what_has_changed_alone(installed: Device) -> None:
    installed.calls.unlink(missing_ok=True)
    installed.shell("put_files 2-old")
    assert installed.called("systemctl") == []
    installed.release("3-new")
    installed.shell("put_files 3-new 2-old")
    assert installed.called("systemctl") == ["daemon-reload"]
    assert installed.called("udevadm") == []


def test_a_stick_that_is_plugged_in_gets_its_group_and_name_at_once(installed: Device) -> None:
    (installed.root / "run" / "udev").mkdir()
    (installed.root / "run" / "udev" / "control").touch()
    installed.release("3-new", **{"udev/rules.d/70-visiond-coral.rules": "a rule\n"})
    installed.shell("put_files 3-new 2-old")
    trigger = "trigger --action=add --subsystem-match=usb --attr-match=idVendor="
    assert installed.called("udevadm") == ["control --reload", f"{trigger}1a6e", f"{trigger}18d1"]


def test_an_environment_of_an_older_installer_becomes_a_release(device: Device) -> None:
    venv = device.root / "opt" / "visiond" / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "visiond").write_text("old")
    assert device.shell("adopt_old_layout").returncode == 0
    assert device.link("venv") == "0.1.0-before"
    assert (venv / "bin" / "visiond").read_text() == "old"
