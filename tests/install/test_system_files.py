"""What is installed beside the program agrees with what the program says of it."""

from __future__ import annotations

import argparse
import configparser
import re
import subprocess
import sys
from pathlib import Path

from visiond import __version__
from visiond.cli import _parser
from visiond.edgetpu import permission, usb_reset


def rules(root: Path) -> list[str]:
    text = (root / "systemd" / "70-visiond-coral.rules").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_the_udev_rules_are_those_that_the_program_recommends(root: Path) -> None:
    recommended = [*permission.RULES, *re.findall(r"'([^']*)'", usb_reset._AUTHORIZED_RULES)]
    assert len(recommended) == 4
    assert [rule for rule in rules(root) if "SYMLINK" not in rule] == recommended


def test_both_ids_of_a_stick_get_the_same_stable_name(root: Path) -> None:
    named = [rule for rule in rules(root) if "SYMLINK" in rule]
    assert all(rule.endswith('SYMLINK+="coral-%k"') for rule in named)
    ids = [re.findall(r'ATTR\{id(?:Vendor|Product)\}=="(\w+)"', rule) for rule in named]
    assert [":".join(each) for each in ids] == [permission.BOOTLOADER_ID, permission.READY_ID]


def test_the_user_is_in_the_groups_of_the_unit_and_of_the_rules(root: Path) -> None:
    members = re.findall(r"^m visiond (\w+)$", (root / "systemd" / "sysusers.conf").read_text(), re.MULTILINE)
    unit = (root / "systemd" / "visiond.service").read_text()
    wanted = re.search(r"^SupplementaryGroups=(.*)$", unit, re.MULTILINE)
    assert wanted is not None
    assert set(wanted[1].split()) <= set(members)
    assert permission.GROUP in members


def test_the_unit_starts_what_is_installed(root: Path) -> None:
    unit = (root / "systemd" / "visiond.service").read_text()
    assert "ExecStart=/opt/visiond/venv/bin/visiond run" in unit
    linked = (root / "tools" / "install" / "files.sh").read_text()
    assert 'ln -s /opt/visiond/venv/bin/visiond "$tree/usr/local/bin/visiond"' in linked


def test_the_version_that_the_installer_names_is_the_programs_own(root: Path) -> None:
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg")
    assert settings["metadata"]["version"] == __version__


def test_the_completion_offers_each_verb_and_each_of_its_options(root: Path, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    made = subprocess.run(
        [sys.executable, str(root / "tools" / "completion.py")],
        env={"PYTHONPATH": str(root / "daemon")},
        capture_output=True,
        text=True,
        check=True,
    )
    script.write_text(made.stdout)
    parser = _parser()
    (verbs,) = (action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    assert set(offered(script, "")) >= set(verbs)
    assert offered(script, "sche") == ["schema"]
    for verb, its in verbs.items():
        options = {name for action in its._actions for name in action.option_strings if name.startswith("--")}
        assert set(offered(script, verb, "--")) == options


def offered(script: Path, *words: str) -> list[str]:
    """What bash would offer after `visiond WORDS`."""
    line = " ".join(f"'{word}'" for word in ("visiond", *words))
    code = f'. {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _visiond; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_what_is_fetched_for_another_machine_is_what_setup_cfg_asks_for(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(root / "tools/install/requirements.py"), str(root / "setup.cfg")],
        capture_output=True,
        text=True,
        check=True,
    )
    names = {re.split(r"[<>=;\[ ]", line)[0] for line in done.stdout.splitlines()}
    assert {"ai-edge-litert", "numpy", "opencv-python-headless", "pydantic", "rich", "setuptools"} <= names
