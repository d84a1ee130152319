"""WallClock: steps the wall clock of the processes that were started with its environment, and of no others."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("stepped.c")


class WallClock:
    """The clock of every process that has `environment`; `folder` keeps its library."""

    def __init__(self, folder: Path) -> None:
        self.library = folder / "stepped.so"
        self._step = folder / "step"
        self.step(0)
        command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", self.library, SOURCE]
        subprocess.run(command, check=True, capture_output=True, text=True)

    @property
    def environment(self) -> dict[str, str]:
        """What such a process needs in its environment; its children inherit it."""
        return {"LD_PRELOAD": str(self.library), "VISIOND_WALL_CLOCK_STEP": str(self._step)}

    def step(self, seconds: int) -> None:
        """Put the clock so far from the real one, at once; negative is back."""
        descriptor = os.open(self._step, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, struct.pack("q", seconds), 0)
        finally:
            os.close(descriptor)

    def is_in(self, pid: int) -> bool:
        """Whether the process has it."""
        return str(self.library) in Path(f"/proc/{pid}/maps").read_text()
