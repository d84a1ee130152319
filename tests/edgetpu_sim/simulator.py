"""A simulated Edge TPU for tests, and for a developer without one: README.md beside this file.

    with Simulator(folder) as simulator:
        simulator.stick(0).set_invoke_ms(7.0)
        …                                    # simulator.environment(), simulator.config()
        simulator.stick(0).fail("abort", at=3, times=1)

The folder's files are all that the library and this class share; either may start, end or die at any time.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

if not __package__:  # run as a script
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgetpu_sim import layout
from edgetpu_sim.layout import ControlFile
from edgetpu_sim.stick import Stick
from edgetpu_sim.usb_tree import UsbTree

HERE: Final = Path(__file__).resolve().parent
LIBRARY: Final = "libedgetpu_sim.so"
BUILD: Final = HERE.parent.parent / "build" / "edgetpu_sim"
DEFAULT_INVOKE_MS: Final = 7.0  # what the project's figures are measured with


def build_library(out: Path = BUILD) -> Path:
    """Compile the library where it is missing or older than its source; two processes may do so at once.

    Needs make only to compile. Raises RuntimeError with the compiler's words.
    """
    if _is_current(out / LIBRARY):
        return out / LIBRARY
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            subprocess.run(["make", "-s", "-C", HERE, f"OUT={out}"], check=True, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise RuntimeError("make is not installed; on Debian: apt install build-essential") from error
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"the simulated Edge TPU does not compile: {error.stderr}") from error
    return out / LIBRARY


def _is_current(library: Path) -> bool:
    """As make sees it."""
    sources = [*HERE.glob("*.[ch]"), HERE / "exports.map", HERE / "Makefile"]
    return library.exists() and all(source.stat().st_mtime <= library.stat().st_mtime for source in sources)


class Simulator:
    """Sticks in a folder: the control file, and the fakes of sysfs and /dev. A folder that has them is used again."""

    def __init__(self, folder: Path, sticks: int = 1) -> None:
        """Make `sticks` of them, plugged in and with their firmware still to load; builds the library if need be."""
        self.folder = folder.resolve()
        self.library = build_library()
        self.path = self.folder / "control"
        self.sysfs = self.folder / "sysfs"
        self.dev = self.folder / "dev"
        new = not self.path.exists()
        if new:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(layout.empty_file())
        self._control = ControlFile(self.path)
        self._sticks = [
            Stick(self._control, n, UsbTree(self.folder, n + 1), self._locked) for n in range(layout.STICKS)
        ]
        if new:
            self._prepare(sticks)

    def _prepare(self, sticks: int) -> None:
        for number, stick in enumerate(self._sticks):
            stick.tree.make_port()
            places = {"sysfs": stick.tree.device, "parking": stick.tree.parking, "nodes": stick.tree.nodes}
            for name, place in places.items():
                self._control.set_text(number, name, str(place))
            stick.set_invoke_ms(DEFAULT_INVOKE_MS)
        for stick in self._sticks[:sticks]:
            stick.plug()

    def stick(self, number: int = 0) -> Stick:
        """Stick 0 to 3, in port 2-1 to 2-4, plugged in or not."""
        return self._sticks[number]

    def device(self, number: int) -> str:
        """What libedgetpu calls that stick now: `usb:N`, which counts those in the bootloader first, in reverse."""
        here = [stick for stick in reversed(self._sticks) if stick.state != "absent"]
        ordered = sorted(here, key=lambda stick: stick.get("firmware"))
        return f"usb:{ordered.index(self._sticks[number])}"

    @property
    def creates(self) -> int:
        """Calls of load_delegate, also those that found no stick."""
        return self._control.header("creates")

    def environment(self) -> dict[str, str]:
        """What the library needs in the environment of the process that loads it."""
        return {"VISIOND_EDGETPU_SIM": str(self.path)}

    def config(self) -> dict[str, str]:
        """The keys of `edgetpu:` in a configuration."""
        return {"library": str(self.library), "sysfs": str(self.sysfs), "dev": str(self.dev)}

    def close(self) -> None:
        """Let go of the control file; a process that uses it goes on."""
        self._control.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with self.path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


if __name__ == "__main__":
    from edgetpu_sim.commands import main

    sys.exit(main(sys.argv[1:]))
