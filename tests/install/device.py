"""A folder that looks like a device to the installer, and programs in place of the system's, to try it without one."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

BOOKWORM = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
PARTS = ("words", "system", "wheels", "packages", "releases", "files", "service", "removal")


@dataclass(frozen=True)
class Device:
    """`programs` come first on the PATH; each notes its arguments in `calls`."""

    project: Path
    root: Path
    programs: Path
    calls: Path

    @classmethod
    def make(cls, project: Path, folder: Path) -> Device:
        device = cls(project, folder / "root", folder / "programs", folder / "calls")
        (device.root / "etc").mkdir(parents=True)
        device.programs.mkdir()
        device.system(BOOKWORM)
        device.program("dpkg", "echo arm64")
        device.program("dpkg-query", "exit 1")
        device.program("id", "echo visiond video plugdev render")
        for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles", "udevadm", "runuser"):
            device.program(name, "exit 0")
        return device

    def system(self, os_release: str) -> None:
        (self.root / "etc" / "os-release").write_text(os_release)

    def program(self, name: str, code: str) -> None:
        path = self.programs / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self.calls}"\n{code}\n')
        path.chmod(0o755)

    def called(self, program: str) -> list[str]:
        """The arguments of each call, in order."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [line.removeprefix(f"{program} ") for line in lines if line.startswith(f"{program} ")]

    def dry_run(self, *options: str) -> subprocess.CompletedProcess[str]:
        return self._bash([str(self.project / "install.sh"), "--dry-run", *options])

    def shell(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run `code` with the installer's parts, which here act on the folder."""
        parts = "\n".join(f'. "{self.project}/tools/install/{part}.sh"' for part in PARTS)
        return self._bash(["bash", "-c", f'set -euo pipefail\nproject="{self.project}"\n{parts}\n{code}\n'])

    def _bash(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{self.programs}:{os.environ['PATH']}", "VISIOND_INSTALL_ROOT": str(self.root)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}

    def release(self, name: str, says: str = "visiond is ok", unit: str = "", **files: str) -> Path:
        """A release that is whole, whose `visiond status` says `says`; `files`: more of its tree, as NAME=text."""
        folder = self.root / "opt" / "visiond" / "releases" / name
        units = folder / "system" / "etc" / "systemd" / "system"
        units.mkdir(parents=True)
        (units / "visiond.service").write_text(unit or f"# {name}\n")
        for file, text in files.items():
            path = folder / "system" / "etc" / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (folder / "drop-ins").mkdir()
        (folder / "drop-ins" / "network-cameras.conf").write_text(f"# {name}\n")
        (folder / "bin").mkdir()
        for program, words in (("visiond", says), ("python", "/run/visiond/visiond.sock")):
            (folder / "bin" / program).write_text(f"#!/bin/sh\necho '{words}'\n")
            (folder / "bin" / program).chmod(0o755)
        (folder / ".whole").touch()
        return folder

    def point(self, link: str, release: str) -> None:
        path = self.root / "opt" / "visiond" / link
        path.unlink(missing_ok=True)
        path.symlink_to(f"releases/{release}")

    def link(self, name: str) -> str | None:
        path = self.root / "opt" / "visiond" / name
        return path.readlink().name if path.is_symlink() else None

    def releases(self) -> set[str]:
        return {path.name for path in (self.root / "opt" / "visiond" / "releases").iterdir()}
