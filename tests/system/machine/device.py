"""The device as its technician sees it: commands, systemd, the journal, the socket; and how a step tells and waits."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness import Client, workers_of

UNIT = "visiond.service"
SOCKET = Path("/run/visiond/visiond.sock")
CONFIG = Path("/etc/visiond/visiond.yaml")
PATIENCE_S = 120.0  # an emulated processor is about twelve times slower; what was measured is told
BEGAN_S = time.monotonic()
T = TypeVar("T")


def step(words: str) -> None:
    print(f"\n== +{time.monotonic() - BEGAN_S:3.0f} s: {words}", flush=True)


def say(*words: object) -> None:
    print("  ", *words, flush=True)


def run(*words: str, code: int = 0) -> str:
    """Run a command and return all that it prints; any other exit code fails the step."""
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == code, f"exit code {done.returncode} instead of {code}: {' '.join(words)}\n{done.stdout}"
    return done.stdout


def show(*words: str, code: int = 0) -> str:
    """As `run`, and tell what it prints as it does, with the seconds since its start."""
    say("$", *words)
    clock, lines = Stopwatch(), []
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            say(f"| {clock}:", line.rstrip())
    say(f"  {clock}: exit code {process.returncode}")
    assert process.returncode == code, f"not {code}"
    return "".join(lines)


def until(what: str, look: Callable[[], T], patience_s: float = PATIENCE_S) -> T:
    """Wait for what happens in its own time; return what `look` found."""
    give_up_s = time.monotonic() + patience_s
    while not (found := look()):
        assert time.monotonic() < give_up_s, f"not within {patience_s:.0f} s: {what}"
        time.sleep(0.1)
    return found


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()

    def __str__(self) -> str:
        return f"{time.monotonic() - self._began_s:.2f} s"


class Robot(Client):
    """A client on the service's socket. Who comes while no daemon runs waits for its hello."""

    def __init__(self) -> None:
        super().__init__(SOCKET)
        self.hello = self.message()
        assert self.hello["type"] == "hello"

    def sees(self, camera: str = "front") -> dict[str, Any]:
        """The next detections of a camera."""
        return self.until(lambda message: is_result(message, camera), PATIENCE_S)

    def told(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The next status that is wanted."""
        status = self.status(wanted, PATIENCE_S)
        assert isinstance(status, dict)
        return status


def is_result(message: Mapping[str, Any], camera: str) -> bool:
    return bool(message["type"] == "detections" and message["camera"] == camera)


class Journal:
    """What the service has logged since this was made: by a cursor, for the wall clock is set meanwhile."""

    def __init__(self) -> None:
        last = run("journalctl", "--unit", UNIT, "--lines", "1", "--quiet", "--show-cursor")
        self._cursor = last.rpartition("-- cursor: ")[2].strip()

    def text(self) -> str:
        run("journalctl", "--sync")
        return run("journalctl", "--unit", UNIT, "--output", "cat", "--no-pager", "--after-cursor", self._cursor)

    def tell(self, *words: str) -> None:
        """Show a line with each of these words; fail where there is none."""
        text = self.text()
        for each in words:
            line = next((line for line in text.splitlines() if each in line), None)
            assert line is not None, f"not in the journal: {each}\n{text}"
            say("journal:", line)


def property_of(name: str, of: str = UNIT) -> str:
    """What systemd says of the service."""
    return run("systemctl", "show", "--property", name, "--value", of).strip()


def main_pid() -> int:
    return int(property_of("MainPID"))


def workers() -> dict[str, int]:
    """The daemon's processes by name, such as "camera front"."""
    return workers_of(main_pid())


def configure(config: Mapping[str, Any]) -> None:
    """Write the configuration; JSON is YAML."""
    CONFIG.write_text(json.dumps(config, indent=1))
